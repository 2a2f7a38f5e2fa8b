package platforms

import (
	"archive/tar"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/mpull/mpull/integration/testenv"
	"github.com/mpull/mpull/integration/testimage"
)

// A stuck is an image that does not start, and how its hint is followed: by what
// follow makes of the app, or, where it is nil, by the option that the hint names.
type stuck struct {
	app    string // contents of /app
	mode   int64  // 0 means 0755
	cmd    []string
	user   string
	code   int
	follow func(t *testing.T, hint string, app []byte) (changed []byte, mode int64)
}

// TestHintsLeadToAStart follows hints of mpull run as their reader would: what
// they say is done, and the program starts.
func TestHintsLeadToAStart(t *testing.T) {
	testenv.Root(t)
	if runtime.GOARCH != "amd64" {
		t.Skip("the programs of the test images are for amd64")
	}
	if why := testenv.NoRuntime(); why != "" {
		testenv.Missing(t, why)
	}
	program := testimage.Program("amd64")
	again := func(*testing.T, string, []byte) ([]byte, int64) { return program, 0o755 }
	app := []string{"/app"}
	for name, s := range map[string]stuck{
		"line ends":       {app: "#!/bin/sh\r\n", cmd: app, code: 127, follow: bySed},
		"byte order mark": {app: "\xef\xbb\xbf#!/bin/sh\n", cmd: app, code: 126, follow: bySed},
		"no interpreter":  {app: "echo hello\n", cmd: app, code: 126},
		"git-lfs":         {app: "version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 5\n", cmd: app, code: 126, follow: again},
		"Windows":         {app: "MZ\x90\x00\x03", cmd: app, code: 126, follow: again},
		"macOS":           {app: "\xcf\xfa\xed\xfe\x07\x00\x00\x01", cmd: app, code: 126, follow: again},
		"WebAssembly":     {app: "\x00asm\x01\x00\x00\x00", cmd: app, code: 126, follow: again},
		"cut short":       {app: string(program[:100]), cmd: app, code: 126, follow: again},
		"another shell": {app: "#!/bin/bash\n", cmd: app, code: 127, follow: func(_ *testing.T, hint string, _ []byte) ([]byte, int64) {
			return []byte(between(hint, "write ", " if") + "\n"), 0o755
		}},
		"not executable":    {app: string(program), mode: 0o644, cmd: app, code: 126, follow: func(*testing.T, string, []byte) ([]byte, int64) { return program, 0o755 }},
		"not for this user": {app: string(program), mode: 0o700, cmd: app, user: "1000", code: 126},
		"one string":        {app: string(program), cmd: []string{"/app --flag"}, code: 127},
		"shell form":        {app: string(program), cmd: []string{"/bin/bash", "-c", "exec /app --flag"}, code: 127},
		"not in PATH":       {app: string(program), cmd: []string{"app"}, code: 127},
	} {
		t.Run(name, func(t *testing.T) { s.leadsOut(t) })
	}
}

func (s stuck) leadsOut(t *testing.T) {
	build := func(data []byte, mode int64) v1.Image {
		return image(t, testimage.Spec{OCI: true, Extra: []testimage.File{{Name: "app", Type: tar.TypeReg, Mode: mode, Data: data}},
			Edit: func(c *v1.ConfigFile) { c.Config.Cmd, c.Config.User = s.cmd, s.user }})
	}
	if s.mode == 0 {
		s.mode = 0o755
	}
	y := newTry(t, nil, map[string]v1.Image{"team/app:1": build([]byte(s.app), s.mode)})
	y.run(0, "pull -q R/team/app:1")
	r := y.run(s.code, "run R/team/app:1")
	name := y.registry.Host + "/team/app:1"
	if s.follow == nil {
		if r := y.Mpull(append([]string{"run"}, append(optionIn(t, r.Stderr), name)...)...); r.Code != 0 {
			t.Errorf("with the option of the hint: %s", r)
		}
		return
	}
	data, mode := s.follow(t, r.Stderr, []byte(s.app))
	if err := y.registry.PushImage("team/app:1", build(data, mode)); err != nil {
		t.Fatal(err)
	}
	y.run(0, "pull -q R/team/app:1")
	y.run(0, "run R/team/app:1")
}

// optionIn finds the option that a hint names, with its value.
func optionIn(t *testing.T, hint string) []string {
	t.Helper()
	m := regexp.MustCompile(`(--entrypoint|--user) (?:'([^']+)'|([^\s,;]+))`).FindStringSubmatch(hint)
	if m == nil {
		t.Fatalf("the hint names no option: %s", hint)
	}
	return []string{m[1], m[2] + m[3]}
}

func between(text, from, to string) string {
	_, text, _ = strings.Cut(text, from)
	text, _, _ = strings.Cut(text, to)
	return text
}

// bySed changes a file by the command in the hint.
func bySed(t *testing.T, hint string, data []byte) ([]byte, int64) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "app")
	if err := os.WriteFile(file, data, 0o755); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command("sed", "-i", between(hint, "sed -i '", "'"), file).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return data, 0o755
}
