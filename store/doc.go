// Package store is mpull's only door to containers/storage, the store that
// podman, buildah and skopeo use.
//
// It owns: opening a store as podman would (Open, Create), reading all of it
// once (Snapshot, made of plain values), moving and removing names with a
// displacement record (Writer), deleting (Deleter), and the two kinds of lock
// behind which adding and deleting happen.
//
// It does not own decisions: which image to pull belongs to package engine,
// which image may go to package gc.
//
// Words:
//
//   - name: what containers/storage calls a name of an image, a reference such
//     as docker.io/library/alpine:3.15; at most one image holds it.
//   - displacement record: what an image remembers about a name it lost; kept
//     as big data of that image under the key RecordKey.
//   - snapshot: all images, layers and containers, read at one moment.
//
// Locks: mpull.lock beside the store is held shared while something is added
// (Store.Writer) and exclusively while something is deleted (Store.Deleter),
// always taken before any call into the store. Deleting methods exist only on
// Deleter, so a caller that holds the wrong lock does not compile.
package store
