package look

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/mpull/mpull/engine"
	"github.com/mpull/mpull/engine/host"
	"github.com/mpull/mpull/engine/platform"
	"github.com/mpull/mpull/engine/preflight"
	"github.com/mpull/mpull/engine/registry"
	"github.com/mpull/mpull/integration/testenv"
	"github.com/mpull/mpull/store"
)

// TestPlatformsShowsWhatIsHere has one image with the name and one that lost it.
func TestPlatformsShowsWhatIsHere(t *testing.T) {
	b := some(t, "library/alpine:3.15", "cat/attested:1", "cat/nested:1", "cat/nameless:1")
	name := b.name("library/alpine:3.15")
	b.pull("--platform", "linux/s390x", name)
	b.pull("--platform", "linux/arm/v7", name)
	local := map[string]string{}
	for _, l := range b.must("platforms", "--noheading", name).lines() {
		cells := strings.Fields(l)
		local[cells[0]] = cells[2] + " " + cells[4]
	}
	for _, platform := range []string{"linux/arm/v7", "linux/s390x"} { // the holder of the name, and who lost it
		id := b.must("images", "-a", "--filter", "platform="+platform, "--format", "{{.Id}}").lines()
		if got := local[platform]; len(id) != 1 || !strings.HasSuffix(got, "kB "+id[0][:12]) {
			t.Errorf("%s is here as %q: %q", platform, id, got)
		}
	}
	if got := local["linux/ppc64le"]; got != "- -" {
		t.Errorf("a platform that is not here: %q", got)
	}
	for entry, want := range map[string]string{
		"cat/attested:1": "linux/amd64 linux/arm64", "cat/nested:1": "linux/amd64 linux/arm/v7 linux/arm64", "cat/nameless:1": "linux/amd64 linux/arm64",
	} {
		if got := strings.Join(b.must("platforms", "--format", "{{.Platform}}", b.name(entry)).lines(), " "); got != want {
			t.Errorf("%s offers %s, want %s", entry, got, want)
		}
	}
	var images []struct {
		Platform, Variant string
		Displaced         []store.Displacement
	}
	out := b.must("inspect", "--platform", "linux/s390x", name).out
	if err := json.Unmarshal([]byte(out), &images); err != nil || len(images) != 1 || len(images[0].Displaced) != 1 {
		t.Fatalf("inspect of the image that lost the name: %v\n%s", err, out)
	}
	if d := images[0].Displaced[0]; d.Name != name || d.By.Platform != "linux/arm/v7" || d.Was.Platform != "linux/s390x" || d.Command != "pull --platform linux/arm/v7" || d.At.IsZero() {
		t.Errorf("the record says %+v", d)
	}
}

// TestHostColumn tells what another machine makes of an image's platforms.
func TestHostColumn(t *testing.T) {
	b := some(t, "library/alpine:3.15")
	magic := []byte("\x7fELF\x01\x01\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\x00\x28\x00")
	mask := []byte("\xff\xff\xff\xff\xff\xff\xff\x00\xff\xff\xff\xff\xff\xff\xff\xff\xfe\xff\xff\xff")
	machine := host.Facts{
		Platform: platform.Platform{OS: "linux", Architecture: "amd64", Variant: "v3"}, Compat: []host.Compat{host.CompatIA32},
		Binfmt: host.Binfmt{Enabled: true, Handlers: []host.Handler{{Name: "qemu-arm", Enabled: true, Interpreter: "/usr/bin/qemu-arm-static", Flags: "F", Magic: magic, Mask: mask}}},
	}
	e := engine.New(engine.Config{
		Store: store.Options{Root: b.root(), RunRoot: filepath.Join(b.dir, "run"), Driver: "vfs"}, Host: func() preflight.Host { return machine },
		Registry: registry.Options{RegistriesConf: filepath.Join(b.dir, "registries.conf")},
	})
	rows, err := e.Platforms(t.Context(), b.name("library/alpine:3.15"), engine.PlatformsOptions{})
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]engine.HostUse{"linux/amd64": engine.HostOwn, "linux/386": engine.HostNative, "linux/arm/v6": engine.HostEmulated, "linux/arm/v7": engine.HostEmulated}
	for _, r := range rows {
		if r.Host != want[r.Platform] {
			t.Errorf("%s: %q, want %q", r.Platform, r.Host, want[r.Platform])
		}
		if r.Host == engine.HostEmulated && r.Emulator != "/usr/bin/qemu-arm-static" {
			t.Errorf("%s is emulated by %q", r.Platform, r.Emulator)
		}
	}
}

