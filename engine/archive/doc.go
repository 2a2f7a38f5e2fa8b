// Package archive owns the file that mpull save writes and mpull load reads:
// an OCI image layout in a tar file, which is a docker archive as well, and in
// which mpull finds again what other tools lose.
//
// The file has, in this order:
//
//   - blobs/sha256/HEX: configs, layers, manifests and indexes;
//   - oci-layout and index.json: the layout, with a manifest, or an index of
//     several platforms, for each name;
//   - manifest.json: the same images for docker load;
//   - mpull.json: for each name the images with their original manifests and
//     indexes, byte for byte, and their displacement records.
//
// A store keeps layers unpacked. Their tars come out byte for byte, their
// compressed blobs do not: those are made again where one of the compressors
// in use (Compressors) gives the digest that the original manifest names.
// Where none does, the layout has a manifest of its own with another blob for
// that layer, and mpull.json says for which.
//
// mpull load takes such a layer for the original nevertheless, and loses no
// safety by it: the original manifest is checked by its digest, it names the
// config by its digest, and the config names the tar that the layer must unpack
// to. The compressed form is the only thing that nothing vouches for, so nothing
// remembers the digest of the one for the contents of the other.
//
// It does not own which images go into an archive, nor what becomes of them in
// a store: that belongs to package engine.
package archive
