package main

import (
	"context"
	"os"

	"go.podman.io/storage/pkg/reexec"
)

func main() {
	// The store unpacks layers in a child of this program: such a child must
	// do that and nothing else.
	if reexec.Init() {
		return
	}
	os.Exit(run(context.Background(), os.Args, systemStreams()))
}
