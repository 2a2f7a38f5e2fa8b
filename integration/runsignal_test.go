package integration

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/mpull/mpull/integration/testenv"
)

// TestRunSignalledAtAnyMoment sends a signal to mpull run at a random moment of
// a start, of a program that does not end by itself. mpull ends with 128 and the
// signal, whether the program was there to hear it or not, and nothing is left.
func TestRunSignalledAtAnyMoment(t *testing.T) {
	rounds := 60
	if testenv.Short(t) {
		rounds = 12
	}
	onDrivers(t, func(t *testing.T, m *machine) {
		started := time.Now()
		first := m.startWaiting()
		took := time.Since(started)
		_ = first.Process.Signal(unix.SIGTERM)
		first.code(t)
		seed := uint64(time.Now().UnixNano())      //nolint:gosec // any seed will do
		mine := fmt.Sprintf("forever\x00%d", seed) // others may run this test too
		random := rand.New(rand.NewPCG(seed, 0))
		for range rounds {
			sig := []unix.Signal{unix.SIGTERM, unix.SIGHUP, unix.SIGINT}[random.IntN(3)]
			moment := time.Duration(random.Int64N(int64(took * 5 / 4)))
			cmd := m.command("mine", "mpull", "run", "--entrypoint", "forever", "team/try:1", strconv.FormatUint(seed, 10))
			var out strings.Builder
			cmd.Stdout, cmd.Stderr = &out, &out
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			timer := time.AfterFunc(moment, func() { _ = cmd.Process.Signal(sig) })
			hung := time.AfterFunc(30*time.Second, func() { _ = cmd.Process.Kill() })
			_ = cmd.Wait()
			timer.Stop()
			if !hung.Stop() {
				t.Errorf("seed %d: %v after %v: mpull went on:\n%s", seed, sig, moment, &out)
			}
			// Before mpull listens the signal is the kernel's to answer.
			state := cmd.ProcessState
			if w := state.Sys().(interface{ Signaled() bool }); state.ExitCode() != 128+int(sig) && !w.Signaled() {
				t.Errorf("seed %d: %v after %v ends with %v:\n%s", seed, sig, moment, state, &out)
			}
			if left := m.left(); len(left) > 0 {
				t.Errorf("seed %d: %v after %v leaves %v", seed, sig, moment, left)
			}
		}
		lines, err := filepath.Glob("/proc/[0-9]*/cmdline")
		if err != nil {
			t.Fatal(err)
		}
		for _, path := range lines {
			if line, err := os.ReadFile(path); err == nil && strings.HasPrefix(string(line), mine) {
				t.Errorf("%s still runs: %q", path, line)
			}
		}
	})
}
