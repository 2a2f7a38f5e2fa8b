package node

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/mpull/mpull/store"
)

// apart is a node with an image store apart: an image that a pod uses, and one
// that nothing does.
func apart(t *testing.T) (n *crio, conf, app, old string) {
	n = newNode(t, true)
	app, old = n.pulled("team/app:1", 1), n.pulled("team/old:1", 2)
	n.running(app, "pod")
	return n, n.configure("[crio]\nimagestore = \"" + n.images + "\"\n"), app, old
}

// alone is mpull on the image store as if it were a store of its own.
func (n *crio) alone(args ...string) []string {
	return append([]string{"--root", n.images, "--runroot", filepath.Join(n.Dir, "run2")}, args...)
}

// TestImageStoreOfCRIO has images apart, which only crio.conf says, or the flag.
func TestImageStoreOfCRIO(t *testing.T) {
	n, conf, app, old := apart(t)
	for _, flag := range []string{conf, "--imagestore=" + n.images} {
		compare(t, map[string]string{app: "used-by-container", old: "-unused"}, n.plan(flag, "prune", "--all", "--min-age", "0"))
		if r := n.Must(flag, "info", "--format", "{{.Store.Images}}"); strings.TrimSpace(r.Stdout) != n.images {
			t.Errorf("info: %s", r)
		}
		if r := n.Must(flag, "doctor"); r.Stdout != "" {
			t.Errorf("doctor: %s", r)
		}
	}
	if r := n.Mpull(conf, "rmi", app); r.Code != 2 {
		t.Errorf("rmi of what a pod uses: %s", r)
	}
	r := n.Must(conf, "prune", "--all", "--force")
	if strings.Contains(r.Stderr, "cross-device") || n.here() != app {
		t.Errorf("prune --all: %s", r)
	}
	if links := dangling(t, n); len(links) > 0 {
		t.Errorf("it left dangling links: %v", links)
	}
	n.push("team/new:1", 3)
	n.Must(conf, "pull", "docker.io/team/new:1")
	if img, err := n.lib.Image("docker.io/team/new:1"); err != nil {
		t.Error(err)
	} else if _, err := os.Stat(filepath.Join(n.images, "overlay-images", img.ID)); err != nil {
		t.Errorf("a pull went elsewhere: %v", err)
	}
	if r := n.Must(conf, "doctor"); r.Stdout != "" {
		t.Errorf("doctor: %s", r)
	}
}

// dangling are the driver's short links that lead nowhere.
func dangling(t *testing.T, n *crio) (found []string) {
	t.Helper()
	links, err := filepath.Glob(n.Dir + "/*/overlay/l/*")
	if err != nil || len(links) == 0 {
		t.Fatal("no short links", err)
	}
	for _, link := range links {
		if _, err := os.Stat(link); err != nil {
			found = append(found, link)
		}
	}
	return found
}

// TestLinksThatDeletionsLeft has the library delete an image from an image store
// on another file system, as CRI-O does: doctor finds and removes the links
// that it leaves.
func TestLinksThatDeletionsLeft(t *testing.T) {
	n, conf, app, old := apart(t)
	if _, err := n.lib.DeleteImage(old, true); err != nil {
		t.Fatal(err)
	}
	links := dangling(t, n)
	if len(links) == 0 {
		t.Skip("this version of the library leaves no links")
	}
	r := n.Must(conf, "doctor")
	for _, link := range links {
		if !strings.Contains(r.Stdout, "leftover "+link+": a short link to a layer that is gone") {
			t.Errorf("doctor does not name %s: %s", link, r)
		}
	}
	n.Must(conf, "doctor", "--repair", "--force")
	if left := dangling(t, n); len(left) > 0 || n.here() != app {
		t.Errorf("after the repair: links %v, images %s", left, n.here())
	}
}

// TestContainersElsewhere opens the image store as a store of its own, in which
// no container is to be seen.
func TestContainersElsewhere(t *testing.T) {
	n, _, app, old := apart(t)
	n.push("team/new:1", 3)
	conf := n.configure("[crio]\nroot = \"" + n.Root + "\"\nrunroot = \"" + n.RunRoot + "\"\nimagestore = \"" + n.images + "\"\n")
	n.Must(n.alone("pull", "docker.io/team/new:1")...) // from here on it looks like a store
	r := n.Mpull(n.alone(conf, "prune", "--all", "--force")...)
	if r.Code != 125 || !strings.Contains(r.Stderr, "mpull --root "+n.Root+" --runroot "+n.RunRoot+" --imagestore "+n.images) {
		t.Errorf("prune --all: %s", r)
	}
	if r := n.Must(n.alone(conf, "prune", "--force")...); !strings.Contains(r.Stderr, "warning: "+n.images+" holds the images of the store at "+n.Root) {
		t.Errorf("prune: %s", r)
	}
	plan := n.Write("plan", n.Must(n.alone("prune", "--all", "--dry-run", "--format", "json")...).Stdout)
	if r := n.Mpull(n.alone(conf, "prune", "--apply", plan, "--force")...); r.Code != 125 || !strings.Contains(r.Stderr, "where the containers are recorded") {
		t.Errorf("prune --apply: %s", r)
	}
	// Nobody speaks of the other store: the mount of the container is seen.
	reasons := n.plan(n.alone("prune", "--all", "--filter", "reference=team/app")...)
	if reasons[app] != "mounted" || reasons[old] != "filtered-out" {
		t.Errorf("without a configuration: %v", reasons)
	}
	// A third store has the same layers, and nothing in use.
	third := []string{"--root", filepath.Join(n.Dir, "root3"), "--runroot", filepath.Join(n.Dir, "run3")}
	n.Must(append(third, "pull", "-q", "docker.io/team/app:1")...)
	if reasons := n.plan(append(third, "prune", "--all")...); reasons[app] != "-unused" {
		t.Errorf("the same image in another store: %v", reasons)
	}
	if r := n.Mpull(n.alone("rmi", app)...); r.Code != 2 {
		t.Errorf("rmi: %s", r)
	}
	if err := store.Contradictions(store.Options{Root: n.Root, RunRoot: n.RunRoot, Driver: "overlay", ImageStore: n.images}); err != nil {
		t.Error(err)
	}
}

// TestRepairWithoutTheImageStore repairs a graph root whose images lie where
// nobody spoke of: what belongs to their layers stays.
func TestRepairWithoutTheImageStore(t *testing.T) {
	n, conf, _, _ := apart(t)
	if r := n.Mpull("doctor"); r.Code != 1 || !strings.Contains(r.Stdout, "what belongs to a layer that no list names") {
		t.Errorf("doctor: %s", r)
	}
	n.Mpull("doctor", "--repair", "--force")
	if r := n.Must(conf, "doctor"); r.Stdout != "" {
		t.Errorf("after a repair that did not know: %s", r)
	}
}
