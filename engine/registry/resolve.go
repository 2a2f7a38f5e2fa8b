package registry

import (
	"fmt"
	"strings"

	"go.podman.io/image/v5/docker"
	"go.podman.io/image/v5/docker/reference"
	"go.podman.io/image/v5/pkg/shortnames"
	"go.podman.io/image/v5/pkg/sysregistriesv2"
	"go.podman.io/image/v5/transports/alltransports"
	"go.podman.io/image/v5/types"
)

// Source is one place that a name typed by a user may stand for.
type Source struct {
	Ref  types.ImageReference
	Name reference.Named   // name in local storage; nil where the source has none (dir:, oci: without a tag)
	Also []reference.Named // further names, of an image in an archive

	record func() error
}

// Record remembers the user's choice among several registries as a short-name
// alias, when there was a choice. Call it after a pull has succeeded.
func (s Source) Record() error {
	if s.record == nil {
		return nil
	}
	return s.record()
}

// ShortNameError says that a short name stands for several images and nobody
// is there to choose.
type ShortNameError struct {
	Input      string
	Candidates []string
	Err        error // what the short-name library said
}

func (e *ShortNameError) Error() string {
	return fmt.Sprintf("%q is a short name that may mean any of %s: write one of them", e.Input, strings.Join(e.Candidates, ", "))
}

func (e *ShortNameError) Unwrap() error { return e.Err }

// Resolve turns what a user typed into the sources to try in order: a name of
// another transport (oci:, oci-archive:, docker-archive:, dir:,
// docker://) is one source; a short name goes through
// aliases and search registries, with the library's prompt on a terminal.
func Resolve(sys *types.SystemContext, input string) ([]Source, error) {
	// Parsing such a name opens the store of storage.conf, which is not the one
	// that the user may have named, and there is nothing to bring from it.
	if name, ok := strings.CutPrefix(input, "containers-storage:"); ok {
		return nil, fmt.Errorf("%s is in local storage already: mpull tag gives it another name", name)
	}
	if ref, err := alltransports.ParseImageName(input); err == nil {
		if err := readable(sys); err != nil {
			return nil, err
		}
		return transportSource(sys, ref)
	} else if t := alltransports.TransportFromImageName(input); t != nil && t.Name() != docker.Transport.Name() {
		return nil, fmt.Errorf("reading the name %q: %w", input, err)
	}
	name := strings.TrimPrefix(input, "docker://")
	name, err := stripTagOfDigested(name)
	if err != nil {
		return nil, err
	}
	if err := readable(sys); err != nil {
		return nil, err
	}
	resolved, err := shortnames.Resolve(sys, name)
	if err != nil {
		return nil, shortNameError(sys, input, name, err)
	}
	sources := make([]Source, 0, len(resolved.PullCandidates))
	for _, c := range resolved.PullCandidates {
		ref, err := docker.NewReference(reference.TagNameOnly(c.Value))
		if err != nil {
			return nil, err
		}
		sources = append(sources, Source{Ref: ref, Name: ref.DockerReference(), record: c.Record})
	}
	return sources, nil
}

// readable reads registries.conf, once for all: what is wrong with it is told
// as the cause, not at the end of what followed from it.
func readable(sys *types.SystemContext) error {
	if _, err := sysregistriesv2.GetRegistries(sys); err != nil {
		return &AdvisedError{Err: fmt.Errorf("reading registries.conf: %w", err),
			Next: "mend or remove it, or name another with --registries-conf; contrib/config/registries.conf is a sample"}
	}
	return nil
}

// transportSource gives a source of another transport the name that podman
// gives it in local storage.
func transportSource(sys *types.SystemContext, ref types.ImageReference) ([]Source, error) {
	s := Source{Ref: ref}
	switch ref.Transport().Name() {
	case "docker":
		s.Name = ref.DockerReference()
	case "oci":
		if _, tag, ok := strings.Cut(ref.StringWithinTransport(), ":"); ok && tag != "" {
			s.Name = namedOrNil(tag)
		}
	case "oci-archive":
		s.Name = archiveName(sys, ref)
	case "docker-archive":
		s = ArchiveSource(ref, dockerArchiveNames(sys, ref))
	}
	return []Source{s}, nil
}

// namedOrNil reads a name that a folder or an archive gives to an image, as
// podman does: a bare one is of localhost.
func namedOrNil(s string) reference.Named {
	if s == "" {
		return nil
	}
	if shortnames.IsShortName(s) {
		s = "localhost/" + s
	}
	named, err := reference.ParseNormalizedNamed(s)
	if err != nil {
		return nil
	}
	return reference.TagNameOnly(named)
}

// shortNameError adds the candidates to the library's refusal to guess.
func shortNameError(sys *types.SystemContext, input, name string, err error) error {
	if !shortnames.IsShortName(name) {
		return &NameError{Input: input, Err: err}
	}
	registries, listErr := sysregistriesv2.UnqualifiedSearchRegistries(sys)
	if listErr != nil || len(registries) == 0 {
		return fmt.Errorf("%q is a short name, and registries.conf names no alias for it and no registry to search: write the full name, such as docker.io/library/%s: %w", input, name, err)
	}
	e := &ShortNameError{Input: input, Err: err}
	for _, r := range registries {
		e.Candidates = append(e.Candidates, r+"/"+name)
	}
	return e
}

// stripTagOfDigested removes the tag of name:tag@digest: the digest is the
// sole source of truth (as docker and podman do).
func stripTagOfDigested(name string) (string, error) {
	ref, err := reference.Parse(name)
	if err != nil {
		return "", &NameError{Input: name, Err: err}
	}
	named, isNamed := ref.(reference.Named)
	_, isTagged := ref.(reference.Tagged)
	digested, isDigested := ref.(reference.Digested)
	if !isNamed || !isTagged || !isDigested {
		return name, nil
	}
	canonical, err := reference.WithDigest(reference.TrimNamed(named), digested.Digest())
	if err != nil {
		return "", err
	}
	return canonical.String(), nil
}

// LocalNames returns the full names under which local storage may hold what a
// user typed, most likely first: localhost, then the alias and the search
// registries, as podman looks them up.
func LocalNames(sys *types.SystemContext, input string) ([]string, error) {
	input, err := stripTagOfDigested(strings.TrimPrefix(input, "docker://"))
	if err != nil {
		return nil, err
	}
	if err := readable(sys); err != nil {
		return nil, err
	}
	candidates, err := shortnames.ResolveLocally(sys, input)
	if err != nil {
		return nil, fmt.Errorf("reading the name %q: %w", input, err)
	}
	names := make([]string, len(candidates))
	for i, c := range candidates {
		names[i] = c.String()
	}
	return names, nil
}

// HasTransport tells whether an input names where its image lies, as skopeo wants
// it (docker://, oci:, docker-archive:, dir:, containers-storage:), and is not a
// bare name such as host:5000/app.
func HasTransport(input string) bool {
	return alltransports.TransportFromImageName(input) != nil
}

// Unpacks tells whether the image library unpacks a source before it reads it:
// an archive.
func Unpacks(input string) bool {
	t := alltransports.TransportFromImageName(input)
	return t != nil && (t.Name() == "oci-archive" || t.Name() == "docker-archive")
}
