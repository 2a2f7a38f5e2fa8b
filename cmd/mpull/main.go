//go:build linux

package main

import (
	"context"
	"os"

	"go.podman.io/storage/pkg/reexec"

	_ "github.com/mpull/mpull/cmd/mpull/prelude" // closed streams, crashes
	"github.com/mpull/mpull/engine/container"
)

func main() {
	// The store unpacks layers in a child of this program: such a child must
	// do that and nothing else.
	reexec.Register(container.InitName, container.Init)
	if reexec.Init() {
		return
	}
	settleNamespace()
	os.Exit(run(context.Background(), os.Args, systemStreams()))
}
