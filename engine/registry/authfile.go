package registry

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"strings"

	"go.podman.io/image/v5/types"

	"github.com/mpull/mpull/engine/userfile"
)

// maxAuthFile bounds what is read of a file with credentials.
const maxAuthFile = 16 << 20

// file is the auth file that the account is written to.
func (a *Account) file() string {
	if path := a.sys.AuthFilePath + a.sys.DockerCompatAuthFilePath; path != "" {
		return path
	}
	return a.standard
}

// edit lets the image library change the auth file. The library replaces the
// file, where it is a link or not, and writes no key that it does not know; so
// it gets a copy, and what it changed in that goes into the file.
func (a *Account) edit(ctx context.Context, change func(*types.SystemContext) error) (err error) {
	path := a.file()
	before, err := userfile.Read(ctx, path, maxAuthFile)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	dir, err := os.MkdirTemp(filepath.Dir(path), ".mpull-login-")
	if err != nil { // a file that can be written to in a folder that cannot
		dir, err = os.MkdirTemp("", "mpull-login-")
	}
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	sys, temp := *a.sys, filepath.Join(dir, "auth.json")
	if sys.DockerCompatAuthFilePath != "" {
		sys.DockerCompatAuthFilePath = temp
	} else {
		sys.AuthFilePath = temp
	}
	if before != nil {
		if err := os.WriteFile(temp, before, 0o600); err != nil {
			return err
		}
	}
	changeErr := patiently(ctx, func(context.Context) error { return change(&sys) }) // credentials may be gone from the file and not from a helper
	if changeErr != nil {
		changeErr = &copyError{changeErr, strings.NewReplacer(temp, path)}
	}
	after, err := os.ReadFile(temp)
	if errors.Is(err, fs.ErrNotExist) || err == nil && string(after) == string(before) {
		return changeErr
	}
	if err == nil {
		after, err = keepUnknown(before, after)
	}
	if err == nil {
		err = userfile.Replace(ctx, path, 0o600, func(w io.Writer, _ string) error {
			_, err := w.Write(after)
			return err
		})
	}
	return errors.Join(changeErr, err)
}

// copyError is an error about the copy of an auth file, told of the file itself.
type copyError struct {
	error
	names *strings.Replacer
}

func (e *copyError) Error() string { return e.names.Replace(e.error.Error()) }

func (e *copyError) Unwrap() error { return e.error }

// keepUnknown gives an auth file that the library wrote the keys that it left
// out: at the top, and of the accounts that it did not change.
func keepUnknown(before, after []byte) ([]byte, error) {
	var old, now map[string]json.RawMessage
	if len(before) == 0 {
		return after, nil
	}
	if err := errors.Join(json.Unmarshal(before, &old), json.Unmarshal(after, &now)); err != nil {
		return nil, fmt.Errorf("reading the auth file: %w", err)
	}
	var oldAuths, auths map[string]json.RawMessage
	if json.Unmarshal(old["auths"], &oldAuths) == nil && json.Unmarshal(now["auths"], &auths) == nil {
		for key, was := range oldAuths {
			if is, ok := auths[key]; ok && sameAccount(was, is) {
				auths[key] = was
			}
		}
		text, err := json.Marshal(auths)
		if err != nil {
			return nil, err
		}
		now["auths"] = text
	}
	all := maps.Clone(old)
	delete(all, "credHelpers") // known: it is gone where the library took it out
	maps.Copy(all, now)
	return json.MarshalIndent(all, "", "\t")
}

// sameAccount compares what the library knows of an account.
func sameAccount(a, b json.RawMessage) bool {
	type known struct{ Auth, IdentityToken string }
	var one, other known
	return json.Unmarshal(a, &one) == nil && json.Unmarshal(b, &other) == nil && one == other
}
