package look

import (
	"cmp"
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/mpull/mpull/integration/testenv"
	"github.com/mpull/mpull/integration/testimage"
)

// lookCommands are all commands that only look, about one image.
func lookCommands(name string) [][]string {
	return [][]string{
		{"platforms", name}, {"platforms", "--sizes", name}, {"platforms", "--format", "json", name},
		{"match", name}, {"match", "--format", "json", name}, {"match", "--platform", "linux/arm/v6,native", name},
		{"manifest", "inspect", name}, {"manifest", "inspect", "docker://" + name},
		{"inspect", "docker://" + name}, {"inspect", "--config", "docker://" + name}, {"inspect", "--format", "{{.Labels}} {{.Env}}", "docker://" + name},
		{"tags", name}, {"pull", "--dry-run", name}, {"pull", "--dry-run", "--format", "json", name},
	}
}

func some(t *testing.T, names ...string) *bench {
	t.Helper()
	all, err := testimage.Catalogue()
	if err != nil {
		t.Fatal(err)
	}
	return newBench(t, slices.DeleteFunc(all, func(e testimage.Entry) bool { return !slices.Contains(names, e.Name) })...)
}

// TestRequests counts what is asked of the registry: no more than needed.
func TestRequests(t *testing.T) {
	b := some(t, "library/alpine:3.15", "cat/single-oci:1", "cat/nested:1")
	list, single, nested := b.name("library/alpine:3.15"), b.name("cat/single-oci:1"), b.name("cat/nested:1")
	for _, c := range []struct {
		args                   string
		manifests, blobs, tags int
	}{
		{"platforms " + list, 1, 0, 0},
		{"platforms --filter-by-os arm " + list, 1, 0, 0},
		{"platforms --sizes " + list, 8, 0, 0},
		{"platforms " + single, 1, 1, 0},
		{"platforms " + nested, 2, 0, 0},
		{"match --platform linux/arm " + list, 1, 0, 0},
		{"match --platform linux/riscv64,native " + list, 1, 0, 0},
		{"match " + single, 1, 1, 0},
		{"manifest inspect " + list, 1, 0, 0},
		{"inspect --raw docker://" + list, 1, 0, 0},
		{"inspect --no-tags docker://" + list, 2, 1, 0},
		{"inspect docker://" + list, 2, 1, 1},
		{"inspect docker://" + single, 1, 1, 1},
		{"inspect --config docker://" + list, 2, 1, 0},
		{"tags " + list, 0, 0, 1},
		{"pull --dry-run " + single, 1, 1, 0},
	} {
		b.must(strings.Fields(c.args)...)
		manifests, blobs, tags := count(b.registry.Requests())
		if manifests != c.manifests || blobs != c.blobs || tags != c.tags {
			t.Errorf("mpull %s: %d manifests, %d blobs, %d lists of tags; want %d, %d, %d", c.args, manifests, blobs, tags, c.manifests, c.blobs, c.tags)
		}
	}
	b.pull(list)
	b.registry.Requests()
	for _, args := range []string{"inspect " + list, "image inspect " + list, "manifest inspect " + list, "inspect --config " + list, "inspect --raw " + list, "inspect containers-storage:" + list} {
		b.must(strings.Fields(args)...)
		if asked := b.registry.Requests(); len(asked) > 0 {
			t.Errorf("mpull %s of an image that is here asked %q", args, asked)
		}
	}
}

// count parts requests; HEAD, which Docker Hub does not count, is left out.
func count(requests []string) (manifests, blobs, tags int) {
	for _, r := range requests {
		switch {
		case strings.HasPrefix(r, "HEAD "):
		case strings.Contains(r, "/manifests/"):
			manifests++
		case strings.Contains(r, "/blobs/"):
			blobs++
		case strings.HasSuffix(r, "/tags/list"):
			tags++
		}
	}
	return manifests, blobs, tags
}

