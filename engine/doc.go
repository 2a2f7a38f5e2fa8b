// Package engine owns mpull's use cases: Pull, Images, Tag, Untag, Remove,
// Restore, Use, Prune and what belongs to them. It ties what a registry says
// (engine/registry), what platforms mean (engine/platform), what is stored
// (store) and what may go (gc) together, and knows nothing of a command line:
// it takes parsed options, returns values, and reports progress as events.
//
// Use it as a library:
//
//	e := engine.New(engine.Config{})
//	results, err := e.Pull(ctx, "docker.io/library/alpine:3.15", engine.PullOptions{})
//
// A program that does so calls reexec.Init of go.podman.io/storage/pkg/reexec
// first in main: the store unpacks layers in a child of the program itself.
package engine
