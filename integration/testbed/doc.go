// Package testbed runs the real mpull binary on a throw-away store and judges
// what it leaves behind: for the fault-injection tests.
//
// A Bed is one store with the files that mpull reads (policy.json,
// registries.conf) and a temporary directory of its own, so that nothing of the
// machine's user is touched and everything left behind is seen. Bed.Judge is
// the oracle: the store opens, the library finds no damage, every name resolves
// to an image whose documents match their digests, nothing lies outside the
// store, and podman agrees.
package testbed
