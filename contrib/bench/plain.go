package main

import (
	"context"
	"fmt"

	"go.podman.io/image/v5/copy"
	"go.podman.io/image/v5/docker"
	"go.podman.io/image/v5/signature"
	storagetransport "go.podman.io/image/v5/storage"
	"go.podman.io/image/v5/types"
	"go.podman.io/storage"
)

// plainWord makes this program copy one image with the library alone: what
// any tool on the same libraries does at least.
const plainWord = "plain-copy"

// plainCopy takes the graph root, the run root and the reference.
func plainCopy(args []string) error {
	if len(args) != 3 {
		return fmt.Errorf("want root, runroot and reference")
	}
	store, err := storage.GetStore(storage.StoreOptions{GraphRoot: args[0], RunRoot: args[1], GraphDriverName: "overlay"})
	if err != nil {
		return err
	}
	src, err := docker.ParseReference("//" + args[2])
	if err != nil {
		return err
	}
	dest, err := storagetransport.Transport.ParseStoreReference(store, args[2])
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
