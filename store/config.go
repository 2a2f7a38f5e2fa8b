package store

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"

	"go.podman.io/storage/pkg/configfile"
	"go.podman.io/storage/pkg/unshare"
)

// ConfigFile tells where one kind of configuration comes from.
type ConfigFile struct {
	Name    string   `json:"name"`              // such as registries.conf
	InForce []string `json:"inForce"`           // files that are there and read, in this order
	Looked  []string `json:"looked"`            // where the main file was looked for, the first found wins
	Problem string   `json:"problem,omitempty"` // why it cannot be told
}

// ConfigSearch says how one kind of configuration is looked for.
type ConfigSearch struct {
	Name        string // of the main file, without its extension
	Extension   string // without a dot
	Environment string // variable that names a file to read instead
	Custom      string // file that the user named; "" means the default ones
	MainOnly    bool   // there are no drop-in directories
}

func (s ConfigSearch) file() *configfile.File {
	return &configfile.File{
		Name: s.Name, Extension: s.Extension, EnvironmentName: s.Environment, CustomConfigFilePath: s.Custom,
		DoNotLoadDropInFiles: s.MainOnly, UserId: unshare.GetRootlessUID(),
	}
}

// ReadConfig hands f each file of one kind of configuration that is in force,
// in the order in which a later one wins. The first error ends it.
func ReadConfig(s ConfigSearch, f func(path string, in io.Reader) error) error {
	for item, err := range configfile.Read(s.file()) {
		if err != nil {
			return fmt.Errorf("reading %s.%s: %w", s.Name, s.Extension, err)
		}
		if err := f(item.Name, item.Reader); err != nil {
			return fmt.Errorf("reading %s: %w", item.Name, err)
		}
	}
	return nil
}

// FindConfig finds the files of one kind of configuration by the search rules
// of the libraries.
func FindConfig(s ConfigSearch) ConfigFile {
	f := s.file()
	c := ConfigFile{Name: s.Name + "." + s.Extension, InForce: []string{}}
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
	for _, dir := range slices.Backward(paths.DropInDirectories) { // the last read wins
		more, _ := filepath.Glob(filepath.Join(dir, "*."+f.Extension))
		c.InForce = append(c.InForce, more...)
	}
	if paths.ExtraOverrideFile != "" {
		c.InForce = append(c.InForce, paths.ExtraOverrideFile)
	}
	return c
}
