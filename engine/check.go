package engine

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/mpull/mpull/engine/platform"
	"github.com/mpull/mpull/engine/preflight"
	"github.com/mpull/mpull/engine/registry"
	"github.com/mpull/mpull/store"
	"github.com/mpull/mpull/store/query"
)

// CheckOptions says what would be started. The zero value is what the image's
// config says.
type CheckOptions struct {
	Platform   *platform.Request // of the local images of a name, the one of this platform; nil means the holder
	Args       []string          // replaces the config's Cmd
	Entrypoint []string          // replaces the config's Entrypoint, and drops its Cmd; empty but not nil keeps the Cmd
	User       string            // replaces the config's User
	WorkingDir string            // replaces the config's WorkingDir
	Env        []string          // added to the config's Env
	empty      []string          // directories that are mounted empty over those of the image
	shelf      *preflight.Shelf  // of a listing: only the program counts, not whether a runtime can mount the image
}

// Check predicts whether a local image starts on the host. Nothing of it is run or
// mounted.
func (e *Engine) Check(ctx context.Context, input string, o CheckOptions) (result preflight.Result, err error) {
	go e.host() // to be known when the image is
	if o.Platform != nil {
		err = e.read(ctx, func(s *store.Store, snap *store.Snapshot) error {
			found, err := e.of(ctx, s, e.view(snap), input, *o.Platform)
			if err != nil {
				return err
			}
			result, err = e.checkImage(ctx, s, found.Image, o)
			result.Image = input
			return err
		})
		return result, err
	}
	err = e.readImage(ctx, input, func(s *store.Store, img *store.Image, _ string) error {
		result, err = e.checkImage(ctx, s, img, o)
		result.Image = input
		return err
	})
	return result, err
}

func (e *Engine) checkImage(ctx context.Context, s *store.Store, img *store.Image, o CheckOptions) (result preflight.Result, err error) {
	if img.IsList {
		return preflight.Result{ID: img.ID}, e.listError(ctx, s, img, platform.Native(e.Platform()))
	}
	err = e.onFiles(s, img, nil, o, func(root preflight.RootFS, command preflight.Command) {
		result = preflight.Check(ctx, root, command, e.host())
	})
	result.ID = img.ID
	if img.Schema1 {
		result.Note = schema1Note
	}
	return result, err
}

// onFiles hands the files of an image to f, and what it starts. chain is as
// Store.LayerDirs takes it.
func (e *Engine) onFiles(s *store.Store, img *store.Image, chain []*store.Layer, o CheckOptions, f func(preflight.RootFS, preflight.Command)) error {
	command, err := commandOf(s, img, o)
	if err != nil {
		return err
	}
	var dirs []string
	if img.TopLayer != "" { // else an image of a config alone, with an empty root
		if dirs, err = s.LayerDirs(img, chain); err != nil {
			return err
		}
	}
	if limit := s.MountLimit(); limit > 0 && len(dirs) > limit && command.Bad == "" {
		command.Bad = fmt.Sprintf("the image has %d layers, and the storage driver %s mounts at most %d", len(dirs), s.Driver(), limit)
		command.BadHint = "build it with fewer layers (podman build --squash-all), or use a store with --storage-driver vfs"
	}
	root, err := cmp.Or(o.shelf, &preflight.Shelf{}).OpenLayers(dirs)
	if err != nil {
		return fmt.Errorf("reading the files of image %s: %w", query.ShortID(img.ID), err)
	}
	if s.Driver() == "overlay" {
		root.AskRecords(e.ids(), func(i int) (map[string]bool, error) { return store.OpaqueDirs(dirs[i]) })
	}
	if command.Bad == "" && o.shelf == nil {
		if command.Bad = preflight.Unmountable(root); command.Bad != "" {
			command.BadHint = "build the image without it"
		}
	}
	f(preflight.Mounted(root, o.empty...), command)
	return root.Close()
}

