package platforms

import (
	"archive/tar"
	"fmt"
	"strings"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/mpull/mpull/integration/testenv"
	"github.com/mpull/mpull/integration/testimage"
)

// TestCheckAndRunAgree tries configs and files that a runtime and the kernel take
// in ways of their own: what check says will start starts by run, and what check
// refuses does not start by run --force either.
func TestCheckAndRunAgree(t *testing.T) {
	testenv.Root(t)
	if why := testenv.NoRuntime(); why != "" {
		testenv.Missing(t, why)
	}
	exit := testimage.Programs()["exit"] // ends with the number of its arguments
	at := func(names ...string) (files []testimage.File) {
		for _, n := range names {
			files = append(files, testimage.File{Name: n, Type: tar.TypeReg, Mode: 0o755, Data: exit})
		}
		return files
	}
	type config = v1.Config
	cases := []struct {
		name  string
		code  int // of check; 0: it starts
		edit  func(*config)
		extra []testimage.File
	}{
		{"no entrypoint in a list", 0, func(c *config) { c.Entrypoint, c.Cmd = []string{""}, []string{"/app"} }, nil},
		{"two empty strings", 127, func(c *config) { c.Entrypoint, c.Cmd = []string{"", ""}, []string{"/app"} }, nil},
		{"empty strings alone", 127, func(c *config) { c.Entrypoint, c.Cmd = []string{""}, []string{""} }, nil},
		{"an empty argument", 0, func(c *config) { c.Cmd = []string{"/app", ""} }, nil},
		{"variables without =", 0, func(c *config) { c.Env = []string{"DEBUG", "", "PATH"}; c.Cmd = []string{"app2"} }, nil},
		{"a variable without a name", 125, func(c *config) { c.Env = []string{"=x"} }, nil},
		{"a relative PATH", 125, func(c *config) { c.Env = []string{"PATH=bin"}; c.Cmd = []string{"app2"} }, nil},
		{"an empty element of PATH", 125, func(c *config) { c.Env = []string{"PATH=:/none"}; c.WorkingDir = "/bin"; c.Cmd = []string{"app2"} }, nil},
		{"a relative element of PATH behind", 0, func(c *config) { c.Env = []string{"PATH=/bin:bin"}; c.Cmd = []string{"app2"} }, nil},
		{"a relative WorkingDir", 125, func(c *config) { c.WorkingDir = "./app" }, nil},
		{"a WorkingDir to be made", 0, func(c *config) { c.WorkingDir = "/a/../../b" }, nil},
		{"a WorkingDir in /dev", 0, func(c *config) { c.WorkingDir = "/dev/x" }, nil},
		{"a WorkingDir in /proc", 125, func(c *config) { c.WorkingDir = "/proc/x" }, nil},
		{"a program in /dev", 127, func(c *config) { c.Cmd = []string{"/dev/prog"} }, at("dev/prog")},
		{"a program in /dev/shm", 127, func(c *config) { c.Cmd = []string{"/dev/shm/prog"} }, at("dev/shm/prog")},
		{"a program in /proc", 125, func(c *config) { c.Cmd = []string{"/proc/prog"} }, at("proc/prog")},
		{"a program in /sys", 125, func(c *config) { c.Cmd = []string{"/sys/prog"} }, at("sys/prog")},
		{"a program in /run", 0, func(c *config) { c.Cmd = []string{"/run/prog"} }, at("run/prog")},
		{"a device", 126, func(c *config) { c.Cmd = []string{"/dev/null"} }, nil},
		{"/proc is a file", 125, func(*config) {}, at("proc")},
		{"/sys is a link", 125, func(*config) {}, []testimage.File{{Name: "sys", Type: tar.TypeSymlink, Mode: 0o777, Link: "tmp"}}},
		{"/dev is a link", 0, func(*config) {}, []testimage.File{{Name: "dev", Type: tar.TypeSymlink, Mode: 0o777, Link: "/tmp"}}},
		{"/dev is a file", 125, func(*config) {}, at("dev")},
	}
	images := map[string]v1.Image{}
	for i, c := range cases {
		images[fmt.Sprintf("team/i%d:1", i)] = image(t, testimage.Spec{OCI: true, Extra: append(at("app", "bin/app2"), c.extra...), Edit: func(f *v1.ConfigFile) {
			f.Config.Cmd = []string{"/app"}
			c.edit(&f.Config)
		}})
	}
	y := newTry(t, nil, images)
	for i, c := range cases {
		name := fmt.Sprintf("%s/team/i%d:1", y.registry.Host, i)
		y.Must("pull", "-q", name)
		if r := y.Mpull("check", name); r.Code != c.code {
			t.Errorf("%s: %s", c.name, r)
		}
		started := func(r int) bool { return r == 1 || r == 2 }
		if r := y.Mpull("run", name); started(r.Code) != (c.code == 0) || c.code != 0 && r.Code != c.code {
			t.Errorf("%s: %s", c.name, r)
		}
		if r := y.Mpull("run", "--force", name); started(r.Code) != (c.code == 0) {
			t.Errorf("%s: %s", c.name, r)
		}
	}
	temporary := image(t, testimage.Spec{OCI: true, Extra: at("tmp/prog"), Edit: func(f *v1.ConfigFile) { f.Config.Cmd = []string{"/tmp/prog"} }})
	if err := y.registry.PushImage("team/temporary:1", temporary); err != nil {
		t.Fatal(err)
	}
	y.run(0, "pull -q R/team/temporary:1")
	y.run(1, "run R/team/temporary:1")
	if r := y.run(127, "run --read-only R/team/temporary:1"); !strings.Contains(r.Stderr, "not-found") {
		t.Errorf("not predicted: %s", r)
	}
}
