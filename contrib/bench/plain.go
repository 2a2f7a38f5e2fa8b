package main

import (
	"cmp"
	"context"
	"fmt"
	"os"

	"go.podman.io/image/v5/copy"
	"go.podman.io/image/v5/signature"
	storagetransport "go.podman.io/image/v5/storage"
	"go.podman.io/image/v5/transports/alltransports"
	"go.podman.io/image/v5/types"
	"go.podman.io/storage"
	"go.podman.io/storage/pkg/unshare"
)

// plainWord makes this program copy one image with the library alone: what
// any tool on the same libraries does at least.
const plainWord = "plain-copy"

// partialVar tells this program whether the library is to pull in parts.
const partialVar = "MPULL_BENCH_PARTIAL"

// plainCopy takes the graph root, the run root, the reference, the driver and
// its options.
func plainCopy(args []string) error {
	if len(args) < 4 {
		return fmt.Errorf("want root, runroot, reference and driver")
	}
	if unshare.IsRootless() {
		unshare.MaybeReexecUsingUserNamespace(true)
	}
	store, err := storage.GetStore(storage.StoreOptions{
		GraphRoot: args[0], RunRoot: args[1], GraphDriverName: args[3], GraphDriverOptions: args[4:],
		PullOptions: map[string]string{"enable_partial_images": cmp.Or(os.Getenv(partialVar), "false")},
	})
	if err != nil {
		return err
	}
	source, name := "docker://"+args[2], args[2]
	if fromLayout(args[2]) {
		source, name = args[2], "localhost/bench:1"
	}
	src, err := alltransports.ParseImageName(source)
	if err != nil {
		return err
	}
	dest, err := storagetransport.Transport.ParseStoreReference(store, name)
	if err != nil {
		return err
	}
	policy, err := signature.NewPolicyContext(&signature.Policy{Default: signature.PolicyRequirements{signature.NewPRInsecureAcceptAnything()}})
	if err != nil {
		return err
	}
	sys := &types.SystemContext{DockerInsecureSkipTLSVerify: types.OptionalBoolTrue}
	if _, err := copy.Image(context.Background(), policy, dest, src, &copy.Options{SourceCtx: sys, DestinationCtx: sys}); err != nil {
		return err
	}
	_, err = store.Shutdown(false)
	return err
}
