package main

import (
	"context"
	"os"

	"go.podman.io/storage/pkg/reexec"
)

// Set by the linker; see the Makefile.
var (
	version = "0.1.0-dev"
	commit  = "unknown"
)

func main() {
	// The store unpacks layers in a child of this program: such a child must
	// do that and nothing else.
	if reexec.Init() {
		return
	}
	os.Exit(run(context.Background(), os.Args, systemStreams()))
}
