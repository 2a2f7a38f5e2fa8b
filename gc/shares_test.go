package gc

import (
	"testing"
)

// byRecord measures by the sizes in the layers' records, and 1 for an image.
type byRecord map[string]int64

func (b byRecord) Layer(id string) int64 { return b[id] }
func (b byRecord) Image(string) int64    { return 1 }

func TestShares(t *testing.T) {
	snap := letters(t, `
		layer a 100
		layer b 20 on a
		layer c 3 on a
		layer d 7
		image P b app:1
		image Q c app:2
		image R d app:3
		image S d
	`)
	disk := byRecord{}
	for _, l := range snap.Layers {
		disk[l.ID] = l.UncompressedSize
	}
	want := []Share{{21, 100}, {4, 100}, {1, 7}, {1, 7}}
	for i, got := range Shares(snap, disk) {
		if got != want[i] {
			t.Errorf("image %d: %+v, not %+v", i, got, want[i])
		}
	}
}
