package node

import (
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
)

// TestImagesOfPodsStay is the matrix of what a node has, and what each way to
// remove images does with it: kubelet, by CRI-O's rules, collects none of those
// that stay here.
func TestImagesOfPodsStay(t *testing.T) {
	n := newNode(t, false)
	pause := n.pulled("k8s/pause:3.10.1", 1)
	sandbox := n.running(pause, "")
	app := n.pulled("team/app:1", 2)
	n.running(app, sandbox)
	exited := n.pulled("team/exited:1", 3)
	if _, err := n.create(exited, sandbox); err != nil {
		t.Fatal(err)
	}
	volume := n.pulled("team/volume:1", 4)
	n.volume(volume)
	exact := n.pulled("team/exact:1", 5)
	glob := n.pulled("base/os:9", 6)
	word := n.pulled("team/my-debug-tools:1", 7)
	free := n.pulled("team/free:1", 8)
	lost := n.pulled("team/lost:1", 9)
	n.push("team/lost:1", 10)
	fresh, err := n.pull("team/lost:1") // takes the name
	if err != nil {
		t.Fatal(err)
	}
	conf := n.configure("[crio]\nroot = \"\"\n[crio.image]\npause_image = \"docker.io/k8s/pause:3.10.1\"\npinned_images = [\"docker.io/team/exact:1\", \"docker.io/base*\", \"*debug*\"]\n")
	want := map[string]string{
		pause: "used-by-container", app: "used-by-container", exited: "used-by-container", volume: "mounted",
		exact: "pinned-by-cri-o", glob: "pinned-by-cri-o", word: "pinned-by-cri-o",
		free: "-unused", lost: "-unused", fresh: "too-young",
	}
	compare(t, want, n.plan(conf, "prune", "--all"))
	want[fresh] = "-unused"
	compare(t, want, n.plan(conf, "prune", "--all", "--min-age", "0s"))
	want[fresh] = "filtered-out" // younger than that, and nothing else is
	compare(t, want, n.plan(conf, "prune", "--all", "--filter", "until=1h"))
	want[free], want[fresh], want[lost] = "named", "named", "-dangling"
	compare(t, want, n.plan(conf, "prune"))

	text := n.Must(conf, "prune", "--all", "--dry-run").Stdout
	for _, line := range []string{"mounted", "pinned by CRI-O (docker.io/base*)", "pinned by CRI-O (*debug*)", "used by container k8s_"} {
		if !strings.Contains(text, line) {
			t.Errorf("the plan does not say %q:\n%s", line, text)
		}
	}
	for id, what := range map[string]string{app: "used by container", volume: "mounted", exact: "pinned by CRI-O (docker.io/team/exact:1 in "} {
		if r := n.Mpull(conf, "rmi", id); r.Code != 2 || !strings.Contains(r.Stderr, what) {
			t.Errorf("rmi of what is %s: %s", what, r)
		}
	}
	r := n.Must(conf, "prune", "--all", "--force", "--protect", "team/free")
	if here := n.here(); strings.Contains(here, lost) || !strings.Contains(here, free) || strings.Count(here, " ") != 8 {
		t.Errorf("after prune --all: %s\n%s", here, r)
	}
	n.Must(conf, "rmi", "--force", exact)
	if strings.Contains(n.here(), exact) {
		t.Error("rmi --force left the pinned image")
	}
	if r := n.Mpull("rmi", app, "--force"); r.Code != 2 {
		t.Errorf("rmi --force of what runs: %s", r)
	}
}

func compare(t *testing.T, want, got map[string]string) {
	t.Helper()
	for id, reason := range want {
		if got[id] != reason {
			t.Errorf("%.12s: %q, want %q", id, got[id], reason)
		}
	}
	if len(got) != len(want) {
		t.Errorf("%d images, want %d", len(got), len(want))
	}
}

// TestWhatIsPinnedIsShown looks at images and info.
func TestWhatIsPinnedIsShown(t *testing.T) {
	n := newNode(t, false)
	n.pulled("team/app:1", 1)
	n.pulled("team/other:1", 2)
	conf := n.configure("[crio.image]\npinned_images = [\"docker.io/team/app:1\"]\n")
	if out := n.Must(conf, "images").Stdout; !strings.Contains(out, "PINNED") || strings.Count(out, "by CRI-O") != 1 {
		t.Errorf("images:\n%s", out)
	}
	if out := n.Must("images").Stdout; strings.Contains(out, "PINNED") {
		t.Errorf("without CRI-O:\n%s", out)
	}
	if out := n.Must(conf, "images", "--format", "{{.Tag}} {{.Pinned}} {{.PinnedBy}}", "team/app").Stdout; out != "1 true docker.io/team/app:1\n" {
		t.Errorf("images --format: %q", out)
	}
	out := n.Must(conf, "info").Stdout
	if !strings.Contains(out, "/crio.conf") || !strings.Contains(out, "docker.io/team/app:1 registry.k8s.io/pause:*") {
		t.Errorf("info:\n%s", out)
	}
	if r := n.Mpull("--crio-config", n.Dir+"/none", "prune", "--dry-run"); r.Code != 125 || !strings.Contains(r.Stderr, "reading CRI-O's configuration") {
		t.Errorf("a configuration that is not there: %s", r)
	}
	if r := n.Mpull("--crio-config", n.Write("bad.conf", "[crio"), "prune", "--all", "--force"); r.Code != 125 || !strings.Contains(r.Stderr, "bad.conf") {
		t.Errorf("a configuration that cannot be read: %s", r)
	}
}