// TestMatch reads the rule of each candidate from the command line.
func TestMatch(t *testing.T) {
	b := some(t, "library/alpine:3.15", "cat/twins:1", "cat/attested:1", "cat/foreign:1", "cat/nameless:1")
	for _, c := range []struct {
		args, entry, platform string
		code                  int
	}{
		{"--platform linux/arm/v6", "library/alpine:3.15", "linux/arm/v6", 0}, // Pi Zero
		{"--platform linux/arm/v8", "library/alpine:3.15", "linux/arm/v7", 0},
		{"--platform linux/arm/v5", "library/alpine:3.15", "", 1},
		{"--platform linux/arm64/v9", "library/alpine:3.15", "linux/arm64/v8", 0},
		{"--platform linux/amd64/v3", "library/alpine:3.15", "linux/amd64", 0},
		{"--platform linux/386", "library/alpine:3.15", "linux/386", 0},
		{"--platform linux/riscv64,linux/arm/v7", "library/alpine:3.15", "linux/arm/v7", 0},
		{"--platform linux/arm64", "cat/twins:1", "", 1},
		{"--platform linux/arm", "cat/twins:1", "linux/arm/v7", 0},
		{"--platform linux/arm64", "cat/attested:1", "linux/arm64", 0},
		{"--platform linux/arm64", "cat/nameless:1", "linux/arm64", 0},
		{"--platform linux/arm64", "cat/foreign:1", "", 1},
		{"", "cat/foreign:1", "linux/s390x", 0},
	} {
		r := b.mpull(append(append([]string{"match", "--format", "json"}, strings.Fields(c.args)...), b.name(c.entry))...)
		var m struct {
			Platform string
			Attempts []struct {
				Candidates []struct{ Outcome, Rule, Why string }
			}
		}
		if err := json.Unmarshal([]byte(r.out), &m); err != nil {
			t.Fatalf("match %s %s: %v\n%s%s", c.args, c.entry, err, r.out, r.err)
		}
		if m.Platform != c.platform || r.code != c.code {
			t.Errorf("match %s %s: %q, exit code %d; want %q, %d", c.args, c.entry, m.Platform, r.code, c.platform, c.code)
		}
		for _, a := range m.Attempts {
			for _, candidate := range a.Candidates {
				if candidate.Outcome == "" || candidate.Rule == "" || candidate.Why == "" {
					t.Errorf("match %s %s: a candidate without a verdict: %+v", c.args, c.entry, candidate)
				}
			}
		}
	}
}

// TestTags follows pages, and stops printing at the limit.
func TestTags(t *testing.T) {
	b := newBench(t)
	pages := [][]string{{"1.0", "1.1"}, {"2.0", "latest"}, {"zz"}}
	b.registry.Fault(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/v2/team/app/tags/list" {
			return
		}
		page := 0
		_, _ = fmt.Sscanf(r.URL.Query().Get("page"), "%d", &page)
		if page+1 < len(pages) {
			w.Header().Set("Link", fmt.Sprintf(`</v2/team/app/tags/list?page=%d>; rel="next"`, page+1))
		}
		_ = json.NewEncoder(w).Encode(map[string]any{"name": "team/app", "tags": pages[page]})
	})
	name := b.registry.Host + "/team/app"
	for _, c := range []struct{ args, want string }{
		{name, "1.0 1.1 2.0 latest zz"}, {"docker://" + name + ":2.0", "1.0 1.1 2.0 latest zz"}, {"--limit 3 " + name, "1.0 1.1 2.0"},
		{"--limit 9 " + name, "1.0 1.1 2.0 latest zz"},
	} {
		if got := strings.Join(b.must(append([]string{"tags"}, strings.Fields(c.args)...)...).lines(), " "); got != c.want {
			t.Errorf("tags %s: %s, want %s", c.args, got, c.want)
		}
	}
	if n := len(b.registry.Requests()); n != 4*len(pages) {
		t.Errorf("%d requests for four lists of three pages", n)
	}
}

