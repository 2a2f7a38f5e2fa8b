package registry

import (
	"fmt"
	"os"
	"path/filepath"
)

// AuthFiles lists where credentials are looked for: the file named, or the
// default ones of containers-auth.json(5). They need not exist.
func (o Options) AuthFiles() []string {
	if named := o.authFile(); named != "" {
		return []string{named}
	}
	return defaultAuthFiles()
}

func defaultAuthFiles() []string {
	run := os.Getenv("XDG_RUNTIME_DIR")
	if run == "" {
		run = "/run"
	}
	paths := []string{filepath.Join(run, "containers/auth.json")}
	if run == "/run" {
		paths[0] = fmt.Sprintf("/run/containers/%d/auth.json", os.Getuid())
	}
	home, err := os.UserHomeDir()
	if err != nil {
		return paths
	}
	config := os.Getenv("XDG_CONFIG_HOME")
	if config == "" {
		config = filepath.Join(home, ".config")
	}
	docker := os.Getenv("DOCKER_CONFIG")
	if docker == "" {
		docker = filepath.Join(home, ".docker")
	}
	return append(paths, filepath.Join(config, "containers/auth.json"), filepath.Join(docker, "config.json"), filepath.Join(home, ".dockercfg"))
}