// plan is what the tests read of a dry run.
type plan struct {
	ID, Digest, Platform, Rule, Name string
	Present                          bool
	Layers, LayersHere               int
	Download, DiskNeeded, DiskFree   int64
	Moves                            *struct {
		ID, Platform string
		Dangling     bool
		Bytes        int64
	}
	Requests  struct{ Manifests, Blobs int }
	RateLimit *struct {
		Limit, Remaining int
		Window           int64
	}
}

func (b *bench) plan(args ...string) plan {
	b.Helper()
	var plans []plan
	out := b.must(append([]string{"pull", "--dry-run", "--format", "json"}, args...)...).out
	if err := json.Unmarshal([]byte(out), &plans); err != nil || len(plans) != 1 {
		b.Fatalf("dry run: %v\n%s", err, out)
	}
	return plans[0]
}

// TestDryRunTellsWhatPullDoes holds plans against the pulls that follow.
func TestDryRunTellsWhatPullDoes(t *testing.T) {
	b := some(t, "library/alpine:3.15", "cat/single-docker:1", "cat/nested:1", "cat/nameless:1", "cat/zstd:1")
	name := b.name("library/alpine:3.15")
	b.dryThenPull(name)
	first := b.plan(name)
	if !first.Present || first.Download != 0 || first.Moves != nil {
		t.Errorf("an image that is here: %+v", first)
	}
	second := b.dryThenPull("--platform", "linux/arm/v7", name)
	if second.Moves == nil || second.Moves.ID != first.ID || !second.Moves.Dangling || second.Moves.Bytes <= 0 || second.Moves.Platform != "linux/amd64" {
		t.Errorf("who loses the name: %+v", second.Moves)
	}
	if kept := b.plan("--keep", "--platform", "linux/arm/v6", name); kept.Moves == nil || kept.Moves.Dangling {
		t.Errorf("with --keep nothing dangles: %+v", kept.Moves)
	}
	for _, entry := range []string{"cat/single-docker:1", "cat/nested:1", "cat/nameless:1", "cat/zstd:1"} {
		b.dryThenPull(b.name(entry))
	}
}

// TestDryRunRefusesWhatPullRefuses: the same errors and exit codes, before and
// after the images are here.
func TestDryRunRefusesWhatPullRefuses(t *testing.T) {
	b := some(t, "library/alpine:3.15", "cat/single-docker:1")
	alpine, single := b.name("library/alpine:3.15"), b.name("cat/single-docker:1")
	b.write("reject.json", `{"default": [{"type": "reject"}]}`)
	b.must("pull", "-q", alpine)
	lock := filepath.Join(b.dir, "images.lock")
	b.must("lock", "--platform", "linux/arm64", lock, alpine)
	for _, args := range []string{
		"--policy never " + alpine,
		"--policy never --platform linux/s390x " + alpine,
		"--policy never " + single,
		"--policy missing " + alpine,
		"--policy newer " + alpine,
		"--platform linux/riscv64 " + alpine,
		"--platform linux/arm64 --platform linux/s390x " + alpine,
		"--all-platforms " + alpine,
		"--max-bytes 10 --platform linux/s390x " + alpine,
		"--no-tag --platform linux/386 " + alpine,
		alpine + " " + single,
		alpine + " " + b.name("no/such:1"),
		"--locked " + lock + " --platform linux/arm64",
		"--locked " + lock + " --platform linux/amd64",
		"--locked " + lock + " --policy never --platform linux/arm64 " + alpine,
	} {
		for _, policy := range []string{"policy.json", "reject.json"} {
			run := func(extra string) result {
				line := append([]string{"--policy-file", filepath.Join(b.dir, policy), "pull", "--retry", "0"}, strings.Fields(extra+args)...)
				return b.exec(testenv.Binary(), line...)
			}
			dry, done := run("--dry-run --format json "), run("-q ")
			var plans []plan
			if err := json.Unmarshal([]byte(cmp.Or(dry.out, "[]")), &plans); err != nil {
				t.Fatalf("%s: %v\n%s", args, err, dry.out)
			}
			var ids []string
			for _, p := range plans {
				ids = append(ids, p.ID)
			}
			slices.Sort(ids)
			pulled := strings.Fields(done.out)
			slices.Sort(pulled)
			if dry.code != done.code || done.code == 0 && !slices.Equal(ids, pulled) || errorOf(dry.err) != errorOf(done.err) {
				t.Errorf("%s, %s: planned %d %q %s\npulled %d %q %s", args, policy, dry.code, ids, dry.err, done.code, pulled, done.err)
			}
		}
	}
}

