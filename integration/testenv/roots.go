package testenv

import (
	"fmt"
	"os"
	"path/filepath"
)

// Roots are the folders of a store of its own, whoever runs the test. The roots
// that a storage.conf in CONTAINERS_STORAGE_CONF names are root's alone: mpull,
// as podman before version 6, finds an ordinary user's by two other variables,
// and without these every such store is the one in the user's home.
type Roots struct {
	Data    string // XDG_DATA_HOME
	Runtime string // XDG_RUNTIME_DIR
}

// Graph is the graph root.
func (r Roots) Graph() string {
	if os.Geteuid() != 0 {
		return filepath.Join(r.Data, "containers/storage")
	}
	return filepath.Join(r.Data, "root")
}

// Run is the run root.
func (r Roots) Run() string {
	if os.Geteuid() != 0 {
		return filepath.Join(r.Runtime, "containers")
	}
	return filepath.Join(r.Data, "run")
}

// Write makes the file conf a storage.conf that names the roots and a driver,
// and ends with more tables. It returns what Env does.
func (r Roots) Write(conf, driver, more string) (env []string, err error) {
	text := fmt.Sprintf("[storage]\ndriver = %q\n", driver)
	if os.Geteuid() == 0 { // to podman 6 they would be the user's
		text += fmt.Sprintf("graphroot = %q\nrunroot = %q\n", r.Graph(), r.Run())
	}
	if err := os.WriteFile(conf, []byte(text+more), 0o600); err != nil {
		return nil, err
	}
	if err := os.MkdirAll(r.Runtime, 0o700); err != nil { // one that is not there is not taken
		return nil, err
	}
	return r.Env(conf), nil
}

// Env are the variables that lead mpull and its peers to the roots, by the
// storage.conf that Write made: all, as root of somebody else's namespace counts
// as a user.
func (r Roots) Env(conf string) []string {
	return []string{"CONTAINERS_STORAGE_CONF=" + conf, "XDG_DATA_HOME=" + r.Data, "XDG_RUNTIME_DIR=" + r.Runtime}
}