// commandOf reads what an image's config starts, changed by the options.
func commandOf(s *store.Store, img *store.Image, o CheckOptions) (preflight.Command, error) {
	if img.Config == nil {
		return preflight.Command{}, cmp.Or(img.ConfigError, errors.New("its config is not known"))
	}
	start, bad := img.Config.Start, img.Config.StartError
	if bad != nil && !oneString(bad) {
		return preflight.Command{}, fmt.Errorf("reading the config of image %s: %w", query.ShortID(img.ID), bad)
	}
	c := preflight.Command{
		Entrypoint: start.Entrypoint, Cmd: start.Cmd, Args: o.Args,
		Env: slices.Concat(start.Env, o.Env), WorkingDir: cmp.Or(o.WorkingDir, start.WorkingDir), User: cmp.Or(o.User, start.User),
		Claimed: query.PlatformOf(img),
	}
	if o.shelf == nil {
		c.Index = indexPlatform(s, img)
	}
	if o.Entrypoint != nil {
		c.Entrypoint = o.Entrypoint
	}
	if len(o.Entrypoint) > 0 {
		c.Cmd = nil
	} else if bad != nil {
		blob, err := s.ConfigBlob(img)
		if err != nil {
			return c, err
		}
		c.Bad, c.BadHint = notLists(blob)
	}
	return c, nil
}

// oneString reports whether all that is wrong with a config is a command that
// is a string. The rest of the config is read all the same.
func oneString(err error) bool {
	wrong, ok := errors.AsType[*json.UnmarshalTypeError](err)
	return ok && wrong.Value == "string" && (strings.HasSuffix(wrong.Field, ".Entrypoint") || strings.HasSuffix(wrong.Field, ".Cmd"))
}

// notLists says which command of a config is a string, and how to start it.
func notLists(blob []byte) (why, hint string) {
	var c struct {
		Config struct{ Entrypoint, Cmd any } `json:"config"`
	}
	_ = json.Unmarshal(blob, &c) // it was read before
	field, value := "Entrypoint", c.Config.Entrypoint
	if _, ok := value.(string); !ok {
		field, value = "Cmd", c.Config.Cmd
	}
	s, _ := value.(string)
	list := preflight.List(strings.Fields(s))
	return field + " of the image's config is the string " + strconv.Quote(s) + " and no list",
		"build the image again with " + field + " " + list + ", or start it with --entrypoint '" + list + "'"
}

// CheckRemote guesses from index and config alone whether an image that is not
// here would start.
func (e *Engine) CheckRemote(ctx context.Context, input string, requests Fallback, r Retry) (result preflight.Result, err error) {
	o := LookOptions{Requests: requests, Retry: r}
	err = e.look(ctx, input, o, func(ctx context.Context, img *registry.Image, source registry.Source) error {
		instances, err := img.Instances(ctx)
		if err != nil {
			return err
		}
		c, err := e.choose(ctx, img, instances, e.requests(o))
		if err == nil {
			result = preflight.RemoteGuess(c.detail.Platform(), e.host())
			result.Image = registry.RefName(source.Ref)
		}
		return err
	})
	return result, err
}

// A PlatformCheck compares the platform that an image claims with that of the
// program it starts. JSON names are stable. The zero value means that it is not
// known: the image names no command, has no program, or its files cannot be
// read without a mount.
type PlatformCheck struct {
	preflight.Platforms
	Differs bool `json:"differs"` // the program is for another platform than claimed
}

// actualPlatform finds the program that a local image starts, in the files of
// its layers, and reads the head of it. Nothing is mounted.
func (e *Engine) actualPlatform(ctx context.Context, s *store.Store, img *store.Image) PlatformCheck {
	r, err := e.checkImage(ctx, s, img, CheckOptions{})
	if err != nil {
		e.debug(fmt.Sprintf("cannot compare the platform of %s with its files: %v", query.ShortID(img.ID), err))
		return PlatformCheck{}
	}
	if r.Platform.Actual == "" {
		return PlatformCheck{}
	}
	return PlatformCheck{Platforms: r.Platform, Differs: r.Platform.Lie()}
}

// programs tells what the program of an image is for whose config does not say:
// the zero value where that cannot be seen either.
func (e *Engine) programs(ctx context.Context, s *store.Store) func(*store.Image) platform.Platform {
	return func(img *store.Image) platform.Platform {
		p, _ := platform.Parse(e.actualPlatform(ctx, s, img).Actual) // zero where that fails
		return p
	}
}
