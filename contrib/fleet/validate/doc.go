// Package validate holds the manifests of contrib/fleet/kubernetes against the
// types of the Kubernetes API. It is a module of its own, so that mpull does not
// depend on them: run its tests with go test -count=1 in this folder,
// as the manifests lie outside of what go test takes for its input.
package validate