// TestPinnedNamesStay has untag take all the names that it was given, or none.
func TestPinnedNamesStay(t *testing.T) {
	n := newNode(t, false)
	n.pulled("team/app:1", 1)
	n.Must("tag", "team/app:1", "localhost/other:1")
	conf := n.configure("[crio.image]\npinned_images = [\"docker.io/team/app:1\"]\n")
	names := n.Must("inspect", "--format", "{{.RepoTags}}", "team/app:1").Stdout
	for _, args := range [][]string{{"team/app:1"}, {"team/app:1", "localhost/other:1", "team/app:1"}} {
		r := n.Mpull(append([]string{conf, "untag"}, args...)...)
		if r.Code != 125 || !strings.Contains(r.Stderr, "docker.io/team/app:1 is pinned by CRI-O") || !strings.Contains(r.Stderr, "mpull rmi --force") {
			t.Errorf("untag %s: %s", args, r)
		}
		if now := n.Must("inspect", "--format", "{{.RepoTags}}", "team/app:1").Stdout; now != names {
			t.Errorf("untag %s left %s of %s", args, now, names)
		}
	}
	n.Must(conf, "untag", "team/app:1", "localhost/other:1")
	n.Must("untag", "team/app:1") // without CRI-O
}

// TestProtect keeps what the user names, in each way to name it.
func TestProtect(t *testing.T) {
	n := newNode(t, false)
	a, b, c := n.pulled("team/a:1", 1), n.pulled("team/b:1", 2), n.pulled("base/c:1", 3)
	locked := n.pulled("team/d:1", 4)
	lock := n.Dir + "/images.lock"
	n.Must("lock", lock, "docker.io/team/d:1")
	list := n.Write("list", "# what we need\nteam/b\n\nbase/* # the base\n")
	img, err := n.lib.Image(a)
	if err != nil {
		t.Fatal(err)
	}
	for _, one := range []struct {
		args []string
		kept []string
	}{
		{[]string{"--protect", "docker.io/team/a:1"}, []string{a}},
		{[]string{"--protect", "team/*"}, []string{a, b, locked}},
		{[]string{"--protect", a[:12], "--protect", "b:1"}, []string{a, b}},
		{[]string{"--protect", "docker.io/team/a@" + img.Digest.String()}, []string{a}},
		{[]string{"--protect", img.Digest.String()}, []string{a}},
		{[]string{"--protect-file", list}, []string{b, c}},
		{[]string{"--protect-file", lock, "--protect-file", list}, []string{b, c, locked}},
		{[]string{"--protect", "nobody/has:this"}, nil},
	} {
		want := map[string]string{a: "-unused", b: "-unused", c: "-unused", locked: "-unused"}
		for _, id := range one.kept {
			want[id] = "protected"
		}
		t.Log(one.args)
		compare(t, want, n.plan(append([]string{"prune", "--all"}, one.args...)...))
	}
	plan := n.Write("plan", n.Must("prune", "--all", "--dry-run", "--format", "json").Stdout)
	conf := n.configure("[crio.image]\npinned_images = [\"docker.io/team/b:1\"]\n") // since the plan was made
	if r := n.Mpull(conf, "prune", "--apply", plan, "--force"); r.Code != 125 || !strings.Contains(r.Stderr, "(pinned-by-cri-o): make a new plan") {
		t.Errorf("a plan that has what is pinned now: %s", r)
	}
	for _, bad := range [][]string{{"--protect", ""}, {"--protect", "a["}, {"--protect-file", n.Dir + "/none"}, {"--min-age", "x"}, {"--until-used", "0%"},
		{"--until-used", "101"}, {"--when-used", "50%", "--until-used", "60%"}, {"--free", "1GB", "--until-used", "60%"}} {
		if r := n.Mpull(append([]string{"prune", "--all", "--force"}, bad...)...); r.Code != 125 {
			t.Errorf("prune %v: %s", bad, r)
		}
	}
	if len(strings.Fields(n.here())) != 4 {
		t.Error("bad usage removed something")
	}
}

