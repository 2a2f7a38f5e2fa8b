package registry

import (
	"fmt"
	"strings"

	"go.podman.io/image/v5/docker"
	"go.podman.io/image/v5/docker/reference"
	"go.podman.io/image/v5/types"
)

// NameError says that what a user typed is no name of an image.
type NameError struct {
	Input string
	Err   error // what the library that reads names said
}

func (e *NameError) Error() string {
	if e.Input == "" {
		return "an empty name is no name of an image"
	}
	return fmt.Sprintf("%q is no name of an image: %s", e.Input, e.why())
}

func (e *NameError) Unwrap() error { return e.Err }

func (e *NameError) why() string {
	_, digest, _ := strings.Cut(e.Input, "@")
	switch {
	case e.isURL():
		return "it is a URL"
	case strings.Contains(e.Input, "<none>"):
		return "<none> stands where an image has no name"
	case strings.HasSuffix(e.Input, ":"):
		return "there is no tag behind the colon"
	case digest != "":
		return "its digest is incomplete"
	case strings.ToLower(e.Input) != e.Input && e.lower() != "":
		return "repositories are written in lower case"
	}
	return "it is not written as one"
}

// Next says what to type instead.
func (e *NameError) Next() string {
	before, digest, _ := strings.Cut(e.Input, "@")
	switch {
	case e.isURL() && nameOfURL(e.Input) != "":
		return "write " + nameOfURL(e.Input)
	case e.isURL():
	case strings.Contains(e.Input, "<none>"):
		return "name it by its ID: mpull images --dangling lists those without a name"
	case strings.HasSuffix(e.Input, ":") && isName(strings.TrimRight(e.Input, ":")):
		name := strings.TrimRight(e.Input, ":")
		return fmt.Sprintf("write %s or %s:latest; mpull tags %s lists the tags that there are", name, name, name)
	case digest != "" && isName(before):
		return fmt.Sprintf("a digest is sha256: and 64 hexadecimal digits; mpull platforms %s lists those that there are", before)
	case e.lower() != "":
		return "write " + e.lower()
	}
	return "a name is [HOST[:PORT]/]REPOSITORY[:TAG][@DIGEST], such as docker.io/library/alpine:3.15"
}

// isURL tells whether the input is the address of a web page.
func (e *NameError) isURL() bool {
	return strings.HasPrefix(e.Input, "https://") || strings.HasPrefix(e.Input, "http://")
}

// lower is the name in lower case, "" when it is no name then either.
func (e *NameError) lower() string {
	repository, tag := e.Input, ""
	if at := strings.LastIndexByte(e.Input, ':'); at > strings.LastIndexByte(e.Input, '/') {
		repository, tag = e.Input[:at], e.Input[at:]
	}
	if name := strings.ToLower(repository) + tag; name != e.Input && isName(name) {
		return name
	}
	return ""
}

func isName(s string) bool {
	_, err := reference.ParseNormalizedNamed(s)
	return err == nil
}

// nameOfURL is the name of the image that a registry's web page shows, or that
// follows the scheme; "" when that is none.
func nameOfURL(url string) string {
	_, name, _ := strings.Cut(url, "://")
	name, _, _ = strings.Cut(name, "?")
	name = strings.TrimRight(name, "/")
	for page, registry := range map[string]string{
		"hub.docker.com/_/": "docker.io/library/", "hub.docker.com/r/": "docker.io/", "quay.io/repository/": "quay.io/",
	} {
		if rest, ok := strings.CutPrefix(name, page); ok {
			name = registry + strings.TrimSuffix(rest, "/tags")
		}
	}
	if !isName(name) {
		return ""
	}
	return name
}

// RefName is what a reference is called: as users type it, of a registry
// without its transport.
func RefName(ref types.ImageReference) string {
	if named := ref.DockerReference(); named != nil && ref.Transport().Name() == docker.Transport.Name() {
		return named.String()
	}
	return ref.Transport().Name() + ":" + strings.TrimSuffix(ref.StringWithinTransport(), ":") // oci:DIR: has no tag
}
