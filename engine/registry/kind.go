package registry

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"slices"
	"strings"

	"github.com/docker/distribution/registry/api/errcode"
	v2 "github.com/docker/distribution/registry/api/v2"
	imgspecv1 "github.com/opencontainers/image-spec/specs-go/v1"
	"go.podman.io/image/v5/docker"
	"go.podman.io/image/v5/manifest"
)

// NotImageError says that what a reference stands for is no image: an artifact
// such as a Helm chart, a signature or a WebAssembly module.
type NotImageError struct {
	Name string
	Type string // of the artifact, or of the layer that no root file system is made of
}

func (e *NotImageError) Error() string {
	return fmt.Sprintf("%s is no image but an artifact of type %q", e.Name, e.Type)
}

// IsWasm tells whether a media type is one of WebAssembly's.
func IsWasm(mediaType string) bool { return strings.Contains(mediaType, "wasm") }

// AbsentError says that an index names an image that is not there: it was copied
// without it, or what it named was deleted. An index that is not followed is the
// same.
type AbsentError struct {
	Instance Instance
	cause    error
}

func (e *AbsentError) Error() string {
	what := e.Instance.What()
	if e.Instance.Deep {
		return fmt.Sprintf("the index names %s (%s)", what, e.Instance.Digest)
	}
	return fmt.Sprintf("the index names %s, but its manifest %s is not there: %v", what, e.Instance.Digest, e.cause)
}

// What names the instance for people, as far as the index tells.
func (i Instance) What() string {
	if i.Deep {
		return cmp.Or(i.Platform.String(), "images") + " in " + DeepIndex
	}
	return cmp.Or(i.Platform.String(), "an image")
}

// DeepIndex is what an instance that is [Instance.Deep] is, for people.
const DeepIndex = "an index nested too deep to be followed"

func (e *AbsentError) Unwrap() error { return e.cause }

// codeOf is what a registry's answer says went wrong, where err is one.
func codeOf(err error) (code errcode.ErrorCode, ok bool) {
	var coded errcode.ErrorCoder
	if ok = errors.As(err, &coded); ok {
		code = coded.ErrorCode()
	}
	return code, ok
}

// isAbsent tells whether err says that a manifest is not there.
func isAbsent(err error) bool {
	if code, ok := codeOf(err); ok {
		return code == v2.ErrorCodeManifestUnknown ||
			code == errcode.ErrorCodeUnknown && strings.Contains(strings.ToLower(err.Error()), "not found") // of registry.redhat.io and Harbor
	}
	if status, ok := errors.AsType[docker.UnexpectedHTTPStatusError](err); ok {
		return status.StatusCode == http.StatusNotFound
	}
	return errors.Is(err, fs.ErrNotExist)
}

// artifactType returns the type of an entry that the index alone shows to be no
// image: it says so, or its manifest is of no image's kind. Referrers repeat the
// type of an image's config there, which makes no artifact of it.
func artifactType(d imgspecv1.Descriptor) string {
	switch t := d.ArtifactType; {
	case t != "" && !isConfigType(t):
		return t
	case d.MediaType == "" || manifest.MIMETypeIsMultiImage(d.MediaType) || manifest.NormalizedMIMEType(d.MediaType) == d.MediaType:
		return ""
	}
	return d.MediaType
}

// isConfigType tells whether a config of this media type is an image's.
func isConfigType(t string) bool {
	const first = "application/octet-stream" // of the first versions of docker's format
	return slices.Contains([]string{"", imgspecv1.MediaTypeImageConfig, manifest.DockerV2Schema2ConfigMediaType, first}, t)
}

// notImage returns the type of the artifact that a manifest describes, "" for an
// image's manifest. The type of the config decides; where that says nothing, the
// manifest's artifactType names it.
func notImage(blob []byte, configType string) string {
	if isConfigType(configType) {
		return ""
	}
	var m struct {
		ArtifactType string `json:"artifactType"`
	}
	if json.Unmarshal(blob, &m) == nil && m.ArtifactType != "" {
		return m.ArtifactType
	}
	return configType
}

// notFiles returns the media type of the first layer that is, by it, no archive
// of files; "" when all are: nothing is asked for such a layer.
func notFiles(layers []manifest.LayerInfo) string {
	for _, l := range layers {
		if t := l.MediaType; !l.EmptyLayer && t != "" && !strings.Contains(t, "tar") && t != "application/octet-stream" {
			return t
		}
	}
	return ""
}

// IsAnswer tells whether err is an answer other than what was asked for.
func IsAnswer(err error) bool {
	// The library has no type for an answer in another form than JSON.
	return errors.As(err, new(*StatusError)) || errors.As(err, new(docker.UnexpectedHTTPStatusError)) || errors.As(err, new(errcode.ErrorCoder)) ||
		strings.Contains(err.Error(), "StatusCode: ")
}

// IsRefusal tells whether err is an answer that refuses what was asked for (401,
// 403), for whatever reason: a token may be too old, a mirror may not hold it for
// everybody.
func IsRefusal(err error) bool {
	if status, ok := errors.AsType[*StatusError](err); ok {
		return status.Code == http.StatusUnauthorized || status.Code == http.StatusForbidden
	}
	if code, ok := codeOf(err); ok {
		return code == errcode.ErrorCodeUnauthorized || code == errcode.ErrorCodeDenied
	}
	return strings.Contains(err.Error(), "StatusCode: 401,") || strings.Contains(err.Error(), "StatusCode: 403,")
}
