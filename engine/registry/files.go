package registry

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"go.podman.io/storage/pkg/configfile"
	"go.podman.io/storage/pkg/unshare"
)

// ConfigFile tells where one kind of configuration comes from.
type ConfigFile struct {
	Name    string   `json:"name"`              // registries.conf, policy.json, auth.json
	InForce []string `json:"inForce"`           // files that are there and read, in this order
	Looked  []string `json:"looked"`            // where the main file was looked for, the first found wins
	Problem string   `json:"problem,omitempty"` // why it cannot be told
}

// ConfigFiles tells which registries.conf, policy.json and auth files are in
// force. It opens none of them.
func (o Options) ConfigFiles() []ConfigFile {
	return []ConfigFile{
		FindConfig("registries.conf", &configfile.File{
			Name: "registries", Extension: "conf", EnvironmentName: "CONTAINERS_REGISTRIES_CONF",
			CustomConfigFilePath: o.RegistriesConf, UserId: unshare.GetRootlessUID(),
		}),
		FindConfig("policy.json", &configfile.File{
			Name: "policy", Extension: "json", EnvironmentName: "CONTAINERS_POLICY_JSON",
			CustomConfigFilePath: o.PolicyFile, DoNotLoadDropInFiles: true,
		}),
		o.authFiles(),
	}
}

// FindConfig finds the files of one kind of configuration by the search rules
// of the libraries.
func FindConfig(name string, f *configfile.File) ConfigFile {
	c := ConfigFile{Name: name, InForce: []string{}}
	paths, err := configfile.GetSearchPaths(f)
	if err != nil {
		c.Problem = err.Error()
		return c
	}
	c.Looked = paths.MainFiles
	for _, path := range paths.MainFiles {
		if _, err := os.Stat(path); err == nil {
			c.InForce = append(c.InForce, path)
			break
		} else if !errors.Is(err, os.ErrNotExist) {
			c.Problem = err.Error()
		}
	}
	for i := len(paths.DropInDirectories) - 1; i >= 0; i-- { // the last read wins
		more, err := filepath.Glob(filepath.Join(paths.DropInDirectories[i], "*."+f.Extension))
		if err == nil {
			c.InForce = append(c.InForce, more...)
		}
	}
	if paths.ExtraOverrideFile != "" {
		c.InForce = append(c.InForce, paths.ExtraOverrideFile)
	}
	return c
}

// authFiles lists where credentials are looked for: the file named, or the
// default ones of containers-auth.json(5).
func (o Options) authFiles() ConfigFile {
	c := ConfigFile{Name: "auth.json", InForce: []string{}}
	if named := o.authFile(); named != "" {
		c.Looked = []string{named}
	} else {
		c.Looked = defaultAuthFiles()
	}
	for _, path := range c.Looked {
		if _, err := os.Stat(path); err == nil {
			c.InForce = append(c.InForce, path)
		}
	}
	return c
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
