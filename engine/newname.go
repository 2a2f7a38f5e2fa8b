package engine

import (
	"fmt"
	"strings"

	"github.com/opencontainers/go-digest"
	"go.podman.io/image/v5/docker/reference"
)

// digestName returns repo@digest for a name.
func digestName(name string, d digest.Digest) string {
	return repoOf(name) + "@" + d.String()
}

// NormalizeName returns the full name that podman would give to what a user
// wrote as a new name: a name without a registry belongs to localhost, and one
// without a tag has the tag latest.
func NormalizeName(name string) (string, error) {
	ref, err := reference.Parse(name)
	if err != nil {
		return "", fmt.Errorf("reading the name %q: %w", name, err)
	}
	named, ok := ref.(reference.Named)
	if !ok {
		return "", fmt.Errorf("reading the name %q: a digest alone is no name", name)
	}
	if _, ok := ref.(reference.Digested); ok {
		return "", fmt.Errorf("reading the name %q: a name with a digest cannot be given away; use a tag", name)
	}
	first, _, slash := strings.Cut(named.Name(), "/")
	if !slash || !strings.ContainsAny(first, ".:") && first != "localhost" {
		name = "localhost/" + name
	}
	full, err := reference.ParseNormalizedNamed(name)
	if err != nil {
		return "", fmt.Errorf("reading the name %q: %w", name, err)
	}
	return reference.TagNameOnly(full).String(), nil
}
