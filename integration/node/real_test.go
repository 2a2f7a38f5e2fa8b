package node

import (
	"archive/tar"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/mpull/mpull/integration/testbed"
	"github.com/mpull/mpull/integration/testenv"
	"github.com/mpull/mpull/integration/testimage"
)

// live is a running CRI-O, for which the records in the store are its own.
type live struct {
	*crio
	t      *testing.T
	socket string
}

// crioConf is the configuration of a CRI-O that touches nothing of the machine
// but its control groups. %[1]s is the bed's directory.
const crioConf = `[crio]
root = "%[1]s/root"
runroot = "%[1]s/run"
storage_driver = "overlay"
log_dir = "%[1]s/log"
version_file = "%[1]s/version"
clean_shutdown_file = "%[1]s/clean"
%[4]s
[crio.api]
listen = "%[1]s/crio.sock"
stream_port = "0"
[crio.runtime]
conmon_cgroup = "pod"
cgroup_manager = "cgroupfs"
pinns_path = %[3]q
namespaces_dir = "%[1]s/ns"
container_exits_dir = "%[1]s/exits"
container_attach_socket_dir = "%[1]s"
default_runtime = "runc"
apparmor_profile = "unconfined"
seccomp_profile = ""
hooks_dir = []
[crio.runtime.runtimes.runc]
runtime_path = "%[1]s/runc.sh"
runtime_root = "%[1]s/runc"
monitor_path = %[2]q
[crio.image]
signature_policy = "%[1]s/policy.json"
pause_image = "docker.io/k8s/pause:3.10"
pinned_images = ["docker.io/team/pinned:1", "docker.io/base*", "*debug*"]
[crio.network]
network_dir = "%[1]s/cni"
`

// runcScript takes out of a container's configuration what needs rights that a
// machine for tests may not have.
const runcScript = `#!/bin/sh
previous=
for a in "$@"; do
	case $previous in --bundle|-b) bundle=$a;; esac
	previous=$a
done
if [ -n "${bundle:-}" ] && new=$(jq 'del(.process.oomScoreAdj, .process.rlimits, .linux.resources)' "$bundle/config.json"); then
	printf '%s' "$new" > "$bundle/config.json"
fi
exec runc "$@"
`

func newReal(t *testing.T, apart bool) *live {
	t.Helper()
	for _, program := range []string{"crio", "crictl", "pinns"} {
		if _, err := exec.LookPath(program); err != nil {
			t.Skip(program + " is not installed, which no package of Debian has") // on CI neither
		}
	}
	testenv.Need(t, "conmon", "runc", "jq")
	n := &live{crio: newNode(t, apart), t: t}
	n.socket = "unix://" + n.Dir + "/crio.sock"
	path := func(program string) string {
		p, err := exec.LookPath(program)
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	images := ""
	if apart {
		images = fmt.Sprintf("imagestore = %q", n.images)
	}
	n.Write("crio.conf", fmt.Sprintf(crioConf, n.Dir, path("conmon"), path("pinns"), images))
	n.Write("crictl.yaml", "timeout: 60\n")
	if err := os.Chmod(n.Write("runc.sh", runcScript), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(n.Dir+"/cni", 0o700); err != nil {
		t.Fatal(err)
	}
	n.Write("cni/10.conflist", `{"cniVersion":"0.4.0","name":"lo","plugins":[{"type":"loopback"}]}`)
	pause, err := testimage.Image(testimage.Spec{Extra: []testimage.File{{Name: "pause", Type: tar.TypeReg, Mode: 0o755, Data: testimage.Programs()["forever"]}}})
	if err == nil {
		err = n.registry.PushImage("k8s/pause:3.10", pause)
	}
	if err != nil {
		t.Fatal(err)
	}
	log, err := os.Create(n.Dir + "/crio.log")
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background()) // the test's own ends before its pods do
	cmd := exec.CommandContext(ctx, "crio", "--config", n.Dir+"/crio.conf", "--config-dir", "", "--registries-conf", n.Dir+"/registries.conf")
	cmd.Stdout, cmd.Stderr = log, log
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = 20 * time.Second
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		// What runs as the first process of a namespace heeds no SIGTERM, for which
		// CRI-O would wait.
		_ = exec.Command("sh", "-c", "runc --root \"$1\" list -q | xargs -r -n 1 sh -c 'runc --root \"$0\" kill \"$1\" KILL' \"$1\"", "sh", n.Dir+"/runc").Run()
		n.try("rmp", "--force", "--all")
		stop()
		_ = cmd.Wait()
		for range 3 { // control groups, the innermost first
			groups, _ := filepath.Glob("/sys/fs/cgroup/*/mpull-test/*")
			outer, _ := filepath.Glob("/sys/fs/cgroup/*/mpull-test")
			for _, dir := range append(groups, outer...) {
				_ = os.Remove(dir)
			}
		}
		if text, err := os.ReadFile(n.Dir + "/crio.log"); err == nil && t.Failed() {
			t.Logf("%s", text[max(0, len(text)-8000):])
		}
	})
	for range 100 {
		if r := n.try("version"); r.Code == 0 {
			return n
		}
		select {
		case <-ctx.Done():
		case <-time.After(100 * time.Millisecond): // it has no other sign of being ready
		}
	}
	t.Fatal("CRI-O does not answer")
	return nil
}

// try runs crictl.
func (n *live) try(args ...string) testbed.Result {
	cmd := exec.Command("crictl", append([]string{"--config", n.Dir + "/crictl.yaml", "--runtime-endpoint", n.socket, "--image-endpoint", n.socket}, args...)...)
	return n.StartCommand(cmd).Wait()
}

