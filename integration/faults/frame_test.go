package faults

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/mpull/mpull/integration/testbed"
	"github.com/mpull/mpull/integration/testimage"
)

// TestNotWhole takes away what a power loss may of a store: a lock file or a
// folder, and the end of a list's writing. What reads says what it finds, and
// makes nothing of its own; doctor repairs, and prune prunes.
func TestNotWhole(t *testing.T) { eachDriver(t, notWhole) }

func notWhole(t *testing.T, driver string) {
	for _, lost := range []string{"userns.lock", driver + "-images/images.lock", driver + "-layers/layers.lock", driver + "-containers"} {
		t.Run(lost, func(t *testing.T) {
			b, reg := newBed(t), newRegistry(t)
			b.Driver = driver
			for seed := range uint64(2) {
				push(t, reg, "app:1", testimage.Spec{Seed: seed})
				b.Must("pull", "--quiet", "--tls-verify=false", reg.Host+"/app:1")
			}
			missing := filepath.Join(b.Root, lost)
			half := filepath.Join(b.Root, driver+"-layers", ".tmp-layers.json123")
			loses(t, missing, half)
			if r := b.Must("doctor"); !strings.Contains(r.Stdout, half) || !strings.Contains(r.Stderr, "Nothing is damaged") {
				t.Errorf("doctor: %s", r)
			}
			made := strings.Contains(lost, "s/") // the library makes these when it reads, too
			if r := b.Mpull("prune", "--dry-run"); !made && (r.Code != 125 || !strings.Contains(r.Stderr, "power loss") || !strings.Contains(r.Stderr, "doctor --repair")) {
				t.Errorf("prune --dry-run: %s", r)
			}
			if _, err := os.Lstat(missing); err == nil && !made {
				t.Errorf("reading has made %s", lost)
			}
			b.Must("doctor", "--repair", "--force")
			if _, err := os.Lstat(half); err == nil {
				t.Error("the half list is left")
			}
			loses(t, missing, half)
			b.Must("prune", "--force")
			assertImages(t, b, 1)
			sound(t, b, true)
		})
	}
}

// loses takes a file or folder away, and leaves a list that is half written.
func loses(t *testing.T, missing, half string) {
	t.Helper()
	if err := os.RemoveAll(missing); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(half, []byte("["), 0o600); err != nil {
		t.Fatal(err)
	}
}

func assertImages(t *testing.T, b *testbed.Bed, want int) {
	t.Helper()
	if got := len(strings.Fields(b.Must("images", "--all", "--quiet").Stdout)); got != want {
		t.Errorf("%d images, not %d", got, want)
	}
}
