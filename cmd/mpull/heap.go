//go:build linux

package main

import (
	"os"
	"runtime/debug"
)

const (
	// pullPace is the GOGC of a pull: the heap is collected when it has grown by
	// so many percent.
	pullPace = 50
	// ballast, in bytes, is part of the heap of a pull from the start, listBallast
	// of a listing's. Without it a heap of a few megabytes is collected again and
	// again: five times, for a tenth of the whole time, in a listing of 1,000
	// images. Nothing is ever written to it, so that it takes no memory.
	ballast     = 10 << 20
	listBallast = 16 << 20
)

// collectSooner collects garbage when there is half of what is in use, not as
// much as is in use, which is Go's default. A pull makes the same buffers for each
// layer: collected at the default pace they double the peak of memory, and that
// saves little time. The caller keeps what is returned until the pull has ended.
// A GOGC in the environment counts instead.
func collectSooner() []byte {
	if os.Getenv("GOGC") != "" {
		return nil
	}
	debug.SetGCPercent(pullPace)
	return make([]byte, ballast)
}
