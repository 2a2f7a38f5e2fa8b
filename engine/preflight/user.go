package preflight

import (
	"bytes"
	"fmt"
	"io"

	"github.com/moby/sys/user"
)

// maxAccounts bounds what is read of /etc/passwd and /etc/group, in bytes.
const maxAccounts = 4 << 20

// lookupUser finds the IDs that a runtime gives the process: "", "name",
// "uid", "name:group", "uid:gid" and mixtures, looked up in the image's own
// /etc/passwd and /etc/group. Numeric IDs need no entry; groups in which the
// user is listed count when no group is given.
func (w *walker) lookupUser(spec string) (cred, error) {
	passwd, err := w.accounts("/etc/passwd")
	if err != nil {
		return cred{}, err
	}
	group, err := w.accounts("/etc/group")
	if err != nil {
		return cred{}, err
	}
	u, err := user.GetExecUser(spec, nil, bytes.NewReader(passwd), bytes.NewReader(group))
	if err != nil {
		return cred{}, err
	}
	c := cred{uid: uint32(u.Uid), gid: uint32(u.Gid)}
	for _, g := range u.Sgids {
		c.groups = append(c.groups, uint32(g))
	}
	return c, nil
}

// accounts reads one of the two files; a missing one is empty.
func (w *walker) accounts(name string) ([]byte, error) {
	n, f := w.walk("/", name)
	if f != nil {
		if f.errno == 0 {
			return nil, f
		}
		return nil, nil
	}
	if n.info.Type != 0 {
		return nil, nil
	}
	file, err := w.root.Open(n.path)
	if err != nil {
		return nil, fmt.Errorf("opening %s: %w", name, err)
	}
	defer file.Close()
	data, err := io.ReadAll(io.NewSectionReader(file, 0, maxAccounts+1))
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", name, err)
	}
	if len(data) > maxAccounts {
		return nil, fmt.Errorf("%s is longer than %d bytes", name, maxAccounts)
	}
	return data, nil
}
