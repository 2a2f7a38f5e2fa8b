package main

import (
	"os"
	"runtime"
	"runtime/debug"
)

// Paces of garbage collection, as GOGC counts them: how much the heap grows, in
// percent of what is used, before it is collected.
const (
	firstPace = 200 // of the 4 MB that Go begins at (heapMinimum of src/runtime/mgcpacer.go)
	usualPace = 100
	pullPace  = 35
)

// collectLater lets the heap grow to 8 MB before the first garbage collection:
// most commands end below that, and one collection is a tenth of their time.
// From the first one on, the pace is Go's own. GOGC has its way.
func collectLater() {
	if os.Getenv("GOGC") != "" {
		return
	}
	debug.SetGCPercent(firstPace)
	runtime.AddCleanup(new([64]byte), func(usual int) {
		if is := debug.SetGCPercent(usual); is != firstPace {
			debug.SetGCPercent(is) // the command has set its own
		}
	}, usualPace)
}

// collectSooner keeps the garbage that may lie about to a third of what is
// used. What a pull needs of the heap is the same for each layer, and soon
// garbage: collected at the usual pace, it doubles the peak of memory and saves
// little time. GOGC has its way.
func collectSooner() {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(pullPace)
	}
}
