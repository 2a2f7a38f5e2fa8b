package integration

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/mpull/mpull/integration/testenv"
)

// TestPruneKeepsWhatIsMounted mounts an image with podman and takes its names:
// neither prune, in any form, nor rmi nor doctor touches it while it is mounted.
func TestPruneKeepsWhatIsMounted(t *testing.T) {
	testenv.Need(t, "podman")
	for _, driver := range drivers(t) {
		t.Run(driver, func(t *testing.T) {
			m, _ := newMachine(t, driver)
			podman := []string{"podman"}
			if os.Getenv(rootlessVar) != "" {
				podman = []string{"podman", "unshare", "podman"} // where an ordinary user's mounts are
			}
			held := strings.TrimSpace(m.run("mine", "mpull", "-q", "alpine:3.15"))
			m.run("mine", append(podman, "image", "mount", held)...)
			m.run("mine", "mpull", "-q", "--platform", "linux/s390x", "alpine:3.15") // takes the name
			young := strings.TrimSpace(m.run("mine", "mpull", "-q", "alpine:3.15"))
			if young != held {
				t.Fatalf("alpine:3.15 is %s and %s", held, young)
			}
			m.run("mine", "mpull", "untag", "alpine:3.15")
			plan := m.run("mine", "mpull", "prune", "--dry-run")
			if !strings.Contains(plan, "mounted") || !strings.Contains(plan, held[:12]) {
				t.Errorf("the plan does not say that it is mounted:\n%s", plan)
			}
			for _, args := range [][]string{{}, {"--all"}, {"--all", "--keep", "1"}, {"--free", "1"}, {"--all", "--free", "10TB"}} {
				want := 0
				if slices.Contains(args, "--free") {
					want = 1 // what is asked for is not there
				}
				cmd := m.command("mine", append([]string{"mpull", "prune", "--force"}, args...)...)
				out, _ := cmd.Output()
				if got := cmd.ProcessState.ExitCode(); got != want || strings.Contains(string(out), held) {
					t.Errorf("prune %v ended with %d, want %d: %s", args, got, want, out)
				}
			}
			m.exits(2, "mpull", "rmi", "--force", held)
			m.run("mine", append(podman, "image", "unmount", held)...)
			if got := strings.Fields(m.run("mine", "mpull", "prune", "--force")); !slices.Equal(got, []string{held}) {
				t.Errorf("pruned %v, want %s", got, held)
			}
		})
	}
}

// tagRounds is how often prune and podman tag compete for an image.
const tagRounds = 6

// TestPruneBesideTag names an image with podman while mpull prunes it. A name
// that podman gave, with exit code 0, is there afterwards.
func TestPruneBesideTag(t *testing.T) {
	testenv.Need(t, "podman")
	rounds := tagRounds
	if n := os.Getenv("MPULL_TAG_ROUNDS"); n != "" {
		if _, err := fmt.Sscan(n, &rounds); err != nil {
			t.Fatal(err)
		}
	}
	m, _ := newMachine(t, "overlay")
	archive := filepath.Join(m.dir, "a.tar")
	m.run("mine", "mpull", "-q", "alpine:3.16") // so that there is a layer that stays
	id := strings.TrimSpace(m.run("mine", "mpull", "-q", "alpine:3.15"))
	m.run("mine", "mpull", "save", "-q", "-o", archive, "alpine:3.15")
	begin := time.Now()
	m.run("mine", "podman", "tag", id, "localhost/first:1")
	took := time.Since(begin)
	m.run("mine", "podman", "untag", id, "localhost/first:1")
	named, pruned := 0, 0
	for round := range rounds {
		m.run("mine", "mpull", "load", "-q", "-i", archive)
		m.run("mine", "mpull", "untag", "alpine:3.15")
		name := fmt.Sprintf("localhost/kept:%d", round)
		tag := m.command("mine", "podman", "tag", id, name)
		prune := m.command("mine", "mpull", "prune", "--force")
		if err := tag.Start(); err != nil {
			t.Fatal(err)
		}
		<-time.After(time.Duration(float64(took) * (float64(round%20) + 0.5) / 20)) // meets it in each of its phases
		if out, err := prune.CombinedOutput(); err != nil {
			t.Fatalf("prune: %v: %s", err, out)
		}
		if tag.Wait() != nil {
			pruned++ // it was gone before podman had looked it up
			continue
		}
		named++
		list := m.run("mine", "mpull", "images", "--all", "--no-trunc", "--format", "{{.ID}} {{.Names}}")
		if !strings.Contains(list, name) || !strings.Contains(list, id) {
			t.Fatalf("round %d: podman gave the name %s, and it is lost:\n%s", round, name, list)
		}
		m.run("mine", "podman", "untag", id, name)
	}
	t.Logf("%d rounds: %d named, %d pruned first, 0 lost", rounds, named, pruned)
}