// TestThresholds prunes by how full the disk is, as kubelet does.
func TestThresholds(t *testing.T) {
	n := newNode(t, false)
	a := n.pulled("team/a:1", 1)
	if r := n.Must("prune", "--all", "--force", "--when-used", "99%"); !strings.Contains(r.Stderr, "Nothing to prune: the disk is not that full") {
		t.Errorf("below the threshold: %s", r)
	}
	if r := n.Must("prune", "--all", "--force", "--until-used", "100%"); !strings.Contains(n.here(), a) {
		t.Errorf("a threshold that is reached: %s", r)
	}
	n.Write("ballast", strings.Repeat("x", 200<<20)) // of the 4 GiB that the disk has
	if r := n.Mpull("prune", "--all", "--force", "--when-used", "2%", "--until-used", "1%"); r.Code != 1 || !strings.Contains(r.Stderr, "--until-used 1% asks for: nothing more can go") {
		t.Errorf("one that cannot be reached: %s", r)
	}
	if strings.Contains(n.here(), a) {
		t.Error("it freed nothing")
	}
}

// pullRounds is how often each of the pulling loops goes round.
const pullRounds = 6

// TestPullsBesidePruneAll has CRI-O pull images that share layers, and make and
// delete containers of them, while prune --all runs without a pause: no pull and
// no creation fails, but for one by a fault of the library itself.
func TestPullsBesidePruneAll(t *testing.T) {
	n := newNode(t, false)
	pause := n.pulled("k8s/pause:3.10.1", 1)
	n.running(pause, "")
	const loops = 4
	for i := range loops * pullRounds {
		n.push(fmt.Sprintf("team/app%d:1", i), 100+uint64(i%pullRounds)) // loops of them have the same layers
	}
	done := make(chan struct{})
	var prunes atomic.Int64
	var pruner, pullers sync.WaitGroup
	pruner.Go(func() {
		for {
			if r := n.Mpull("prune", "--all", "--force"); r.Code != 0 {
				t.Errorf("prune: %s", r)
			}
			prunes.Add(1)
			select {
			case <-done:
				return
			default:
			}
		}
	})
	var swept atomic.Int64
	var mu sync.Mutex // of n.create's numbers
	for loop := range loops {
		pullers.Go(func() {
			for round := range pullRounds {
				name := fmt.Sprintf("team/app%d:1", loop*pullRounds+round)
				id, err := n.pull(name)
				if isSwept(err) && swept.Add(1) == 1 {
					t.Logf("pulled again, as kubelet does: %v", err)
					id, err = n.pull(name)
				}
				if err != nil {
					t.Errorf("pull: %v", err)
					continue
				}
				mu.Lock()
				c, err := n.create(id, "pod")
				mu.Unlock()
				if err == nil {
					err = n.lib.DeleteContainer(c)
				}
				if err != nil {
					t.Errorf("create: %v", err)
				}
			}
		})
	}
	pullers.Wait()
	close(done)
	pruner.Wait()
	t.Logf("%d pulls and containers beside %d runs of prune --all", loops*pullRounds, prunes.Load())
	if prunes.Load() < 2 {
		t.Error("prune hardly ran")
	}
}

// isSwept tells whether a pull lost its staging directory: between making one and
// locking it the library takes it for the rest of a dead process, in any program
// that opens the store at that moment (internal/tempdir of storage, RecoverStaleDirs).
func isSwept(err error) bool {
	return err != nil && strings.Contains(err.Error(), "unpacking failed") && strings.Contains(err.Error(), "no such file or directory")
}

// TestUsedTagsKeepTheirPlatform has a name that a pod uses move to another
// platform: with a warning, or not at all.
func TestUsedTagsKeepTheirPlatform(t *testing.T) {
	n := newNode(t, false)
	id := n.pulled("team/app:1", 1, "linux/amd64", "linux/s390x")
	n.running(id, "pod")
	r := n.Mpull("--guard-tags", "pull", "--platform", "linux/s390x", "docker.io/team/app:1")
	if r.Code != 2 || !strings.Contains(r.Stderr, "is in use by container k8s_") || !strings.Contains(r.Stderr, "--no-tag") {
		t.Errorf("guarded: %s", r)
	}
	if list := n.here(); list != id {
		t.Errorf("a guarded pull brought something: %s", list)
	}
	if r := n.Must("pull", "--guard-tags", "docker.io/team/app:1"); strings.Contains(r.Stderr, "warning") {
		t.Errorf("the same platform: %s", r)
	}
	n.Must("--guard-tags", "pull", "--no-tag", "--platform", "linux/s390x", "docker.io/team/app:1")
	for _, args := range [][]string{{"use", "--platform", "linux/s390x", "team/app:1"}} {
		if r := n.Mpull(append([]string{"--guard-tags"}, args...)...); r.Code != 2 {
			t.Errorf("%v: %s", args, r)
		}
		if r := n.Must(args...); !strings.Contains(r.Stderr, "warning: docker.io/team/app:1 is for linux/s390x now, while container k8s_") {
			t.Errorf("%v without the guard: %s", args, r)
		}
	}
	n.Must("--guard-tags", "use", "--platform", "linux/amd64", "team/app:1") // nothing uses the other one
	if r := n.Must("pull", "-q", "--platform", "linux/s390x", "docker.io/team/app:1"); !strings.Contains(r.Stderr, "warning: docker.io/team/app:1") {
		t.Errorf("a quiet pull says nothing of it: %s", r)
	}
}
