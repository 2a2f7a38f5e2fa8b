package registry

import (
	"errors"
	"strings"
	"testing"
)

// TestNameError holds that each thing that is no name is told why, and what to
// type instead.
func TestNameError(t *testing.T) {
	for _, tt := range []struct{ in, why, next string }{
		{"https://docker.io/library/alpine", "it is a URL", "write docker.io/library/alpine"},
		{"https://hub.docker.com/_/alpine", "it is a URL", "write docker.io/library/alpine"},
		{"https://hub.docker.com/r/grafana/grafana/tags?page=2", "it is a URL", "write docker.io/grafana/grafana"},
		{"http://quay.io/repository/podman/hello", "it is a URL", "write quay.io/podman/hello"},
		{"https://", "it is a URL", "a name is [HOST"},
		{"alpine:", "no tag behind the colon", "write alpine or alpine:latest; mpull tags alpine"},
		{"alpine@sha256:abc", "digest is incomplete", "64 hexadecimal digits; mpull platforms alpine"},
		{"alpine:3.15@sha256:abc", "digest is incomplete", "mpull platforms alpine:3.15"},
		{"<none>:<none>", "no name", "name it by its ID: mpull images --dangling"},
		{"<none>", "no name", "name it by its ID"},
		{"Alpine:Edge", "lower case", "write alpine:Edge"},
		{"alpine:3.15:4", "not written as one", "a name is [HOST"},
		{"", "no name of an image", "such as docker.io/library/alpine:3.15"},
		{"a b", "not written as one", "a name is [HOST"},
	} {
		_, err := stripTagOfDigested(tt.in)
		var name *NameError
		if !errors.As(err, &name) {
			t.Errorf("%q: %v, want a NameError", tt.in, err)
			continue
		}
		if !strings.Contains(err.Error(), tt.why) || !strings.Contains(name.Next(), tt.next) {
			t.Errorf("%q: %v\nnext %s\nwant %q and %q", tt.in, err, name.Next(), tt.why, tt.next)
		}
	}
}