// errorOf is the line of the error in what a command says.
func errorOf(text string) string {
	i := strings.Index(text, "Error: ")
	if i < 0 {
		return ""
	}
	line, _, _ := strings.Cut(text[i:], "\n")
	return line
}

func (b *bench) dryThenPull(args ...string) plan {
	b.Helper()
	p := b.plan(args...)
	b.registry.Requests()
	r := b.exec(testenv.Binary(), append([]string{"--policy-file", filepath.Join(b.dir, "policy.json"), "pull", "-q"}, args...)...)
	manifests, blobs, _ := count(b.registry.Requests())
	if r.code != 0 || strings.TrimSpace(r.out) != p.ID {
		b.Errorf("%v: pulled %q (exit code %d, %s), planned %s", args, r.out, r.code, r.err, p.ID)
	}
	if manifests != p.Requests.Manifests || blobs != p.Requests.Blobs {
		b.Errorf("%v: pulled with %d manifests and %d blobs, planned %+v", args, manifests, blobs, p.Requests)
	}
	if !p.Present && (p.Download <= 0 || p.DiskNeeded < p.Download || p.DiskFree <= 0) {
		b.Errorf("%v: bytes %+v", args, p)
	}
	return p
}

// TestRateLimit reads what Docker Hub says, and nothing where it is silent.
func TestRateLimit(t *testing.T) {
	b := some(t, "library/alpine:3.15")
	name := b.name("library/alpine:3.15")
	if p := b.plan(name); p.RateLimit != nil {
		t.Errorf("nothing was said, but there is %+v", p.RateLimit)
	}
	b.registry.Fault(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodHead {
			w.Header().Set("RateLimit-Limit", "100;w=21600")
			w.Header().Set("RateLimit-Remaining", "1;w=21600")
		}
	})
	p := b.plan(name)
	if p.RateLimit == nil || p.RateLimit.Limit != 100 || p.RateLimit.Remaining != 1 || p.RateLimit.Window != 21600 {
		t.Fatalf("got %+v", p.RateLimit)
	}
	if out := b.must("pull", "--dry-run", name).out; !strings.Contains(out, "1 of 100 manifests left in 6 hours: too few for this pull") {
		t.Errorf("dry run says\n%s", out)
	}
	if p := b.plan(b.registry.Host + "/library/alpine:3.15"); p.RateLimit != nil {
		t.Errorf("another registry was asked for Docker Hub's limit: %+v", p.RateLimit)
	}
}

// TestCreatesNothing looks at everything without a store: there is none after.
func TestCreatesNothing(t *testing.T) {
	b := some(t, "library/alpine:3.15")
	for _, args := range lookCommands(b.name("library/alpine:3.15")) {
		b.must(args...)
	}
	if r := b.mpull("inspect", "alpine:3.15"); r.code != 1 || strings.TrimSpace(r.out) != "[]" {
		t.Errorf("inspect of nothing: exit code %d, %q", r.code, r.out)
	}
	for _, dir := range []string{b.roots.Graph(), b.roots.Run()} {
		if _, err := os.Lstat(dir); !os.IsNotExist(err) {
			t.Errorf("looking has made %s: %v", dir, err)
		}
	}
}

