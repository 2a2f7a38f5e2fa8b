// Package query answers what is asked about the images of a snapshot.
//
// It owns what a name means (Find, Of, Family), what a filter selects
// (ParseFilter, Match), how lists are sorted (ParseSort), how many bytes a size
// is (ParseSize), which images were built on which (Kinship), which are dangling,
// and which names an image lost (LostBy). Every command asks it and nothing
// else, so that a name or a filter means the same everywhere. It does not own:
// reading the store (package store), which platform an image of an index is
// for (package platform), and what a prune removes (package gc).
//
// It is pure: values in, values out. What the user's configuration says about
// short names comes in as a Resolver.
//
// Words:
//
//   - input: what a user typed.
//   - name: a full reference, such as docker.io/library/alpine:3.15.
//   - holder: the image that has a name now. Former holders lost it.
//   - family of a name: its holder, its former holders, and the images that
//     are kept beside them under a digest name of the same repository.
//   - digest name: repository@digest.
//   - since: how long an image has been what it is: from its displacement, else
//     from its pull, else, when nothing else is known, from its build.
package query
