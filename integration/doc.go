// Package integration tests mpull as a whole, against real registries, stores,
// kernels and the tools that share the store. It has no production code.
//
//   - arrows_test.go: who may import whom.
//   - script_test.go: stories told by the command line, in testdata/script.
//   - peers_test.go: podman, buildah and skopeo on a store that mpull wrote.
//   - look: the commands that look without pulling, beside podman and skopeo.
//   - testimage, testregistry: images and registries made in memory.
//
// A test that needs a program, a right or a kernel feature that is not here is
// skipped and says which; with CI=true in the environment it fails instead.
package integration
