package preflight

import (
	"bytes"
	"io/fs"
	"strings"
)

// memRoot is a root of programs by their paths, in directories that they imply.
type memRoot map[string][]byte

func (m memRoot) Lstat(name string) (FileInfo, error) {
	if b, ok := m[name]; ok {
		return FileInfo{Perm: 0o755, Size: int64(len(b))}, nil
	}
	for file := range m {
		if strings.HasPrefix(file, strings.TrimSuffix(name, "/")+"/") {
			return FileInfo{Type: fs.ModeDir, Perm: 0o755}, nil
		}
	}
	return FileInfo{}, fs.ErrNotExist
}

func (m memRoot) Readlink(string) (string, error) { return "", fs.ErrInvalid }

func (m memRoot) Open(name string) (File, error) { return memFile{bytes.NewReader(m[name])}, nil }

type memFile struct{ *bytes.Reader }

func (memFile) Close() error { return nil }
