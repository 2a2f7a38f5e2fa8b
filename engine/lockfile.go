package engine

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/opencontainers/go-digest"
	"go.podman.io/image/v5/docker/reference"

	"github.com/mpull/mpull/engine/platform"
)

// LockVersion is the version of lock files that this package writes and reads.
const LockVersion = 1

// Bounds of a lock file.
const (
	maxLock      = 16 << 20
	maxLocked    = 100_000 // names
	maxPlatforms = 10_000  // of one name
)

// Lock is a lock file: which digests tags stood for when it was written. As
// JSON it is stable: sorted, and without the time at which it was made.
type Lock struct {
	Version int                    `json:"version"`
	Images  map[string]LockedImage `json:"images"` // by full name with a tag
}

// LockedImage is what a tag stood for.
type LockedImage struct {
	Digest    digest.Digest            `json:"digest"`    // of the index, or of the only manifest
	Platforms map[string]digest.Digest `json:"platforms"` // of manifests, by os/arch[/variant]
}

// ParseLock reads a lock file, which may come from anybody.
func ParseLock(data []byte) (*Lock, error) {
	if len(data) > maxLock {
		return nil, fmt.Errorf("it has %d bytes, more than %d", len(data), maxLock)
	}
	l := &Lock{}
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	if err := d.Decode(l); err != nil {
		return nil, err
	}
	if d.More() {
		return nil, fmt.Errorf("more follows the first value")
	}
	if l.Version != LockVersion {
		return nil, fmt.Errorf("it has version %d; this mpull reads version %d", l.Version, LockVersion)
	}
	if len(l.Images) > maxLocked {
		return nil, fmt.Errorf("it has %d images, more than %d", len(l.Images), maxLocked)
	}
	for name, img := range l.Images {
		if err := img.check(name); err != nil {
			return nil, fmt.Errorf("the image %q: %w", name, err)
		}
	}
	return l, nil
}

func (i LockedImage) check(name string) error {
	ref, err := reference.ParseNormalizedNamed(name)
	if err != nil {
		return err
	}
	if _, tagged := ref.(reference.NamedTagged); !tagged || ref.String() != name || strings.Contains(name, "@") {
		return fmt.Errorf("it is not a full name with a tag, such as docker.io/library/alpine:3.15")
	}
	if err := i.Digest.Validate(); err != nil {
		return fmt.Errorf("the digest %q: %w", i.Digest, err)
	}
	if len(i.Platforms) == 0 || len(i.Platforms) > maxPlatforms {
		return fmt.Errorf("it has %d platforms", len(i.Platforms))
	}
	for p, d := range i.Platforms {
		if _, err := platform.Parse(p); err != nil {
			return err
		}
		if err := d.Validate(); err != nil {
			return fmt.Errorf("the digest %q of %s: %w", d, p, err)
		}
	}
	return nil
}

// Bytes returns the lock as a file: the same lock gives the same bytes.
func (l *Lock) Bytes() ([]byte, error) {
	data, err := json.MarshalIndent(l, "", "  ")
	return append(data, '\n'), err
}

// Names returns the names in the lock, sorted.
func (l *Lock) Names() []string { return slices.Sorted(maps.Keys(l.Images)) }

// References returns NAME@DIGEST for every digest in the lock, sorted.
func (l *Lock) References() (all []string) {
	for name, img := range l.Images {
		for _, d := range append(slices.Collect(maps.Values(img.Platforms)), img.Digest) {
			all = append(all, name+"@"+d.String())
		}
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// of returns the locked digest of a platform.
func (i LockedImage) of(request platform.Request) (digest.Digest, bool) {
	var texts []string
	var locked []platform.Platform
	for _, text := range slices.Sorted(maps.Keys(i.Platforms)) {
		if p, err := platform.Parse(text); err == nil {
			texts, locked = append(texts, text), append(locked, p)
		}
	}
	if at := request.Held(locked); at >= 0 {
		return i.Platforms[texts[at]], true
	}
	return "", false
}

// has tells whether a manifest is locked.
func (i LockedImage) has(d digest.Digest) bool {
	return slices.Contains(slices.Collect(maps.Values(i.Platforms)), d)
}

// NotLockedError says that a lock file does not have what was asked for.
type NotLockedError struct {
	Name     string
	Platform string   // "" when the name itself is not locked
	Locked   []string // platforms, or names, that are
}

func (e *NotLockedError) Error() string {
	if e.Platform == "" {
		return fmt.Sprintf("%s is not in the lock", e.Name)
	}
	return fmt.Sprintf("the lock has no %s of %s; it has %s", e.Platform, e.Name, strings.Join(e.Locked, ", "))
}
