package unpack

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"path"

	splitstorage "github.com/vbatts/tar-split/tar/storage"
	"go.podman.io/storage/pkg/archive"
)

// OpaqueDirs returns the directories that a layer made opaque, as absolute paths
// inside it, from the layer's tar-split record: the names in its archive. They
// tell what a mark on disk would where this process may not read that.
func OpaqueDirs(record string) (map[string]bool, error) {
	f, err := os.Open(record)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	plain, err := newGzip(bufio.NewReaderSize(f, copyBuffer))
	if err != nil {
		return nil, fmt.Errorf("reading the tar-split record %s: %w", record, err)
	}
	defer plain.Close()
	dirs := map[string]bool{}
	for entries := splitstorage.NewJSONUnpacker(plain); ; {
		e, err := entries.Next()
		if errors.Is(err, io.EOF) {
			return dirs, nil
		}
		if err != nil {
			return nil, fmt.Errorf("reading the tar-split record %s: %w", record, err)
		}
		if name := path.Clean("/" + e.GetName()); e.Type == splitstorage.FileType && path.Base(name) == archive.WhiteoutOpaqueDir {
			dirs[path.Dir(name)] = true
		}
	}
}
