package integration

import (
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/mpull/mpull/integration/testenv"
	"github.com/mpull/mpull/integration/testimage"
	"github.com/mpull/mpull/integration/testregistry"
)

// TestExamples runs each example of the help, in a shell, on a machine where
// what they speak of is there.
func TestExamples(t *testing.T) {
	registry := testregistry.New()
	defer registry.Close()
	if err := stock(registry); err != nil {
		t.Fatal(err)
	}
	busybox, err := testimage.Image(testimage.Spec{Seed: 80})
	if err != nil {
		t.Fatal(err)
	}
	if err := registry.PushImage("library/busybox:1.36", busybox); err != nil {
		t.Fatal(err)
	}
	m := machineFor(t, t.TempDir(), "vfs", registry.Host)
	x := &examples{machine: m, registry: registry.Host}
	x.prepare()
	ran := 0
	for _, doc := range x.commands() {
		for _, example := range doc.Examples {
			if why := x.skip(example); why != "" {
				t.Logf("not run: %s: %s", example, why)
				continue
			}
			x.run(doc.Name, example)
			ran++
		}
	}
	if ran < 80 {
		t.Errorf("only %d examples", ran)
	}
}

// commandDoc is what mpull says of a command.
type commandDoc struct {
	Name     string
	Examples []string
	Commands []commandDoc
}

type examples struct {
	*machine
	registry string
	lost     string // an image that lost its name
}

func (x *examples) commands() []commandDoc {
	x.t.Helper()
	var app commandDoc
	if err := json.Unmarshal([]byte(x.machine.run("mine", "mpull", "__describe")), &app); err != nil {
		x.t.Fatal(err)
	}
	all := []commandDoc{app}
	for i := 0; i < len(all); i++ {
		all = append(all, all[i].Commands...)
	}
	return all
}

// prepare makes the files that examples name, and programs that stand for what
// is not a matter of mpull.
func (x *examples) prepare() {
	x.t.Helper()
	for name, text := range map[string]string{
		"ssh": `shift; exec "$@"`, "pass": "echo secret", "git": "exit 0",
	} {
		path := filepath.Join(x.dir, "programs", name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			x.t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte("#!/bin/sh\n"+text+"\n"), 0o755); err != nil {
			x.t.Fatal(err)
		}
	}
	x.env = append(x.env, "PATH="+x.dir+"/programs:"+filepath.Dir(testenv.Binary())+":"+os.Getenv("PATH"))
	if err := os.Mkdir(filepath.Join(x.dir, "certs"), 0o755); err != nil {
		x.t.Fatal(err)
	}
	if err := writeSource("oci", filepath.Join(x.dir, "build"), "latest"); err != nil {
		x.t.Fatal(err)
	}
	x.restore()
	x.lost = strings.TrimSpace(x.machine.run("mine", "mpull", "images", "-q", "--dangling"))
	x.machine.run("mine", "sh", "-c", "mpull info --host > device.json; mpull save -q --all-platforms -o alpine.tar alpine:3.15; mpull lock images.lock alpine:3.15")
}

// restore brings back what an example may have removed: the tag is arm's, and
// an image lost it.
func (x *examples) restore() {
	x.t.Helper()
	for _, platform := range []string{"native", "linux/arm/v7"} {
		x.machine.run("mine", "mpull", "-q", "--policy", "missing", "--platform", platform, "alpine:3.15")
	}
}

func (x *examples) skip(example string) string {
	switch {
	case example == "mpull login quay.io", strings.Contains(example, "run -t"):
		return "it goes on talking to a terminal"
	case asks(example):
		if _, err := exec.LookPath("script"); err != nil {
			testenv.Missing(x.t, "script is not installed")
		}
	case strings.Contains(example, "jq "):
		if _, err := exec.LookPath("jq"); err != nil {
			testenv.Missing(x.t, "jq is not installed")
		}
	case strings.HasPrefix(example, "mpull run ") && testenv.NoRuntime() != "":
		return testenv.NoRuntime()
	}
	return ""
}

// asks tells whether a command asks before it does something.
func asks(example string) bool {
	return strings.HasPrefix(example, "mpull prune") && !strings.Contains(example, "--force") && !strings.Contains(example, "--dry-run")
}

var (
	imageID = regexp.MustCompile(`\b[0-9a-f]{12}\b`)
	remark  = regexp.MustCompile(`  +\S.*$`)
	domains = regexp.MustCompile(`quay\.io|registry\.example\.org:5000`)
)

// codes are the exit codes that examples may end with where not only 0 is an
// answer: nothing of the images of the tests can be run.
func codes(example string) []int {
	if strings.Contains(example, " --free ") || strings.Contains(example, " --until-used ") {
		return []int{0, 1} // the machine's disk may be fuller than this store can mend
	}
	for start, list := range map[string][]int{
		"mpull check ": {0, 126, 127}, "mpull run ": {126, 127}, "mpull outdated": {0, 1},
	} {
		if strings.HasPrefix(example, start) {
			return list
		}
	}
	return []int{0}
}

func (x *examples) run(command, example string) {
	x.t.Helper()
	x.restore()
	if command == "untag" {
		x.machine.run("mine", "mpull", "tag", x.lost, "localhost/base:stable")
	}
	line := remark.ReplaceAllString(example, "")
	line = imageID.ReplaceAllString(line, x.lost)
	line = domains.ReplaceAllString(line, x.registry)
	cmd := x.command("mine", "bash", "-o", "pipefail", "-c", line)
	if asks(line) {
		cmd = x.command("mine", "script", "-qec", line, "/dev/null")
		cmd.Stdin = strings.NewReader("y\n")
	}
	out, err := cmd.CombinedOutput()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		x.t.Fatal(err)
	}
	if got := cmd.ProcessState.ExitCode(); !slices.Contains(codes(example), got) {
		x.t.Errorf("%s\nran as %s\nended with %d:\n%s", example, line, got, out)
	}
}
