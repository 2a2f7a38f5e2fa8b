package engine

import (
	"testing"

	"github.com/mpull/mpull/store"
)

func TestThresholdsAreKubelets(t *testing.T) {
	const gb = 1_000_000_000
	for _, c := range []struct {
		name        string
		t           Threshold
		total, free int64
		bytes       int64
		enough      bool
	}{
		{"below the high one nothing goes, though above the low one", Threshold{When: 85, Until: 80}, 100 * gb, 16 * gb, 0, true},
		{"at the high one it begins", Threshold{When: 85, Until: 80}, 100 * gb, 15 * gb, 5 * gb, false},
		{"a full disk", Threshold{When: 85, Until: 80}, 100 * gb, 0, 20 * gb, false},
		{"without a high one it begins at the low one", Threshold{Until: 80}, 100 * gb, 19 * gb, 1 * gb, false},
		{"exactly at the low one", Threshold{Until: 80}, 100 * gb, 20 * gb, 0, true},
		{"without a low one everything may go", Threshold{When: 85}, 100 * gb, 10 * gb, 0, false},
		{"100%", Threshold{When: 100}, 100 * gb, gb / 2, 0, false},
		{"a disk that says nothing", Threshold{When: 1}, 0, 0, 0, true},
		{"a small disk", Threshold{Until: 50}, 10, 1, 4, false},
	} {
		bytes, enough := c.t.target(store.Disk{Total: c.total, Free: c.free})
		if bytes != c.bytes || enough != c.enough {
			t.Errorf("%s: %d, %t, want %d, %t", c.name, bytes, enough, c.bytes, c.enough)
		}
	}
}
