package main

import (
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/mpull/mpull/engine/platform"
)

// TestRetryFlags holds that a flag counts instead of containers.conf, also when it
// says 0.
func TestRetryFlags(t *testing.T) {
	t.Setenv("CONTAINERS_CONF", "/dev/null")
	none, second := 0, time.Second
	if r, err := (registryFlags{idle: time.Minute}).retry(); err != nil || r.Times != defaultRetries || r.Idle != time.Minute {
		t.Errorf("%+v %v", r, err)
	}
	if r, err := (registryFlags{retries: &none, delay: &second}).retry(); err != nil || r.Times != 0 || r.Delay != time.Second {
		t.Errorf("%+v %v", r, err)
	}
}

// TestPlatformFlags reads what chooses a platform.
func TestPlatformFlags(t *testing.T) {
	host := platform.Platform{OS: "linux", Architecture: "amd64"}
	for want, f := range map[string]platformFlags{
		"":                        {},
		"linux/arm/v7":            {os: "linux", arch: "arm", variant: "v7"},
		"linux/arm64":             {arch: "arm64"},
		"linux/amd64 linux/arm64": {lists: []string{"linux/amd64,linux/arm64"}},
	} {
		list, err := f.fallback(host, "one, please")
		var got []string
		for _, r := range list {
			got = append(got, r.String())
		}
		if err != nil || strings.Join(got, " ") != want {
			t.Errorf("%+v: %q %v", f, got, err)
		}
	}
	two := platformFlags{lists: []string{"linux/amd64", "linux/arm64"}}
	if all, err := two.requests(host); err != nil || len(all) != 2 {
		t.Error(all, err)
	}
	if _, err := two.fallback(host, "one, please"); !strings.HasPrefix(told(err), "one, please") {
		t.Error(err)
	}
	if r, err := (&platformFlags{}).one(host, ""); r != nil || err != nil {
		t.Error(r, err)
	}
}

// TestStartFlags reads what changes the start of an image: an empty entrypoint is
// not the same as none.
func TestStartFlags(t *testing.T) {
	text := func(s string) *string { return &s }
	for _, tt := range []struct {
		entrypoint *string
		want       []string
	}{{nil, nil}, {text(""), []string{}}, {text("/bin/ls -l"), []string{"/bin/ls -l"}}, {text(`["/bin/ls","-l"]`), []string{"/bin/ls", "-l"}}, {text("[x"), []string{"[x"}}} {
		got := startFlags{entrypoint: tt.entrypoint, user: "1", workdir: "/w"}.options([]string{"a"})
		if !slices.Equal(got.Entrypoint, tt.want) || (got.Entrypoint == nil) != (tt.want == nil) || got.User != "1" || got.WorkingDir != "/w" || !slices.Equal(got.Args, []string{"a"}) {
			t.Errorf("%+v, not %q", got, tt.want)
		}
	}
	t.Setenv("HERE", "yes")
	if env, err := environment([]string{"A=b", "HERE", "MPULL_NOT_HERE", "E="}); err != nil || !slices.Equal(env, []string{"A=b", "HERE=yes", "E="}) {
		t.Error(env, err)
	}
}

// TestRunStreams holds which streams a program gets, and whether it is in the
// foreground of the terminal.
func TestRunStreams(t *testing.T) {
	for _, tt := range []struct {
		o                         runOptions
		terminal                  bool
		stdin, foreground, onHost bool
	}{
		{runOptions{network: "none"}, false, false, false, false},
		{runOptions{network: "host"}, true, false, false, true},
		{runOptions{network: "none", interactive: true}, false, true, false, false},
		{runOptions{network: "none", interactive: true}, true, true, true, false},
		{runOptions{network: "none", tty: true}, true, true, true, false},
	} {
		d := newTalk()
		d.inTerminal = tt.terminal
		got, err := d.startOf(tt.o, nil)
		if err != nil || (got.Stdin != nil) != tt.stdin || got.Foreground != tt.foreground || got.HostNetwork != tt.onHost || got.TTY != tt.o.tty {
			t.Errorf("%+v: %+v %v", tt.o, got, err)
		}
	}
}

// TestEachFlagGoesSomewhere holds that no flag is read by nobody, but those that
// are there for the scripts of other tools.
func TestEachFlagGoesSomewhere(t *testing.T) {
	forScripts := []string{"run --rm", "manifest inspect --verbose", "save --multi-image-archive"}
	goes := func(f cli.Flag) bool {
		v := reflect.ValueOf(f).Elem()
		return !v.FieldByName("Destination").IsNil() || !v.FieldByName("Action").IsNil()
	}
	app, dead := testApp(), []string{}
	look := func(path string, flags []cli.Flag) {
		for _, f := range flags {
			if !goes(f) {
				dead = append(dead, strings.TrimSpace(path+" --"+f.Names()[0]))
			}
		}
	}
	look("", app.Flags)
	for _, c := range app.Commands {
		look(c.Name, c.Flags)
		for _, sub := range c.Subcommands {
			look(c.Name+" "+sub.Name, sub.Flags)
		}
	}
	slices.Sort(dead)
	slices.Sort(forScripts)
	if !slices.Equal(dead, forScripts) {
		t.Errorf("read by nobody: %q", dead)
	}
}

// TestPlatformHelp holds that the help of --platform promises what the command
// takes: the flag may be repeated where it says so, and nowhere else.
func TestPlatformHelp(t *testing.T) {
	d := newDesk(t)
	file := filepath.Join(d.dir, "file")
	for _, c := range testApp().Commands {
		f := flagTable(c.Flags)["platform"]
		if f == nil {
			continue
		}
		names := []string{c.Name, "--platform", "linux/arm", "--platform", "linux/arm64"}
		switch c.Name {
		case "lock":
			names = append(names, file)
		case "save":
			names = append(names, "--output", file)
		}
		got := d.words(append(names, d.registry.Host+"/none:1"))
		if got.code == 0 {
			t.Errorf("mpull %q found an image", names)
		}
		says := strings.Contains(f.(*cli.StringSliceFlag).Usage, "may be repeated")
		refused := strings.HasSuffix(strings.TrimSpace(got.err), "Hint: see mpull "+c.Name+" --help")
		if says == refused {
			t.Errorf("mpull %s: its help says that --platform may be repeated: %v; it is refused: %v\n%s", c.Name, says, refused, got.err)
		}
	}
}
