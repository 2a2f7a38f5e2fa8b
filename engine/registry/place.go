package registry

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"go.podman.io/image/v5/types"
)

// CheckPlace tells what is wrong with the folder or file that a reference
// names, where that is to be seen at once: the libraries name a file that they
// looked for in it.
func CheckPlace(ref types.ImageReference) error {
	kind, path := ref.Transport().Name(), ref.StringWithinTransport()
	if kind != "dir" {
		path, _, _ = strings.Cut(path, ":")
	}
	return CheckPath(kind, path)
}

// CheckPath is CheckPlace for the path alone.
func CheckPath(kind, path string) error {
	inside := ""
	switch kind {
	case "oci":
		inside = "index.json"
	case "dir":
		inside = "manifest.json"
	case "oci-archive", "docker-archive":
	default:
		return nil
	}
	next := fmt.Sprintf("write %s:FILE; a folder is oci:DIR", kind)
	if inside != "" {
		next = fmt.Sprintf("write %s: and the folder in which %s lies; an archive is oci-archive:FILE or docker-archive:FILE", kind, inside)
	}
	if why := wrongPlace(path, inside); why != "" {
		return &AdvisedError{Err: errors.New(why), Next: next}
	}
	return nil
}

// wrongPlace says why path is no file, or no folder with the file inside; "" when
// nothing is wrong, or something that opening it will tell.
func wrongPlace(path, inside string) string {
	info, err := os.Stat(path)
	switch {
	case path == "":
		return "no path is given"
	case errors.Is(err, fs.ErrNotExist):
		return path + " is not there"
	case err != nil:
		return ""
	case inside == "" && info.IsDir():
		return path + " is a folder"
	case inside == "":
		return ""
	case !info.IsDir():
		return path + " is no folder"
	}
	if _, err := os.Stat(filepath.Join(path, inside)); errors.Is(err, fs.ErrNotExist) {
		return fmt.Sprintf("the folder %s holds no %s, and so no image", path, inside)
	}
	return ""
}
