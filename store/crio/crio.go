// Package crio reads what CRI-O's configuration says about the store that CRI-O
// and mpull share: where it lies, and which images are pinned. It opens no
// store, and knows nothing of CRI-O's records in one.
package crio

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"github.com/BurntSushi/toml"
)

// DefaultPath is the folder of CRI-O's configuration: crio.conf and crio.conf.d.
const DefaultPath = "/etc/crio"

// defaultPause pins the infrastructure image where the configuration names
// none: a default of CRI-O's own, whose tag changes with its version.
const defaultPause = "registry.k8s.io/pause:*"

// maxFile bounds a configuration file; the one that "crio config" prints has
// 30 KB.
const maxFile = 4 << 20

// Config is what is in force. The zero value is that of a machine without CRI-O.
type Config struct {
	Files      []string `json:"files"`                // that were read, in this order; none: there is no CRI-O
	Root       string   `json:"root,omitempty"`       // graph root; "" means storage.conf's
	RunRoot    string   `json:"runRoot,omitempty"`    // "" means storage.conf's
	ImageStore string   `json:"imageStore,omitempty"` // where images lie apart from the graph root; "" when nothing is said
	Driver     string   `json:"driver,omitempty"`     // "" means storage.conf's
	Pinned     []string `json:"pinned"`               // pinned_images and pause_image
	// Named tells that the user named the configuration, so that it is about
	// the store at hand.
	Named bool `json:"-"`
}

// Present tells whether there is a configuration of CRI-O.
func (c *Config) Present() bool { return len(c.Files) > 0 }

// Pins returns the pattern by which CRI-O pins an image with these names, "" for
// none. The rules are CRI-O's (internal/storage/image.go,
// CompileRegexpsForPinnedImages): *WORD* anywhere in a name, WORD* likewise,
// since it is not anchored, else the whole name; upper and lower case are one.
func (c *Config) Pins(names ...string) string {
	for _, pattern := range c.Pinned {
		if slices.ContainsFunc(names, func(name string) bool { return matches(pattern, name) }) {
			return pattern
		}
	}
	return ""
}

func matches(pattern, name string) bool {
	word, open := strings.CutSuffix(pattern, "*")
	if !open {
		return strings.EqualFold(pattern, name)
	}
	return strings.Contains(strings.ToLower(name), strings.ToLower(strings.TrimPrefix(word, "*")))
}

// Source is where a configuration is read from, once and not before it is
// asked for. A nil Source has none.
type Source struct {
	read func() (Config, error)
}

// At reads the configuration at path: a file with the folder of the same name
// and .d beside it, a folder with crio.conf and crio.conf.d, or one with
// drop-in files. Of one that the user named it is an error when nothing is
// there.
func At(path string, named bool) *Source {
	return &Source{sync.OnceValues(func() (Config, error) {
		c, err := read(path)
		if err == nil && named && !c.Present() {
			err = fs.ErrNotExist
		}
		if err != nil {
			return Config{}, fmt.Errorf("reading CRI-O's configuration at %s: %w", path, err)
		}
		c.Named = named
		return c, nil
	})}
}

// Config returns what the source says.
func (s *Source) Config() (Config, error) {
	if s == nil {
		return Config{}, nil
	}
	return s.read()
}

// document is the part of the configuration that is of interest.
type document struct {
	Crio struct {
		Root       string `toml:"root"`
		RunRoot    string `toml:"runroot"`
		ImageStore string `toml:"imagestore"`
		Driver     string `toml:"storage_driver"`
		Image      struct {
			Pinned []string `toml:"pinned_images"`
			Pause  string   `toml:"pause_image"`
		} `toml:"image"`
	} `toml:"crio"`
}

// read reads one file after the other into one document: what a file does not
// say stays as the one before it said.
func read(path string) (c Config, err error) {
	if c.Files, err = filesOf(path); err != nil || len(c.Files) == 0 {
		return c, err
	}
	var d document
	d.Crio.Image.Pause = defaultPause
	for _, file := range c.Files {
		if err := decode(file, &d); err != nil {
			return c, err
		}
		// An empty one of these says nothing (CRI-O's UpdateFromDropInFile).
		c.Root, c.RunRoot, c.Driver = cmp.Or(d.Crio.Root, c.Root), cmp.Or(d.Crio.RunRoot, c.RunRoot), cmp.Or(d.Crio.Driver, c.Driver)
	}
	c.ImageStore = d.Crio.ImageStore
	for _, pattern := range append(d.Crio.Image.Pinned, d.Crio.Image.Pause) {
		if pattern != "" {
			c.Pinned = append(c.Pinned, pattern)
		}
	}
	return c, nil
}

func decode(file string, into *document) error {
	f, err := os.Open(file)
	if err != nil {
		return err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err != nil {
		return err
	}
	if len(data) > maxFile {
		return fmt.Errorf("%s has more than %d bytes", file, maxFile)
	}
	if err := toml.Unmarshal(data, into); err != nil {
		return fmt.Errorf("%s: %w", file, err)
	}
	return nil
}

// filesOf finds the files in the order in which CRI-O reads them: the main one,
// then all below the drop-in folder by name.
func filesOf(path string) ([]string, error) {
	info, err := os.Stat(path)
	if err == nil && info.IsDir() {
		files, err := filesOf(filepath.Join(path, "crio.conf"))
		if err != nil || len(files) > 0 || path == DefaultPath {
			return files, err
		}
		return dropIns(path)
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	var files []string
	if err == nil {
		files = []string{path}
	}
	more, err := dropIns(path + ".d")
	return append(files, more...), err
}

func dropIns(dir string) (files []string, err error) {
	err = filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := os.Stat(path) // a link counts as what it leads to
		if err == nil && info.Mode().IsRegular() {
			files = append(files, path)
		}
		return err
	})
	if errors.Is(err, fs.ErrNotExist) && len(files) == 0 {
		return nil, nil
	}
	return files, err
}
