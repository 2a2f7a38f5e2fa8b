package store

import (
	"os"
	"path/filepath"
	"testing"
)

// TestComposed checks that files in composefs form are seen where they can be: in
// layers with a list of their files, and in any of which no record is at hand.
func TestComposed(t *testing.T) {
	dir := t.TempDir()
	if err := os.MkdirAll(filepath.Join(dir, "a", "composefs-data"), 0o700); err != nil {
		t.Fatal(err)
	}
	a, b := filepath.Join(dir, "a", "diff"), filepath.Join(dir, "b", "diff")
	for name, tt := range map[string]struct {
		dirs  []string
		chain []*Layer
		want  bool
	}{
		"listed":    {[]string{b, a}, []*Layer{{}, {Listed: true}}, true},
		"unlisted":  {[]string{b, a}, []*Layer{{Listed: true}, {}}, false},
		"unknown":   {[]string{b, a}, nil, true},
		"empty":     {[]string{b, a}, []*Layer{}, true},
		"plain":     {[]string{b}, nil, false},
		"no layers": {nil, nil, false},
	} {
		if got := (&Store{}).composed(tt.dirs, tt.chain); got != tt.want {
			t.Errorf("%s: %t, want %t", name, got, tt.want)
		}
	}
}
