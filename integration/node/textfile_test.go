package node

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/mpull/mpull/integration/testbed"
	"github.com/mpull/mpull/integration/testenv"
)

// textfile runs the sample for node exporter, and returns what it wrote by
// name.
func (n *crio) textfile(t *testing.T, args ...string) (map[string]float64, testbed.Result) {
	t.Helper()
	dir := filepath.Join(n.Dir, "textfiles")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("../../contrib/fleet/node-exporter/mpull-textfile.sh", append([]string{dir}, args...)...)
	// A line of words, in which a path to the binary may be none.
	cmd.Env = append(os.Environ(), "PATH="+filepath.Dir(testenv.Binary())+":"+os.Getenv("PATH"), "MPULL=mpull "+strings.Join(n.Command().Args[1:], " "))
	r := n.StartCommand(cmd).Wait()
	if left, err := filepath.Glob(dir + "/.mpull*"); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v %v", left, err)
	}
	text, err := os.ReadFile(filepath.Join(dir, "mpull.prom"))
	if err != nil {
		t.Fatalf("%v: %s", err, r)
	}
	// The exposition format, as much of it as the sample uses.
	line := regexp.MustCompile(`^([a-z_]+(?:\{part="[A-Za-z]+"\})?) ([0-9]+)$`)
	found := map[string]float64{}
	for _, l := range strings.Split(strings.TrimSpace(string(text)), "\n") {
		if strings.HasPrefix(l, "# HELP ") || strings.HasPrefix(l, "# TYPE ") {
			continue
		}
		m := line.FindStringSubmatch(l)
		if m == nil {
			t.Fatalf("no sample of the exposition format: %q", l)
		}
		if found[m[1]], err = strconv.ParseFloat(m[2], 64); err != nil {
			t.Fatal(err)
		}
	}
	return found, r
}

// TestTextfile follows a store through a prune.
func TestTextfile(t *testing.T) {
	testenv.Need(t, "jq")
	n := newNode(t, false)
	n.pulled("team/app:1", 1)
	n.push("team/app:1", 2)
	if _, err := n.pull("team/app:1"); err != nil {
		t.Fatal(err)
	}
	before, r := n.textfile(t)
	if r.Code != 0 || before["mpull_images"] != 2 || before["mpull_dangling_images"] != 1 {
		t.Fatalf("%v %s", before, r)
	}
	if _, ok := before["mpull_last_prune_timestamp"]; ok {
		t.Error("it says that there was a prune")
	}
	sum := 0.0
	for name, value := range before {
		if strings.HasPrefix(name, "mpull_store_part_bytes") {
			sum += value
		}
	}
	if sum != before["mpull_store_bytes"] || sum == 0 {
		t.Errorf("the parts are %.0f bytes, the store %.0f", sum, before["mpull_store_bytes"])
	}
	after, r := n.textfile(t, "prune", "--force")
	if r.Code != 0 || after["mpull_dangling_images"] != 0 || after["mpull_last_prune_removed_images"] != 1 || after["mpull_last_prune_reclaimed_bytes"] == 0 ||
		after["mpull_last_prune_exit_code"] != 0 || after["mpull_last_prune_timestamp"] > float64(time.Now().Unix()) || after["mpull_last_prune_timestamp"] < 1.7e9 {
		t.Errorf("%v %s", after, r)
	}
	if again, _ := n.textfile(t); again["mpull_last_prune_timestamp"] != after["mpull_last_prune_timestamp"] {
		t.Errorf("a look at the store forgot the prune: %v", again)
	}
	if failed, r := n.textfile(t, "prune", "--force", "--free", "1TB"); r.Code != 1 || failed["mpull_last_prune_exit_code"] != 1 {
		t.Errorf("a target that is not reached: %v %s", failed, r)
	}
	if bad, r := n.textfile(t, "prune", "--no-such-flag"); r.Code != 125 || bad["mpull_last_prune_exit_code"] != 125 || bad["mpull_last_prune_timestamp"] == 0 {
		t.Errorf("a prune that fails: %v %s", bad, r)
	}
}
