package registry

import (
	"cmp"
	"fmt"
	"os"
	"path/filepath"

	"go.podman.io/storage/pkg/unshare"
)

// AuthFiles lists where credentials are looked for: the file named, or the
// default ones of containers-auth.json(5). They need not exist.
func (o Options) AuthFiles() []string {
	if named := o.authFile(); named != "" {
		return []string{named}
	}
	return o.defaultAuthFiles()
}

// defaultAuthFiles is the one place that knows them; the first is written to.
func (o Options) defaultAuthFiles() []string {
	run := cmp.Or(o.RuntimeDir, os.Getenv("XDG_RUNTIME_DIR"))
	paths := []string{filepath.Join(run, "containers/auth.json")}
	if run == "" {
		paths[0] = fmt.Sprintf("/run/containers/%d/auth.json", os.Getuid())
	}
	home, err := unshare.HomeDir() // where HOME is not set, the account's
	if err != nil {
		return paths
	}
	config := cmp.Or(os.Getenv("XDG_CONFIG_HOME"), filepath.Join(home, ".config"))
	docker := cmp.Or(os.Getenv("DOCKER_CONFIG"), filepath.Join(home, ".docker"))
	return append(paths, filepath.Join(config, "containers/auth.json"), filepath.Join(docker, "config.json"), filepath.Join(home, ".dockercfg"))
}
