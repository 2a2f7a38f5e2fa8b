// Package pack writes images of a store into an archive (package archive), with
// each layer compressed as its original was where that can be found out, so that
// manifests and digests stay those of the registry.
package pack
