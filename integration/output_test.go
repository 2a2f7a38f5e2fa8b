package integration

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/mpull/mpull/integration/testenv"
)

// printing are command lines that print something to standard output, for every
// command that mpull has. Those that change the store can be told again.
func printing() []string {
	return []string{
		"pull -q team/try:1", "pull --format json team/try:1", "pull --dry-run --format json team/try:1", "team/try:1",
		"images", "images -q", "images --format json", "images --format {{.ID}}", "images --tree", "image ls",
		"image inspect team/try:1", "platforms team/try:1", "platforms --format json team/try:1", "image info team/try:1",
		"manifest inspect team/try:1", "inspect team/try:1", "inspect --format {{.Id}} team/try:1", "inspect --raw docker://team/try:1",
		"inspect --config docker://team/try:1", "inspect docker://team/try:1", "tags team/try", "tags --format json team/try",
		"match team/try:1", "match --format json team/try:1", "prune --format json", "prune --dry-run --format json", "df", "df --format json",
		"image prune --format json", "check team/try:1", "check --format json team/try:1", "check --remote team/try:1",
		"why team/try:1", "why --format json team/try:1", "info", "info --format json", "info --host",
		"lock - team/try:1", "outdated team/try:1", "outdated --format json team/try:1", "save team/try:1",
		"version", "version --format json", "completion bash", "help", "--help", "help pull", "pull --help", "image --help", "__complete im", "__describe",
		"load -i a.tar", "login --get-login reg.example", "use --platform linux/amd64 team/try:1",
	}
}

// silent are the commands that print no data where all goes well.
func silent() map[string]string {
	return map[string]string{
		"tag": "a", "untag": "a", "rmi": "a", "restore": "a", "logout": "a", "run": "its program's", "doctor": "of a healthy store",
		"image tag": "as tag", "image untag": "as untag", "image rm": "as rmi", "image save": "as save", "image load": "as load", "image pull": "as pull",
	}
}

// TestLostOutput walks all commands into a standard output that is full, one
// that is closed, and one that nobody reads.
func TestLostOutput(t *testing.T) {
	m, _ := newMachine(t, "vfs")
	m.run("mine", "mpull", "-q", "team/try:1")
	m.run("mine", "mpull", "save", "-o", "a.tar", "team/try:1")
	if err := os.WriteFile(m.dir+"/auth.json", []byte(`{"auths":{"reg.example":{"auth":"dTpw"}}}`), 0o600); err != nil {
		t.Fatal(err)
	}
	m.env = append(m.env, "REGISTRY_AUTH_FILE="+m.dir+"/auth.json")
	walked := map[string]bool{}
	for _, line := range printing() {
		args := strings.Fields(line)
		walked[args[0]] = true
		t.Run(line, func(t *testing.T) {
			if out, err := m.command("mine", append([]string{"mpull"}, args...)...).Output(); len(out) == 0 {
				t.Fatalf("it prints nothing: %v", err)
			}
			for _, into := range []string{">/dev/full", ">&-"} {
				script := fmt.Sprintf(`exec "$@" %s`, into)
				cmd := m.command("mine", append([]string{"mpull"}, args...)...)
				cmd.Args = append([]string{"sh", "-c", script, "sh", cmd.Path}, args...)
				cmd.Path = "/bin/sh"
				var stderr bytes.Buffer
				cmd.Stderr = &stderr
				err := cmd.Run()
				var exit *exec.ExitError
				if !errors.As(err, &exit) || exit.ExitCode() != 125 || !strings.Contains(stderr.String(), "rror") || strings.Contains(stderr.String(), "Saved") {
					t.Errorf("%s: %v, and it says: %s", into, err, &stderr)
				}
			}
		})
	}
	var app struct{ Commands []struct{ Name string } }
	if err := json.Unmarshal([]byte(m.run("mine", "mpull", "__describe")), &app); err != nil {
		t.Fatal(err)
	}
	for _, c := range app.Commands {
		name := strings.TrimPrefix(c.Name, "mpull ")
		if _, ok := silent()[name]; !ok && !walked[name] {
			t.Errorf("%s is not walked", name)
		}
	}
}

// TestBrokenPipe dies of SIGPIPE, without a word, as other programs do.
func TestBrokenPipe(t *testing.T) {
	testenv.Store(t)
	m, _ := newMachine(t, "vfs")
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	var stderr bytes.Buffer
	cmd := m.command("mine", "mpull", "images")
	cmd.Stdout, cmd.Stderr = w, &stderr
	err = cmd.Run()
	want := "signal: broken pipe"
	if os.Geteuid() != 0 { // it died in a user namespace, and who made that says so as a shell does
		want = "exit status 141"
	}
	if s := cmd.ProcessState.String(); s != want || stderr.Len() > 0 {
		t.Errorf("%s (%v): %s", s, err, &stderr)
	}
}

// TestLittleAddressSpace never ends with 2, which means that an image is in use.
func TestLittleAddressSpace(t *testing.T) {
	m, _ := newMachine(t, "vfs")
	for _, kib := range []int{100_000, 300_000, 700_000, 1_000_000, 1_300_000, 1_700_000, 2_500_000} {
		cmd := m.command("mine", "mpull", "images")
		cmd.Args = []string{"sh", "-c", fmt.Sprintf(`ulimit -v %d; exec "$@"`, kib), "sh", cmd.Path, "images"}
		cmd.Path = "/bin/sh"
		out, err := cmd.CombinedOutput()
		code := cmd.ProcessState.ExitCode()
		if code != 0 && code != 125 || kib < 1_500_000 && (code != 125 || bytes.Count(out, []byte("\n")) != 1) {
			t.Errorf("ulimit -v %d: %v\n%s", kib, err, out)
		}
	}
}
