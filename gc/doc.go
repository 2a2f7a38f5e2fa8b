// Package gc decides what a prune removes, and removes it.
//
// It owns: the rule of what is dangling (podman's), the policy of a prune
// (filters, ages, how many to keep, how much to free), the plan, reading a
// plan back, and carrying a plan out. It does not own: the store, its locks
// and how deleting works (package store), nor what a terminal shows.
//
// MakePlan is pure: a snapshot, a policy and a time in, a Plan out. Execute
// gets the plan, a snapshot taken behind the exclusive lock, and a Remover;
// it checks every image again and removes no other than the planned ones.
//
// Words:
//
//   - dangling: no name, no child image, and not named by a local manifest
//     list; the rule of podman's "image prune".
//   - child image: built on another one: same top layer, or its parent layer
//     is the other's top layer; the other's diff IDs first, and the other's
//     history plus one entry.
//   - leftover: what an interrupted pull or build left that no image uses.
//   - since: how long an image has been what it is: from its displacement,
//     else from its pull. Never the build date that its config claims, unless
//     nothing else is known.
package gc
