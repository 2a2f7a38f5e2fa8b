// Package engine owns mpull's use cases: Pull, Images, Tag, Untag, Remove,
// Restore, Use, Prune and what belongs to them. It ties what a registry says
// (engine/registry), what platforms mean (engine/platform), what is stored
// (store) and what may go (gc) together, and knows nothing of a command line:
// it takes parsed options, returns values, and reports progress as events.
//
// # Use as a library
//
// An [Engine] is made from a [Config], whose zero value means this machine, its
// configuration files and the store that podman uses:
//
//	func main() {
//		if reexec.Init() { // of go.podman.io/storage/pkg/reexec, first in main:
//			return // the store unpacks layers in a child of this program
//		}
//		e := engine.New(engine.Config{})
//		results, err := e.Pull(ctx, []string{"docker.io/library/alpine:3.15"}, engine.PullOptions{})
//		...
//	}
//
// An ordinary user's program must be in a user namespace before it changes a
// store: MaybeReexecUsingUserNamespace of go.podman.io/storage/pkg/unshare
// starts it again in one. Build with the tags containers_image_openpgp and
// exclude_graphdriver_btrfs, or have gpgme's and btrfs' headers at hand.
//
// # The store
//
// No method keeps the store open. Each opens it, takes one snapshot, does its
// work and closes it, so several programs, and podman beside them, can work on
// one store. Pull, Tag, Untag, Restore and Use hold mpull's lock shared, Remove
// and Prune exclusively; Images, Why, PlanPrune and the other readers hold
// none. An Engine calls Config.Events from one goroutine at a time.
//
// # Names and images
//
// Inputs are what a user types: short names, full names, IDs and beginnings of
// IDs, or TRANSPORT:PATH where a source is meant. A name that moves to another
// image leaves a displacement record with the one that lost it, which says by which
// command: that of the method, or what PullOptions and RemoveOptions name.
//
// # Errors
//
// Typed errors carry what a program needs: [query.UnknownError] (with the images
// that once had the name), [query.AmbiguousError], [query.NotHereError],
// platform.NotFoundError (with the platforms that are offered), store.ErrInUse,
// store.ErrReadOnly, registry.RefusedError. All others say what, where and what
// next, and wrap their cause. When the context ends, so does the method, with
// the store as it was or one step further, never in between.
package engine
