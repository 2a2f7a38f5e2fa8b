package main

import (
	"os"
	"runtime"
	"runtime/debug"
	"testing"
	"time"
)

// TestCollect follows the pace of garbage collection from the start of a command.
func TestCollect(t *testing.T) {
	if os.Getenv("GOGC") != "" {
		t.Skip("GOGC has its way")
	}
	defer debug.SetGCPercent(usualPace)
	pace := func() int {
		percent := debug.SetGCPercent(usualPace)
		debug.SetGCPercent(percent)
		return percent
	}
	becomes := func(when string, want int) {
		t.Helper()
		for end := time.Now().Add(time.Minute); pace() != want; runtime.GC() {
			if time.Now().After(end) {
				t.Fatalf("%s: %d, not %d", when, pace(), want)
			}
		}
	}
	collectLater()
	if got := pace(); got != firstPace {
		t.Errorf("at the start: %d, not %d", got, firstPace)
	}
	becomes("after the first collection", usualPace)
	collectLater()
	collectSooner()
	for range 10 {
		runtime.GC()
	}
	becomes("in a pull, after collections", pullPace)
}
