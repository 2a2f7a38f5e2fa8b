package integration

import (
	"cmp"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sync/errgroup"

	"github.com/mpull/mpull/integration/doclines"
	"github.com/mpull/mpull/integration/testenv"
	"github.com/mpull/mpull/integration/testimage"
	"github.com/mpull/mpull/integration/testregistry"
)

// TestExamples runs each command line of README, docs and the help (which the
// man pages repeat) in a shell, on a machine where what they speak of is there.
// First those that change nothing, several at a time, then the others.
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
	reading, changing := x.lines()
	if n := len(reading) + len(changing); n < 120 {
		t.Errorf("only %d lines", n)
	}
	var together errgroup.Group
	together.SetLimit(runtime.NumCPU())
	for _, line := range reading {
		together.Go(func() error { x.run(line); return nil })
	}
	_ = together.Wait()
	for _, line := range changing {
		x.restore(line)
		x.run(line)
	}
}

// notRun are the lines of help and documents that are not run, each with the
// reason.
func notRun() map[string]string {
	const name, talks = "it stands for the command, in a sentence", "it goes on talking to a terminal"
	return map[string]string{
		"mpull login quay.io": talks, "mpull login docker.io": talks, "mpull run -t alpine:3.15": talks,
		"mpull __complete": name, "mpull check": name, "mpull inspect": name, "mpull load": name, "mpull lock": name,
		"mpull manifest inspect": name, "mpull platforms": name, "mpull pull": name, "mpull run": name, "mpull save": name,
		"mpull use": name, "mpull why": name,
	}
}

// captured is the document whose lines are captured from the program, and
// compared with it by contrib/demo.
const captured = "terminal.md"

// lines are those to run, each once, without and with a change to the store. An
// exception that nothing needs is an error.
func (x *examples) lines() (reading, changing []string) {
	x.t.Helper()
	quoted, err := doclines.In("..")
	if err != nil {
		x.t.Fatal(err)
	}
	quoted = slices.DeleteFunc(quoted, func(l doclines.Line) bool { return l.File == captured })
	for _, doc := range x.commands() {
		for _, example := range doc.Examples {
			quoted = append(quoted, doclines.Line{File: "help of " + doc.Name, Text: example})
		}
	}
	seen, without := map[string]bool{}, notRun()
	for _, l := range quoted {
		line := strings.TrimSpace(remark.ReplaceAllString(l.Text, ""))
		if seen[line] {
			continue
		}
		seen[line] = true
		switch why := cmp.Or(without[line], x.lacks(line)); {
		case why != "":
			x.t.Logf("not run: %s: %s (%s)", line, why, l.File)
			delete(without, line)
		case readingLine.MatchString(line):
			reading = append(reading, line)
		default:
			changing = append(changing, line)
		}
	}
	for line := range without {
		x.t.Errorf("the exception for %q is not needed", line)
	}
	return reading, changing
}

// readingLine are commands that change nothing in the store.
var readingLine = regexp.MustCompile(`^mpull (--version|version|help|completion|check|df|doctor$|image (exists|inspect|ls)|images|info|inspect|lock|manifest|match|outdated|platforms|prune --dry-run$|pull --dry-run|save [^|]*$|tags|why)`)

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
	x.restore("")
	x.lost = strings.TrimSpace(x.machine.run("mine", "mpull", "images", "-q", "--dangling"))
	x.machine.run("mine", "sh", "-c", "mpull info --host > device.json; mpull save -q --all-platforms -o alpine.tar alpine:3.15; mpull lock images.lock alpine:3.15")
}

// restore brings back what a line before may have removed: the tag is arm's, and
// an image lost it.
func (x *examples) restore(line string) {
	x.t.Helper()
	if strings.HasPrefix(line, "mpull restore ") { // what lost the name must be one image
		x.machine.run("mine", "mpull", "rmi", "--all", "--force")
	}
	if strings.Contains(line, "--locked") { // another example may have locked other platforms
		x.machine.run("mine", "mpull", "lock", "images.lock", "alpine:3.15")
	}
	wanted := []string{"native", "linux/arm/v7"}
	if strings.HasPrefix(line, "mpull save ") {
		wanted = append([]string{"linux/arm64"}, wanted...)
	}
	for _, platform := range wanted {
		x.machine.run("mine", "mpull", "-q", "--policy", "missing", "--platform", platform, "alpine:3.15")
	}
	if strings.Contains(line, "untag") && strings.Contains(line, "localhost/base:stable") {
		x.machine.run("mine", "mpull", "tag", x.lost, "localhost/base:stable")
	}
}

// lacks tells what this machine has not that a line needs.
func (x *examples) lacks(line string) string {
	if strings.HasPrefix(line, "mpull run ") && testenv.NoRuntime() != "" {
		return testenv.NoRuntime()
	}
	for program, needs := range map[string]bool{"script": asks(line), "jq": strings.Contains(line, "jq ")} {
		if needs {
			testenv.Need(x.t, program)
		}
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

// stands are the words that stand for something, and what they stand for here.
func stands() map[string]string {
	return map[string]string{"I": "alpine:3.15", "IMAGE": "alpine:3.15", "NAME": "alpine:3.15", "P": "linux/arm/v7", "FILE": "images.lock", "F": "out.tar"}
}

// codes are the exit codes that lines may end with where not only 0 is an
// answer: nothing of the images of the tests can be run.
func codes(line string) []int {
	if strings.Contains(line, " --free ") || strings.Contains(line, " --until-used ") {
		return []int{0, 1} // the machine's disk may be fuller than this store can mend
	}
	for start, list := range map[string][]int{
		"mpull check ": {0, 126, 127}, "mpull run ": {126, 127}, "mpull outdated": {0, 1},
	} {
		if strings.HasPrefix(line, start) {
			return list
		}
	}
	return []int{0}
}

func (x *examples) run(example string) {
	line := imageID.ReplaceAllString(example, x.lost)
	line = domains.ReplaceAllString(line, x.registry)
	words := strings.Fields(line)
	for i, w := range words {
		if what, ok := stands()[w]; ok {
			words[i] = what
			line = strings.Join(words, " ")
		}
	}
	cmd := x.command("mine", "bash", "-o", "pipefail", "-c", line)
	if asks(line) {
		cmd = x.command("mine", "script", "-qec", line, "/dev/null")
		cmd.Stdin = strings.NewReader("y\n")
	}
	out, err := cmd.CombinedOutput()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		x.t.Error(err)
		return
	}
	if got := cmd.ProcessState.ExitCode(); !slices.Contains(codes(example), got) {
		x.t.Errorf("%s\nran as %s\nended with %d:\n%s", example, line, got, out)
	}
}
