package faults

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/mpull/mpull/integration/testimage"
)

// TestDoctorWithoutAllLocks takes away what a power loss may: a lock file, and the
// end of a list's writing. Doctor says what it finds, creating nothing, and repairs.
func TestDoctorWithoutAllLocks(t *testing.T) { eachDriver(t, doctorWithoutAllLocks) }

func doctorWithoutAllLocks(t *testing.T, driver string) {
	b, reg := newBed(t), newRegistry(t)
	b.Driver = driver
	push(t, reg, "app:1", testimage.Spec{})
	b.Must("pull", "--quiet", "--tls-verify=false", reg.Host+"/app:1")
	missing := filepath.Join(b.Root, "userns.lock")
	if err := os.Remove(missing); err != nil {
		t.Fatal(err)
	}
	half := filepath.Join(b.Root, driver+"-layers", ".tmp-layers.json123")
	if err := os.WriteFile(half, []byte("["), 0o600); err != nil {
		t.Fatal(err)
	}
	if r := b.Must("doctor"); !strings.Contains(r.Stdout, half) || !strings.Contains(r.Stderr, "Nothing is damaged") {
		t.Errorf("doctor: %s", r)
	}
	if _, err := os.Lstat(missing); err == nil {
		t.Error("doctor created a lock file")
	}
	b.Must("doctor", "--repair", "--force")
	if _, err := os.Lstat(half); err == nil {
		t.Error("the half list is left")
	}
	sound(t, b, true)
}
