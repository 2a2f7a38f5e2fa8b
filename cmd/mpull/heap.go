//go:build linux

package main

import (
	"os"
	"runtime/debug"
)

const (
	// pullPace is how much the heap of a pull grows before it is collected, in
	// percent of what is used, as GOGC counts it.
	pullPace = 35
	// ballast is what counts as used from the start, in bytes. A small heap would
	// else be collected at each few megabytes, a hundred times while the library
	// makes such buffers for each of 60 small layers. It is never written to, so
	// that it takes no memory.
	ballast = 10 << 20
)

// collectSooner keeps the garbage that may lie about to a third of what is
// used. What a pull needs of the heap is the same for each layer, and soon
// garbage: collected at the usual pace, it doubles the peak of memory and saves
// little time. What it returns must be kept alive as long. GOGC has its way.
func collectSooner() []byte {
	if os.Getenv("GOGC") != "" {
		return nil
	}
	debug.SetGCPercent(pullPace)
	return make([]byte, ballast)
}
