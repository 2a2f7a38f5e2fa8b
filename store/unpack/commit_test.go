package unpack

import (
	"fmt"
	"testing"
)

// TestAlsoStaged takes what is staged, up to what is not, failed, or another call's.
func TestAlsoStaged(t *testing.T) {
	for stop, channel := range map[string]chan staged{"not yet": make(chan staged, 1), "failed": closed(), "another call's": nil} {
		f := &fetcher{}
		for i := range 4 {
			f.staged = append(f.staged, make(chan staged, 1))
			f.staged[i] <- staged{fetched: i%2 == 0}
		}
		f.staged[2] = channel
		if got, want := fmt.Sprint(f.alsoStaged(1)), fmt.Sprint([]staged{{fetched: false}}); got != want {
			t.Errorf("%s: %s, want %s", stop, got, want)
		}
		if got := f.alsoStaged(3); len(got) != 1 || got[0].fetched {
			t.Errorf("%s: the last: %v", stop, got)
		}
		if got := f.alsoStaged(4); len(got) > 0 {
			t.Errorf("%s: beyond the last: %v", stop, got)
		}
	}
}

func closed() chan staged {
	c := make(chan staged)
	close(c)
	return c
}
