package query

import (
	"fmt"
	"regexp"
	"strings"

	"github.com/opencontainers/go-digest"
	"go.podman.io/image/v5/docker/reference"
)

// None stands for a repository or a tag that an image does not have.
const None = "<none>"

// Repository returns a name without its tag and digest.
func Repository(name string) string {
	name, _, _ = strings.Cut(name, "@")
	if colon := strings.LastIndexByte(name, ':'); colon > strings.LastIndexByte(name, '/') {
		return name[:colon]
	}
	return name
}

// Split parts a name into repository and tag; a digest name has the tag None.
func Split(name string) (repository, tag string) {
	repository = Repository(name)
	rest := strings.TrimPrefix(name[len(repository):], ":")
	if rest == "" || strings.HasPrefix(rest, "@") {
		return repository, None
	}
	tag, _, _ = strings.Cut(rest, "@")
	return repository, tag
}

// IsTag tells whether a name is a tag: neither bare nor with a digest.
func IsTag(name string) bool {
	_, tag := Split(name)
	return tag != None && !strings.Contains(name, "@")
}

// WithDigest returns the digest name of a name's repository.
func WithDigest(name string, d digest.Digest) string { return Repository(name) + "@" + d.String() }

// DigestOf returns the digest in a name, "" when there is none.
func DigestOf(name string) digest.Digest {
	_, text, _ := strings.Cut(name, "@")
	if d := digest.Digest(text); d.Validate() == nil {
		return d
	}
	return ""
}

// NewName returns the full name that podman would give to what a user wrote as
// a new name: a name without a registry belongs to localhost, and one without a
// tag has the tag latest.
func NewName(input string) (string, error) {
	ref, err := reference.Parse(input)
	if err != nil {
		return "", fmt.Errorf("reading the name %q: %w", input, err)
	}
	named, ok := ref.(reference.Named)
	if !ok {
		return "", fmt.Errorf("reading the name %q: a digest alone is no name", input)
	}
	if _, ok := ref.(reference.Digested); ok {
		return "", fmt.Errorf("reading the name %q: a name with a digest cannot be given away; use a tag", input)
	}
	if !hasDomain(named.Name()) {
		input = "localhost/" + input
	}
	full, err := reference.ParseNormalizedNamed(input)
	if err != nil {
		return "", fmt.Errorf("reading the name %q: %w", input, err)
	}
	return reference.TagNameOnly(full).String(), nil
}

// hasDomain tells whether a name begins with a registry.
func hasDomain(name string) bool {
	first, _, slash := strings.Cut(name, "/")
	return slash && (strings.ContainsAny(first, ".:") || first == "localhost")
}

// hexText is an ID, a digest without its algorithm, or the beginning of one:
// fewer than three characters could not be told from a short name.
var hexText = regexp.MustCompile(`^[0-9a-f]{3,128}$`)

// parts are those of an input.
type parts struct {
	id     string // an ID or the beginning of one, or a digest without its algorithm; "" for a name
	name   string // with its tag, without its digest
	digest string // algorithm:hex, perhaps only the beginning of it; "" when none was written
}

// parse reads an input, however the user put it.
func parse(input string) parts {
	input = strings.TrimPrefix(input, "containers-storage:")
	input = strings.TrimPrefix(input, "docker://")
	if name, d, ok := strings.Cut(input, "@"); ok {
		if name == "" || !isDigest(d) {
			return parts{}
		}
		return parts{name: name, digest: d}
	}
	if algorithm, hex, ok := strings.Cut(input, ":"); ok && hexText.MatchString(hex) && digest.Algorithm(algorithm).Available() {
		if algorithm != digest.Canonical.String() { // no ID is of another one
			return parts{digest: input}
		}
		return parts{id: hex, digest: input}
	}
	switch full := digest.Canonical.Size() * 2; {
	case !hexText.MatchString(input) || len(input) > full:
	case len(input) == full: // no name may be that
		return parts{id: input}
	default:
		return parts{id: input, name: input}
	}
	return parts{name: input}
}
