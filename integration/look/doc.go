// Package look tests the commands that look at images without pulling them,
// through the built program: against podman and skopeo on the same registry
// and store (peers_test.go, with the list of differences and their reasons),
// and against what they promise to leave alone (promises_test.go). It has no
// production code.
package look
