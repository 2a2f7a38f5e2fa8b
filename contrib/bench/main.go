// Bench times whole commands of mpull against the plain library path and the
// installed peers, podman and skopeo, in one run on one machine: a registry in
// this process, stores on tmpfs where mounting is allowed. It prints medians of
// alternating rounds, and ratios to the better peer and to the plain path.
//
// Nothing asserts a time: figures are for people.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"

	"go.podman.io/storage/pkg/reexec"
)

func main() {
	if reexec.Init() {
		return
	}
	if len(os.Args) > 1 && os.Args[1] == plainWord {
		if err := plainCopy(os.Args[2:]); err != nil {
			fmt.Fprintln(os.Stderr, "bench: plain copy:", err)
			os.Exit(1)
		}
		return
	}
	if len(os.Args) > 1 && os.Args[1] == measureWord {
		os.Exit(measureChild(os.Args[2:]))
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	var o options
	flag.StringVar(&o.mpull, "mpull", "bin/mpull", "the binary to measure")
	flag.IntVar(&o.rounds, "rounds", 5, "alternating rounds of each row")
	flag.StringVar(&o.only, "only", "", "comma-separated rows to run: mid, many, again, use, images, prune, start; empty means all")
	flag.IntVar(&o.megabytes, "megabytes", 215, "compressed size of the mid image")
	flag.IntVar(&o.images, "images", 1000, "images in the big store")
	flag.Parse()
	if err := bench(ctx, o); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

type options struct {
	mpull     string
	rounds    int
	only      string
	megabytes int
	images    int
}
