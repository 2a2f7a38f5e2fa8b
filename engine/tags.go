package engine

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"strings"

	imgspecv1 "github.com/opencontainers/image-spec/specs-go/v1"
	"go.podman.io/image/v5/types"

	"github.com/mpull/mpull/engine/archive"
	"github.com/mpull/mpull/engine/ask"
	"github.com/mpull/mpull/engine/registry"
	"github.com/mpull/mpull/engine/userfile"
)

// Tags lists the tags of an image's repository, pages followed, in the
// registry's order. repository is its full name. Of an archive (docker-archive:,
// oci-archive:) or a layout (oci:) it lists what may stand behind the path, for all
// its images, and repository is "".
func (e *Engine) Tags(ctx context.Context, input string, retry Retry) (repository string, tags []string, err error) {
	transport, rest, _ := strings.Cut(input, ":")
	path, _, _ := strings.Cut(rest, ":")
	switch transport {
	case "docker-archive", "oci-archive":
		tags, err = e.archiveNames(ctx, transport, path)
		return "", tags, err
	case "oci":
		tags, err = layoutNames(ctx, path)
		return "", tags, err
	case "dir":
		if err := registry.CheckPath(transport, rest); err != nil {
			return "", nil, err
		}
		return "", nil, &registry.AdvisedError{Err: fmt.Errorf("%s is one image without a name", input), Next: "mpull inspect " + input + " tells what it is"}
	case "containers-storage":
		return "", nil, &registry.AdvisedError{Err: fmt.Errorf("%s is in local storage", rest), Next: "mpull images " + rest + " lists the names that are here"}
	}
	err = e.asker.Each(ctx, input, "asking", func(source registry.Source) error {
		return e.asker.Ask(ctx, retry, func(ctx context.Context, sys *types.SystemContext, watch *ask.Watchdog) error {
			list, err := registry.Tags(ctx, sys, source.Ref, watch.Asked)
			if err == nil {
				repository, tags = source.Ref.DockerReference().Name(), list
			}
			return err
		})
	})
	return repository, tags, err
}

func (e *Engine) archiveNames(ctx context.Context, transport, path string) (names []string, err error) {
	if err := registry.CheckPath(transport, path); err != nil {
		return nil, err
	}
	in, err := userfile.Open(ctx, path)
	if err != nil {
		return nil, err
	}
	defer in.Close()
	file, err := e.seekable(ctx, in)
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", path, err)
	}
	if file != in {
		defer func() { err = errors.Join(err, file.Close()) }()
	}
	a, err := archive.Open(file, path)
	if err != nil {
		return nil, err
	}
	if names, err = a.Names(transport); err != nil {
		return nil, fmt.Errorf("reading %s: %w", path, err)
	}
	return names, nil
}

// maxLayoutIndex bounds the list of images of a layout, as of an archive.
const maxLayoutIndex = 4 << 20

func layoutNames(ctx context.Context, path string) ([]string, error) {
	if err := registry.CheckPath("oci", path); err != nil {
		return nil, err
	}
	data, err := userfile.Read(ctx, filepath.Join(path, imgspecv1.ImageIndexFile), maxLayoutIndex)
	if err != nil {
		return nil, err
	}
	var index imgspecv1.Index
	if err := json.Unmarshal(data, &index); err != nil {
		return nil, fmt.Errorf("reading %s: %w", filepath.Join(path, imgspecv1.ImageIndexFile), err)
	}
	return archive.LayoutNames(index.Manifests), nil
}