// TestHugeIndex reads an index of thousands of entries, and refuses one that
// no registry would serve in earnest.
func TestHugeIndex(t *testing.T) {
	b := newBench(t)
	var size int
	b.registry.Fault(func(w http.ResponseWriter, r *http.Request) {
		if !strings.Contains(r.URL.Path, "/manifests/") {
			return
		}
		w.Header().Set("Content-Type", "application/vnd.oci.image.index.v1+json")
		fmt.Fprint(w, `{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[`)
		for i := range size {
			if i > 0 {
				fmt.Fprint(w, ",")
			}
			fmt.Fprintf(w, `{"mediaType":"application/vnd.oci.image.manifest.v1+json","size":1,"digest":"sha256:%064x","platform":{"os":"linux","architecture":"a%d"}}`, i, i)
		}
		fmt.Fprint(w, "]}")
	})
	name := b.registry.Host + "/team/huge:1"
	size = 5000
	if n := len(b.must("platforms", "--noheading", name).lines()); n != size {
		t.Errorf("%d lines for %d entries", n, size)
	}
	if r := b.mpull("match", name); r.code != 1 || !strings.Contains(r.err, "4968 more") {
		t.Errorf("match: exit code %d, %s", r.code, r.err)
	}
	size = 20000
	if r := b.mpull("platforms", name); r.code != 125 || len(r.err) > 2000 {
		t.Errorf("platforms of %d entries: exit code %d, %s", size, r.code, r.err)
	}
}

// TestMistakes makes the mistakes that users make.
func TestMistakes(t *testing.T) {
	b := some(t, "library/alpine:3.15", "cat/single-docker:1")
	name := b.name("library/alpine:3.15")
	for _, c := range []struct {
		args string
		code int
		says string
	}{
		{"platforms docker.io/library/nosuch:1", 125, "nosuch"},
		{"platforms --retry 0 127.0.0.1:1/a/b:1", 125, "connection refused"},
		{"platforms Alpine", 125, "lower case"},
		{"platforms --filter-by-os riscv " + name, 1, "No platform"},
		{"platforms --filter-by-os ( " + name, 125, "filter by os"},
		{"platforms", 125, "usage: mpull platforms"},
		{"inspect nosuch", 1, "no such image"},
		{"inspect --raw nosuch", 1, "no such image"},
		{"inspect --raw --format x docker://" + name, 125, "--raw"},
		{"inspect docker://" + name + " docker://" + name, 125, "one image"},
		{"inspect --platform linux/riscv64 docker://" + name, 125, "it offers linux/amd64"},
		{"inspect --platform linux/arm64 docker://" + b.name("cat/single-docker:1"), 125, "it offers linux/amd64"},
		{"inspect --format {{.Nope}} docker://" + name, 125, "Nope"},
		{"inspect --type container x", 125, "images only"},
		{"inspect oci:" + b.dir + "/none", 125, "none"},
		{"inspect containers-storage:[vfs@/x]alpine", 125, "--root"},
		{"match --platform linux/arm --arch arm " + name, 125, "either --platform"},
		{"match --platform a/b/c/d " + name, 125, "a/b/c/d"},
		{"tags dir:/etc", 125, "holds no manifest.json"},
		{"tags --limit -1 " + name, 125, "--limit"},
		{"manifest inspect docker.io/library/nosuch:1", 125, "nosuch"},
		{"manifest push x", 125, "no command"},
		{"pull --dry-run --platform linux/riscv64 " + name, 125, "it offers linux/amd64"},
		{"pull --format {{.Name}} " + name, 125, "--dry-run"},
	} {
		r := b.mpull(strings.Fields(c.args)...)
		if r.code != c.code || !strings.Contains(r.err, c.says) {
			t.Errorf("mpull %s: exit code %d, want %d with %q\n%s", c.args, r.code, c.code, c.says, r.err)
		}
	}
}

