package preflight

import (
	"bytes"
	"io/fs"
)

// memRoot is a root with one program, /p.
type memRoot []byte

func (m memRoot) Lstat(name string) (FileInfo, error) {
	switch name {
	case "/":
		return FileInfo{Type: fs.ModeDir, Perm: 0o755}, nil
	case "/p":
		return FileInfo{Perm: 0o755, Size: int64(len(m))}, nil
	}
	return FileInfo{}, fs.ErrNotExist
}

func (m memRoot) Readlink(string) (string, error) { return "", fs.ErrInvalid }

func (m memRoot) Open(string) (File, error) { return memFile{bytes.NewReader(m)}, nil }

type memFile struct{ *bytes.Reader }

func (memFile) Close() error { return nil }
