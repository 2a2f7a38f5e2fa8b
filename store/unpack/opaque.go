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

	"github.com/mpull/mpull/store/inflate"
)

// OpaqueDirs returns the directories that a layer made opaque, as absolute paths
// inside it, from the layer's tar-split record: the names in its archive. They
// tell what a mark on disk would where this process may not read that.
func OpaqueDirs(record string) (map[string]bool, error) {
	dirs := map[string]bool{}
	err := eachRecorded(record, func(entry string) error {
		if name := path.Clean("/" + entry); path.Base(name) == archive.WhiteoutOpaqueDir {
			dirs[path.Dir(name)] = true
		}
		return nil
	})
	return dirs, err
}

// eachRecorded hands over the names of the entries that a tar-split record has.
func eachRecorded(record string, f func(name string) error) error {
	file, err := os.Open(record)
	if err != nil {
		return err
	}
	defer file.Close()
	plain, err := inflate.NewReader(bufio.NewReaderSize(file, copyBuffer))
	if err != nil {
		return fmt.Errorf("reading the tar-split record %s: %w", record, err)
	}
	for entries := splitstorage.NewJSONUnpacker(plain); ; {
		e, err := entries.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("reading the tar-split record %s: %w", record, err)
		}
		if e.Type != splitstorage.FileType {
			continue
		}
		if err := f(e.GetName()); err != nil {
			return err
		}
	}
}