// TestTransports looks at an image in a folder, an archive and the store.
func TestTransports(t *testing.T) {
	testenv.Need(t, "skopeo")
	b := some(t, "cat/full:1")
	source := "docker://" + b.name("cat/full:1")
	for _, place := range []string{"oci:" + b.dir + "/layout:v1", "dir:" + b.dir + "/folder", "docker-archive:" + b.dir + "/archive.tar:localhost/full:1", "oci-archive:" + b.dir + "/oci.tar:v1"} {
		if r := b.skopeo("--insecure-policy", "copy", source, place); r.code != 0 {
			t.Fatalf("making %s: %s", place, r.err)
		}
		for _, args := range [][]string{{"inspect", place}, {"inspect", "--config", place}} {
			if mine, peer := summary(b, b.mpull(args...)), summary(b, b.skopeo(args...)); mine != peer {
				t.Errorf("mpull %s:\n%s\nskopeo:\n%s", strings.Join(args, " "), mine, peer)
			}
		}
		if got := b.must("inspect", "--raw", place).out; got != b.skopeo("inspect", "--raw", place).out {
			t.Errorf("the raw manifest of %s differs", place)
		}
		if got := b.must("platforms", "--format", "{{.Platform}}", place).out; got != "linux/amd64\n" {
			t.Errorf("platforms of %s: %q", place, got)
		}
	}
}

// TestRootless runs the look-ups as a user who has no store, no home, no right to
// a user namespace, and a policy.json only for what a pull would do.
func TestRootless(t *testing.T) {
	testenv.Root(t)
	testenv.Need(t, "setpriv")
	b := some(t, "library/alpine:3.15")
	dir, err := testenv.Public("mr-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	program := filepath.Join(dir, "mpull")
	for from, to := range map[string]string{testenv.Binary(): program, filepath.Join(b.dir, "registries.conf"): filepath.Join(dir, "registries.conf"), filepath.Join(b.dir, "policy.json"): filepath.Join(dir, "policy.json")} {
		data, err := os.ReadFile(from)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(to, data, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	before := listing(t, dir)
	run := func(args ...string) ([]byte, error) {
		if args[0] == "pull" {
			args = append([]string{"--policy-file", filepath.Join(dir, "policy.json")}, args...)
		}
		line := append([]string{"--reuid=65534", "--regid=65534", "--clear-groups", "--no-new-privs", program, "--root", dir + "/root", "--runroot", dir + "/run", "--registries-conf", dir + "/registries.conf"}, args...)
		cmd := exec.Command("setpriv", line...)
		cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + dir, "XDG_RUNTIME_DIR=" + dir}
		return cmd.CombinedOutput()
	}
	for _, args := range lookCommands(b.name("library/alpine:3.15")) {
		if out, err := run(args...); err != nil {
			t.Errorf("mpull %s: %v\n%s", strings.Join(args, " "), err, out)
		}
	}
	for line, want := range misused() {
		if out, err := run(strings.Fields(line)...); err == nil || !strings.Contains(string(out), want) {
			t.Errorf("mpull %s: %v, without %q\n%s", line, err, want, out)
		}
	}
	if after := listing(t, dir); !slices.Equal(before, after) {
		t.Errorf("looking has made %q", after)
	}
}

// misused are command lines that are refused before a user namespace is
// needed, each with a part of what is said.
func misused() map[string]string {
	return map[string]string{
		"pull --policy often x":                          "always, missing, newer or never",
		"pull --platform a,/b x":                         "--platform a,/b",
		"pull --max-size many x":                         "--max-size",
		"pull --as a x y":                                "--as names one image",
		"use --platform arm,386 x":                       "exactly one platform",
		"rmi --platform arm --platform 386 x":            "rmi takes one platform",
		"run --platform arm --platform 386 x":            "run takes one platform",
		"save -o f --platform a/b/c/d/e x":               "a/b/c/d/e",
		"prune --keep -1":                                "--keep -1",
		"prune --free lots":                              "--free",
		"prune --filter x=y":                             "unknown filter",
		"prune --apply p --all":                          "--apply removes what the plan says",
		"check --remote --platform arm --platform 386 x": "check --remote takes one platform",
		"images --filter x=y":                            "unknown filter",
		"inspect --platform arm --platform 386 x":        "of one platform",
	}
}

func listing(t *testing.T, dir string) []string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

// TestHelpHasExamples reads the help of every command that looks.
func TestHelpHasExamples(t *testing.T) {
	b := newBench(t)
	for _, command := range []string{"platforms", "image info", "match", "manifest inspect", "inspect", "image inspect", "tags"} {
		out := b.must(append(strings.Fields(command), "--help")...).out
		if strings.Count(out, "\n  mpull ") < 3 || !strings.Contains(out, "Exit codes:") {
			t.Errorf("the help of %s has no two examples or no exit codes:\n%s", command, out)
		}
	}
}