// crictl runs it and wants success; it returns the last word, which is an ID.
func (n *live) crictl(args ...string) string {
	n.t.Helper()
	r := n.try(args...)
	if r.Code != 0 {
		n.t.Fatalf("crictl %v: %s", args, r)
	}
	words := strings.Fields(r.Stdout)
	if len(words) == 0 {
		return ""
	}
	return words[len(words)-1]
}

func (n *live) bring(name string, seed uint64) string {
	n.t.Helper()
	n.push(name, seed)
	return n.crictl("pull", "docker.io/"+name)
}

func (n *live) sandbox(name string) string {
	n.t.Helper()
	return n.crictl("runp", n.Write(name+".json", fmt.Sprintf(`{"metadata":{"name":%[1]q,"namespace":"default","uid":%[1]q,"attempt":0},"log_directory":%[2]q,
		"linux":{"cgroup_parent":"/mpull-test","security_context":{"namespace_options":{"network":2}}}}`, name, n.Dir+"/log")))
}

// container creates one in a sandbox; with an image as a volume, where that is
// named.
func (n *live) container(pod, sandbox, name, image, volume string) testbed.Result {
	mounts := ""
	if volume != "" {
		mounts = fmt.Sprintf(`,"mounts":[{"container_path":"/vol","readonly":true,"image":{"image":%[1]q,"user_specified_image":%[1]q}}]`, volume)
	}
	file := filepath.Join(n.Dir, name+".json")
	text := fmt.Sprintf(`{"metadata":{"name":%q,"attempt":0},"image":{"image":%q},"command":["/bin/sh"],"log_path":"log","linux":{}%s}`, name, image, mounts)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		n.t.Error(err)
	}
	return n.try("create", pod, file, filepath.Join(n.Dir, sandbox+".json"))
}

// TestRealCRIO is TestImagesOfPodsStay with records by CRI-O itself, in a store
// of one place and of two.
func TestRealCRIO(t *testing.T) {
	for name, apart := range map[string]bool{"one place": false, "image store": true} {
		t.Run(name, func(t *testing.T) { realMatrix(newReal(t, apart)) })
	}
}

func realMatrix(n *live) {
	t := n.t
	app, volume, pinned := n.bring("team/app:1", 2), n.bring("team/volume:1", 3), n.bring("team/pinned:1", 4)
	glob, word, free := n.bring("base/os:9", 5), n.bring("team/my-debug:1", 6), n.bring("team/free:1", 7)
	pod := n.sandbox("pod")
	if r := n.container(pod, "pod", "app", "docker.io/team/app:1", "docker.io/team/volume:1"); r.Code != 0 {
		t.Fatal(r)
	}
	conf := "--crio-config=" + n.Dir + "/crio.conf"
	want := map[string]string{app: "used-by-container", volume: "mounted", pinned: "pinned-by-cri-o", glob: "pinned-by-cri-o", word: "pinned-by-cri-o", free: "too-young"}
	got := n.plan(conf, "prune", "--all")
	for id, reason := range got {
		if _, known := want[id]; !known && reason == "used-by-container" {
			want[id] = reason // the pause image
		}
	}
	compare(t, want, got)
	for _, id := range []string{app, volume, pinned} {
		if r := n.Mpull(conf, "rmi", id); r.Code != 2 {
			t.Errorf("rmi: %s", r)
		}
	}
	if r := n.Must(conf, "prune", "--all", "--force", "--min-age", "0"); !strings.Contains(r.Stdout, free) || strings.Count(r.Stdout, "\n") != 1 {
		t.Errorf("prune --all: %s", r)
	}
	n.crictl("images")
	besidePulls(n, pod, conf)
	lock := n.Dir + "/images.lock"
	n.Must(conf, "lock", lock, "docker.io/team/free:1")
	n.Must(conf, "pull", "--no-tag", "--locked", lock)
	for i, digest := range digestsIn(t, lock) { // of the index, and of the platform
		if r := n.container(pod, "pod", fmt.Sprintf("locked%d", i), "docker.io/team/free@"+digest, ""); r.Code != 0 {
			t.Errorf("a container by a digest in the lock: %s", r)
		}
	}
	if r := n.Must(conf, "doctor"); r.Stdout != "" {
		t.Errorf("doctor: %s", r)
	}
}

// besidePulls has crictl pull twelve images at the same time and create
// containers of them, while prune --all runs.
func besidePulls(n *live, pod, conf string) {
	const many = 12
	for i := range many {
		n.push(fmt.Sprintf("team/beside%d:1", i), 100+uint64(i%3))
	}
	var pulls sync.WaitGroup
	for i := range many {
		pulls.Go(func() {
			name := fmt.Sprintf("docker.io/team/beside%d:1", i)
			if r := n.try("pull", name); r.Code != 0 {
				n.t.Errorf("pull: %s", r)
			}
			if r := n.container(pod, "pod", fmt.Sprintf("beside%d", i), name, ""); r.Code != 0 {
				n.t.Errorf("create: %s", r)
			}
		})
	}
	done := make(chan struct{})
	go func() { pulls.Wait(); close(done) }()
	prunes := 0
	for {
		n.Must(conf, "prune", "--all", "--force")
		prunes++
		select {
		case <-done:
			n.t.Logf("%d pulls and containers beside %d runs of prune --all", many, prunes)
			return
		default:
		}
	}
}

func digestsIn(t *testing.T, file string) []string {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	found := regexp.MustCompile(`sha256:[0-9a-f]{64}`).FindAllString(string(text), -1)
	if len(found) != 2 {
		t.Fatalf("%d digests in %s", len(found), text)
	}
	return found
}
