package preflight

import (
	"bytes"
	"fmt"

	"github.com/moby/sys/user"
)

// maxAccounts bounds what is read of /etc/passwd and /etc/group, in bytes.
const maxAccounts = 4 << 20

// lookupUser finds the IDs that a runtime gives the process: "", "name",
// "uid", "name:group", "uid:gid" and mixtures, looked up in the image's own
// /etc/passwd and /etc/group. Numeric IDs need no entry; groups in which the
// user is listed count when no group is given.
func (w *walker) lookupUser(spec string) (cred, error) {
	passwd, err := w.read("/etc/passwd", maxAccounts)
	if err != nil {
		return cred{}, err
	}
	group, err := w.read("/etc/group", maxAccounts)
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

// read reads a file of at most so many bytes; one that is missing, or that may
// not be read, is empty.
func (w *walker) read(name string, most int) ([]byte, error) {
	n, f := w.walk("/", name)
	if f != nil {
		if f.errno == 0 {
			return nil, f
		}
		return nil, nil
	}
	if n.info.Type != 0 || !w.cred.may(n.info, 4) {
		return nil, nil
	}
	file, err := w.root.Open(n.path)
	if err != nil {
		return nil, fmt.Errorf("opening %s: %w", name, err)
	}
	defer file.Close()
	data, err := readAt(file, 0, int(min(n.info.Size, int64(most)))+1)
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", name, err)
	}
	if len(data) > most {
		return nil, fmt.Errorf("%s is longer than %d bytes", name, most)
	}
	return data, nil
}
