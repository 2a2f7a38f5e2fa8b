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
	"syscall"

	"go.podman.io/storage/pkg/reexec"
)

func main() {
	if reexec.Init() {
		return
	}
	if len(os.Args) > 1 {
		child(os.Args[1], os.Args[2:])
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	var o options
	flag.StringVar(&o.mpull, "mpull", "bin/mpull", "the binary to measure")
	flag.IntVar(&o.rounds, "rounds", 5, "alternating rounds of each row")
	flag.StringVar(&o.only, "only", "", "comma-separated rows to run: mid, many, user, fuse, vfs, oci (or user-mid, user-many, ...), again, use, check, images, prune, start, resume, slow, update, save; empty means all")
	flag.BoolVar(&o.peers, "peers", true, "measure podman and skopeo too")
	flag.IntVar(&o.megabytes, "megabytes", 215, "compressed size of the mid image")
	flag.IntVar(&o.images, "images", 1000, "images in the big store")
	flag.Parse()
	if err := bench(ctx, o); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// child does what this program was started for by itself, and ends; other
// words are for main.
func child(word string, args []string) {
	var err error
	switch word {
	case plainWord:
		err = plainCopy(args)
	case floorWord:
		err = floor(args)
	case measureWord:
		os.Exit(measureChild(args))
	default:
		return
	}
	if err != nil {
		fmt.Fprintf(os.Stderr, "bench: %s: %v\n", word, err)
		os.Exit(1)
	}
	os.Exit(0)
}

type options struct {
	peers     bool
	mpull     string
	rounds    int
	only      string
	megabytes int
	images    int
}
