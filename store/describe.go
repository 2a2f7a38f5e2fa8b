package store

import (
	"fmt"
	"os"
	"os/user"
	"strconv"
	"syscall"

	"go.podman.io/storage/pkg/unshare"
	"golang.org/x/sys/unix"
)

// Description tells which store options mean, without opening it.
type Description struct {
	Root     string `json:"root"`
	RunRoot  string `json:"runRoot"`
	Images   string `json:"imageStore,omitempty"` // where images lie apart from the root; "" when they do not
	Owner    string `json:"owner"`                // whose it is, or whose a new one will be: a user name, or a number
	Driver   string `json:"driver"`               // of the store that is there, else the one that a new store gets
	Exists   bool   `json:"exists"`
	Writable bool   `json:"writable"` // true also where a store can be created

	GraphRoot       string `json:"graphRoot"`       // Root, under podman's key
	GraphDriverName string `json:"graphDriverName"` // Driver, under podman's key
}

// Describe tells which store the options mean. It takes no lock, opens
// nothing, and needs no user namespace.
func (o Options) Describe() (Description, error) {
	options, err := o.resolve()
	if err != nil {
		return Description{}, err
	}
	d := Description{Owner: ownerOf(options.GraphRoot), Root: options.GraphRoot, RunRoot: options.RunRoot, Images: options.ImageStore, Driver: options.GraphDriverName, Writable: true}
	if d.Driver == "" {
		d.Driver = append(options.GraphDriverPriority, "overlay")[0]
	}
	if d.Exists = present(options); exists(options.GraphRoot) {
		d.Writable = unix.Access(options.GraphRoot, unix.W_OK) == nil
	}
	d.GraphRoot, d.GraphDriverName = d.Root, d.Driver
	return d, nil
}

// ownerOf names the user that a directory belongs to, this one where there is none.
func ownerOf(dir string) string {
	uid := unshare.GetRootlessUID()
	if info, err := os.Stat(dir); err == nil {
		if st, ok := info.Sys().(*syscall.Stat_t); ok && os.Geteuid() == uid { // not in a namespace with other numbers
			uid = int(st.Uid)
		}
	}
	number := strconv.Itoa(uid)
	if account, err := user.LookupId(number); err == nil {
		return account.Username
	}
	return number
}

// DriverData returns what the storage driver says about an image's top layer:
// directories on this machine, by the driver's own names (overlay: UpperDir,
// LowerDir, WorkDir, and MergedDir when the layer is mounted). It is nil for
// an image without layers. Nothing is mounted.
func (s *Store) DriverData(img *Image) (map[string]string, error) {
	if !s.Exists() || img.TopLayer == "" {
		return nil, nil
	}
	lib, err := s.library()
	if err != nil {
		return nil, err
	}
	driver, err := lib.GraphDriver()
	if err != nil {
		return nil, fmt.Errorf("opening the storage driver: %w", err)
	}
	data, err := driver.Metadata(img.TopLayer)
	if err != nil {
		return nil, fmt.Errorf("reading where layer %s lies: %w", img.TopLayer, err)
	}
	if mounted, err := lib.Mounted(img.TopLayer); err != nil || mounted == 0 {
		delete(data, "MergedDir") // it exists while the layer is mounted
	}
	return data, nil
}
