// Package unpack turns the compressed layers of an image into layers of a
// containers/storage store in one pass over the bytes.
//
// For each layer one stream is read once. On the way its bytes are hashed
// (blob digest), decompressed, hashed again (DiffID), parsed, recorded for
// tar-split and written to a staging directory of the overlay driver. Layers
// are staged in parallel and committed strictly in order, so that what a killed
// or failed pull finished stays in the store and is not fetched again.
//
// What ends up in the store is what the library's own PutLayer would have put
// there: layer IDs, files, owners, modes, times, extended attributes, tar-split
// and digests. The library's path stays the reference: whatever this package
// does not imitate exactly, it refuses with an [UnsupportedError], and the
// caller then uses that path. Nothing is left behind by a refusal.
//
// Words. A layer is staged when its files are complete and verified in a
// directory that no layer refers to yet; it is applied when the store has it. A
// chain ID names a layer together with all layers below it.
//
// Safety. Every file is created relative to a descriptor of its parent
// directory, and parents are opened with openat2(2) and RESOLVE_IN_ROOT, so
// that the kernel, not string handling, keeps an image inside its staging
// directory.
//
// The package owns neither the network nor image records, names and signatures.
package unpack
