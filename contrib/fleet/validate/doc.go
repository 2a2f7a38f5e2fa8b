// Package validate holds the manifests of contrib/fleet/kubernetes against the
// types of the Kubernetes API. It is a module of its own, so that mpull does not
// depend on them: run its tests with go test in this folder.
package validate