// TestReadOnlyStore looks at a store on a read-only file system.
func TestReadOnlyStore(t *testing.T) {
	testenv.Root(t)
	b := some(t, "library/alpine:3.15")
	name := b.name("library/alpine:3.15")
	b.pull(name)
	want := b.must("inspect", name).out
	if err := unix.Mount(b.root(), b.root(), "", unix.MS_BIND|unix.MS_REC, ""); err != nil {
		t.Skipf("cannot mount: %v", err)
	}
	defer func() {
		if err := unix.Unmount(b.root(), unix.MNT_DETACH); err != nil {
			t.Error(err)
		}
	}()
	if err := unix.Mount("", b.root(), "", unix.MS_BIND|unix.MS_REMOUNT|unix.MS_RDONLY, ""); err != nil {
		t.Fatal(err)
	}
	for _, args := range append(lookCommands(name), []string{"inspect", "--config", name}, []string{"manifest", "inspect", name}) {
		b.must(args...)
	}
	if got := b.must("inspect", name).out; got != want {
		t.Errorf("inspect of the read-only store:\n%s\nwant\n%s", got, want)
	}
	if id := b.must("images", "--format", "{{.Id}}").lines()[0]; !strings.Contains(b.must("platforms", name).out, id[:12]) {
		t.Error("platforms does not show what is in a read-only store")
	}
}

// TestBesidePull looks while a pull waits for its layer.
func TestBesidePull(t *testing.T) {
	b := some(t, "library/alpine:3.15", "cat/full:1")
	b.pull(b.name("library/alpine:3.15"))
	manifest, err := b.entry("cat/full:1").Image.Manifest()
	if err != nil {
		t.Fatal(err)
	}
	layer, started, release := manifest.Layers[0].Digest.String(), make(chan struct{}, 10), make(chan struct{})
	b.registry.Fault(func(_ http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, layer) {
			started <- struct{}{}
			<-release
		}
	})
	var once sync.Once
	goOn := func() { once.Do(func() { close(release) }) }
	t.Cleanup(goOn) // before the registry is closed, which waits for its answers
	pulled := make(chan result, 1)
	go func() {
		pulled <- b.run(testenv.Binary(), "--policy-file", filepath.Join(b.dir, "policy.json"), "pull", "-q", b.name("cat/full:1"))
	}()
	select {
	case <-started:
	case r := <-pulled:
		t.Fatalf("the pull ended before its layer: %s", r.err)
	}
	for _, args := range append(lookCommands(b.name("library/alpine:3.15")), []string{"inspect", b.name("library/alpine:3.15")}) {
		b.must(args...)
	}
	goOn()
	if r := <-pulled; r.code != 0 {
		t.Errorf("the pull failed: %s", r.err)
	}
	b.must("inspect", b.name("cat/full:1"))
}

func (b *bench) entry(name string) testimage.Entry {
	b.Helper()
	for _, e := range b.entries {
		if e.Name == name {
			return e
		}
	}
	b.Fatalf("no %s in the catalogue", name)
	return testimage.Entry{}
}

// TestHostileTexts prints an image full of escape sequences by every command:
// nothing that steers a terminal gets out, and JSON still says the same.
func TestHostileTexts(t *testing.T) {
	b := some(t, "cat/hostile:1")
	name := b.name("cat/hostile:1")
	b.pull(name)
	commands := append(lookCommands(name), []string{"inspect", name}, []string{"inspect", "--config", name}, []string{"inspect", "--format", "{{.Labels}} {{json .History}}", name})
	for _, args := range commands {
		r := b.must(args...)
		for _, c := range r.out + r.err {
			if c < ' ' && c != '\n' && c != '\t' || c >= 0x7f && c < 0xa0 || c == '\u202e' || c == '\u2028' {
				t.Errorf("mpull %s prints %U", strings.Join(args, " "), c)
			}
		}
	}
	var images []struct{ Labels map[string]string }
	if err := json.Unmarshal([]byte(b.must("inspect", name).out), &images); err != nil || images[0].Labels["hostile"] != testimage.Hostile {
		t.Errorf("the label came out as %q (%v)", images, err)
	}
}
