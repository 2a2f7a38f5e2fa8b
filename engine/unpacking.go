package engine

import (
	"context"
	"fmt"
	"os"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/mpull/mpull/engine/children"

	"github.com/mpull/mpull/store"
)

// unpackPoll is how often the disk is looked at while layers are unpacked: a
// bomb fills some ten megabytes in that time.
const unpackPoll = 20 * time.Millisecond

// monitor looks at the store's disk while an image is copied, and ends the
// copy when it would fill the disk. The library unpacks in a child of this
// program, which no context ends: when ctx ends, for whichever reason, the
// monitor ends the child by stop (stopUnpackers). It returns when done is closed,
// which the caller waits for, and never calls stop after that: a child is another
// copy's then.
func monitor(ctx context.Context, cancel context.CancelCauseFunc, path string, done <-chan struct{}, stop func()) {
	first, err := store.DiskOf(path)
	if err != nil {
		cancel(err)
	}
	tick := time.NewTicker(unpackPoll)
	defer tick.Stop()
	ended := ctx.Done()
	for {
		select {
		case <-done:
			return
		case <-ended:
			ended = nil // look again at each tick: there may be a next child
		case <-tick.C:
			if ctx.Err() == nil {
				if err := full(path, first); err != nil {
					cancel(err)
				}
			}
		}
		if ctx.Err() == nil {
			continue
		}
		select {
		case <-done:
			return // and what else was ready does not count
		default:
			stop()
		}
	}
}

// full compares the disk with what it was.
func full(path string, first store.Disk) error {
	now, err := store.DiskOf(path)
	if err == nil && now.Free < now.Reserve()/2 && now.Free < first.Free {
		err = &store.SpaceError{Path: path, Free: now.Free, Reserve: now.Reserve()}
	}
	return err
}

// stopUnpackers ends the children of this process that unpack layers, and no
// others. They are the program itself, started under a name of the library's
// (go.podman.io/storage/pkg/chrootarchive).
func stopUnpackers() {
	for _, pid := range children.Of(os.Getpid()) {
		if unpacks(pid) {
			_ = unix.Kill(pid, unix.SIGKILL)
		}
	}
}

func unpacks(pid int) bool {
	cmdline, _ := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid)) // nothing of one that has ended
	name, _, _ := strings.Cut(string(cmdline), "\x00")
	return name == "storage-untar" || name == "storage-applyLayer"
}
