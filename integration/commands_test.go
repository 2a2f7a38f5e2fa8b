package integration

import (
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync/atomic"

	"github.com/rogpeppe/go-internal/testscript"
	"golang.org/x/sys/unix"

	"github.com/mpull/mpull/engine/host"
	"github.com/mpull/mpull/integration/testenv"
)

type command = func(ts *testscript.TestScript, neg bool, args []string)

// commands are what scripts have besides testscript's own.
func commands() map[string]command {
	return map[string]command{
		"need":     need,
		"exits":    exits,
		"hinted":   hinted,
		"capture":  capture,
		"requests": requests,
		"fault":    fault,
		"retag":    retag,
		"source":   source,
		"secure":   secure,
		"tmpfs":    tmpfs,
		"same":     same,
	}
}

func worldOf(ts *testscript.TestScript) *world { return ts.Value(worldKey{}).(*world) }

// hinted runs a command that must fail with one line that matches, and one hint
// that does; an empty pattern means that there is none:
//
//	hinted 'no such image' 'mpull images' mpull check alpine
func hinted(ts *testscript.TestScript, neg bool, args []string) {
	if err := ts.Exec(args[2], args[3:]...); neg || err == nil {
		ts.Fatalf("%q succeeds", args[2:])
	}
	var errs, hints []string
	for line := range strings.Lines(ts.ReadFile("stderr")) {
		switch line = strings.TrimSuffix(line, "\n"); {
		case strings.HasPrefix(line, "Error: "):
			errs = append(errs, line)
		case strings.HasPrefix(line, "Hint: "):
			hints = append(hints, line)
		}
	}
	if len(errs) != 1 || !regexp.MustCompile(args[0]).MatchString(errs[0]) {
		ts.Fatalf("%q: %q is not one error that matches %s", args[2:], errs, args[0])
	}
	if none := args[1] == ""; none && len(hints) > 0 || !none && (len(hints) != 1 || !regexp.MustCompile(args[1]).MatchString(hints[0])) {
		ts.Fatalf("%q: %q is not one hint that matches %s", args[2:], hints, args[1])
	}
}

// need skips the script when a program, root, or a driver is not here:
//
//	need podman jq
//	need root
//	need no-handlers      (no binfmt_misc handlers)
//	need runtime          (an OCI runtime)
//	need driver overlay
func need(ts *testscript.TestScript, _ bool, args []string) {
	t := worldOf(ts).t
	if args[0] == "driver" {
		if ts.Getenv("DRIVER") != args[1] {
			t.Skip("this story is told with " + args[1])
		}
		return
	}
	for _, what := range args {
		if what == "root" {
			if os.Geteuid() != 0 {
				t.Skip("only root can do this")
			}
			continue
		}
		if what == "no-handlers" {
			if len(host.ReadBinfmt("/proc/sys/fs/binfmt_misc").Handlers) > 0 {
				t.Skip("this machine has binfmt_misc handlers, which change the verdicts")
			}
			continue
		}
		if what == "runtime" {
			if why := testenv.NoRuntime(); why != "" {
				testenv.Missing(t, why)
			}
			continue
		}
		if _, err := exec.LookPath(what); err != nil {
			testenv.Missing(t, what+" is not installed")
		}
	}
}

// exits runs a program that must end with a code: exits CODE PROGRAM [ARG...].
func exits(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exits CODE PROGRAM [ARG...]")
	}
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	got := 0
	err = ts.Exec(args[1], args[2:]...)
	var exit *exec.ExitError
	switch {
	case errors.As(err, &exit):
		got = exit.ExitCode()
	case err != nil:
		ts.Fatalf("%v", err)
	}
	if got != want {
		ts.Fatalf("%s ended with %d, want %d", strings.Join(args[1:], " "), got, want)
	}
}

// capture sets variables to the words that the last program printed.
func capture(ts *testscript.TestScript, _ bool, args []string) {
	words := strings.Fields(ts.ReadFile("stdout"))
	if len(words) != len(args) {
		ts.Fatalf("%d words for %v: %q", len(words), args, words)
	}
	for i, name := range args {
		ts.Setenv(name, words[i])
	}
}

// same compares two values.
func same(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) != 2 || args[0] == "" || (args[0] == args[1]) == neg {
		ts.Fatalf("values: %q", args)
	}
}

// requests checks how many requests the registry had since the last time, of
// those that match a pattern: requests N [PATTERN].
func requests(ts *testscript.TestScript, _ bool, args []string) {
	pattern := ""
	if len(args) == 2 {
		pattern = args[1]
	}
	var hits []string
	for _, r := range worldOf(ts).registry.Requests() {
		if regexp.MustCompile(pattern).MatchString(r) {
			hits = append(hits, r)
		}
	}
	switch n, err := strconv.Atoi(args[0]); {
	case args[0] == "some":
		if len(hits) == 0 {
			ts.Fatalf("no request matched %q", pattern)
		}
	case err != nil:
		ts.Check(err)
	case n != len(hits):
		ts.Fatalf("%d requests, want %d:\n%s", len(hits), n, strings.Join(hits, "\n"))
	}
}

// fault makes the registry fail: fault STATUS TIMES PATTERN answers the first
// TIMES requests that match with STATUS; fault none ends it.
func fault(ts *testscript.TestScript, _ bool, args []string) {
	registry := worldOf(ts).registry
	if args[0] == "none" {
		registry.Fault(nil)
		return
	}
	status, err := strconv.Atoi(args[0])
	ts.Check(err)
	times, err := strconv.ParseInt(args[1], 10, 64)
	ts.Check(err)
	pattern := regexp.MustCompile(args[2])
	var left atomic.Int64
	left.Store(times)
	registry.Fault(func(w http.ResponseWriter, r *http.Request) {
		if pattern.MatchString(r.Method+" "+r.URL.Path) && left.Add(-1) >= 0 {
			http.Error(w, http.StatusText(status), status)
		}
	})
}

// retag makes a tag of the registry stand for what another one does: retag
// REPO:TAG REPO:TAG.
func retag(ts *testscript.TestScript, _ bool, args []string) {
	g, err := oneGoods()
	ts.Check(err)
	ts.Check(worldOf(ts).registry.PushIndex(args[1], g.indexes[args[0]]))
}

// source writes an image outside any registry: source FORM PATH [NAME], where
// FORM is oci, oci-archive, docker-archive or dir.
func source(ts *testscript.TestScript, _ bool, args []string) {
	name := ""
	if len(args) > 2 {
		name = args[2]
	}
	ts.Check(writeSource(args[0], ts.MkAbs(args[1]), name))
}

// secure starts a second address of the registry, behind TLS with a private
// authority and a password: secure PREFIX USER PASSWORD sets PREFIX_HOST, and
// PREFIX_CERTS to a folder as certs.d has it.
func secure(ts *testscript.TestScript, _ bool, args []string) {
	server, ca, err := newTLSServer(worldOf(ts).registry.Host, args[1], args[2])
	ts.Check(err)
	ts.Defer(server.Close)
	dir := ts.MkAbs("certs-" + args[0])
	ts.Check(os.MkdirAll(dir, 0o700))
	ts.Check(os.WriteFile(filepath.Join(dir, "ca.crt"), ca, 0o600))
	ts.Setenv(args[0]+"_HOST", strings.TrimPrefix(server.URL, "https://"))
	ts.Setenv(args[0]+"_CERTS", dir)
}

// tmpfs mounts a small file system: tmpfs DIR SIZE.
func tmpfs(ts *testscript.TestScript, _ bool, args []string) {
	dir := ts.MkAbs(args[0])
	ts.Check(os.MkdirAll(dir, 0o755))
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, "size="+args[1]); err != nil {
		ts.Fatalf("mounting a tmpfs: %v", err)
	}
	ts.Defer(func() {
		unmountBelow(dir)
		if err := unix.Unmount(dir, unix.MNT_DETACH); err != nil {
			fmt.Fprintln(os.Stderr, "unmounting", dir, err)
		}
	})
}
