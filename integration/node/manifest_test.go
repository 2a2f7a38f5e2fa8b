package node

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"

	"github.com/mpull/mpull/integration/testbed"
	"github.com/mpull/mpull/integration/testenv"
)

// pod is what of a pod's specification decides how its containers run.
type pod struct {
	InitContainers, Containers []container
	Volumes                    []struct {
		Name      string
		HostPath  struct{ Path string } `yaml:"hostPath"`
		ConfigMap struct{ Name string } `yaml:"configMap"`
	}
}

type container struct {
	Name            string
	Command         []string
	SecurityContext struct {
		Privileged             bool
		ReadOnlyRootFilesystem bool `yaml:"readOnlyRootFilesystem"`
		Capabilities           struct{ Add []string }
	} `yaml:"securityContext"`
	VolumeMounts []struct {
		Name, MountPath string
		ReadOnly        bool   `yaml:"readOnly"`
		Propagation     string `yaml:"mountPropagation"`
	} `yaml:"volumeMounts"`
}

// podOf reads the pod of a DaemonSet or a CronJob.
func podOf(t *testing.T, file string) pod {
	t.Helper()
	data, err := os.ReadFile("../../contrib/fleet/kubernetes/" + file)
	if err != nil {
		t.Fatal(err)
	}
	type template struct {
		Spec struct {
			Template struct{ Spec pod }
		}
	}
	var m struct {
		Spec struct {
			Template    struct{ Spec pod }
			JobTemplate template `yaml:"jobTemplate"`
		}
	}
	// Keys of the API begin with a small letter; the library takes no other case.
	if err := yaml.Unmarshal(lowerKeys(data), &m); err != nil {
		t.Fatal(err)
	}
	if p := m.Spec.JobTemplate.Spec.Template.Spec; len(p.Containers) > 0 {
		return p
	}
	return m.Spec.Template.Spec
}

// lowerKeys writes the keys that have no tag above as the library wants them.
func lowerKeys(data []byte) []byte {
	return []byte(strings.NewReplacer("initContainers:", "initcontainers:", "mountPath:", "mountpath:").Replace(string(data)))
}

// inContainer is the script that makes the container: a root of the host's
// programs, read-only, the volumes bound into it, the capabilities dropped.
const inContainer = `
root=$1 mpull=$2 caps=$3 volumes=$4; shift 4
mount -t tmpfs tmpfs "$root"
cd "$root"
mkdir -p proc dev tmp etc opt/bin var/lib run
for d in usr bin sbin lib lib32 lib64; do
	if [ -L "/$d" ]; then cp -P "/$d" "$d"; elif [ -d "/$d" ]; then mkdir -p "$d"; mount --rbind "/$d" "$d"; fi
done
install -m 755 "$mpull" opt/bin/mpull
mount --rbind /proc proc
mount -t tmpfs tmpfs dev
for n in null zero urandom; do : > "dev/$n"; mount --bind "/dev/$n" "dev/$n"; done
mkdir dev/shm; mount -t tmpfs tmpfs dev/shm
printf '%s\n' "$volumes" | while read -r from to mode; do
	mkdir -p ".$to"; mount --rbind "$from" ".$to"; mount --make-rslave ".$to"
	if [ "$mode" = ro ]; then mount -o remount,bind,ro ".$to"; fi
done
mount -o remount,ro "$root"
if [ -n "$caps" ]; then set -- setpriv --bounding-set="$caps" --inh-caps=-all "$@"; fi
cd /
exec env -i PATH=/opt/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/ chroot "$root" "$@"
`

// run runs a container of a pod on the node, by plain means. Without caps those
// of the manifest count.
func (n *layout) run(t *testing.T, p pod, c container, caps []string, command ...string) testbed.Result {
	t.Helper()
	var volumes []string
	for _, m := range c.VolumeMounts {
		from := ""
		for _, v := range p.Volumes {
			if v.Name == m.Name && v.ConfigMap.Name != "" {
				from = filepath.Join(n.Dir, "configmaps", v.ConfigMap.Name)
			} else if v.Name == m.Name {
				from = filepath.Join(n.node, v.HostPath.Path)
			}
		}
		mode := "rw"
		if m.ReadOnly {
			mode = "ro"
		}
		if m.Propagation == "Bidirectional" {
			t.Fatal("mounts of the container would be seen on the node")
		}
		volumes = append(volumes, from+" "+m.MountPath+" "+mode)
	}
	if caps == nil {
		caps = c.SecurityContext.Capabilities.Add
	}
	bounding := "-all"
	for _, one := range caps {
		bounding += ",+" + strings.ToLower(one)
	}
	root := filepath.Join(n.Dir, "container")
	if err := os.MkdirAll(root, 0o755); err != nil {
		t.Fatal(err)
	}
	if command == nil {
		command = c.Command
	}
	args := append([]string{"--mount", "--propagation", "slave", "sh", "-euc", inContainer, "sh", root, n.Binary, bounding, strings.Join(volumes, "\n")}, command...)
	cmd := exec.Command("unshare", args...)
	return n.StartCommand(cmd).Wait()
}

// layout is a node with CRI-O's directories.
type layout struct {
	*crio
	node string
}

func newLayout(t *testing.T) *layout {
	testenv.Need(t, "setpriv", "chroot")
	testenv.Unshares(t, "--mount")
	bed := testbed.New(t, testenv.Binary())
	l := &layout{node: filepath.Join(bed.Dir, "node")}
	bed.Root, bed.RunRoot = filepath.Join(l.node, "var/lib/containers/storage"), filepath.Join(l.node, "run/containers/storage")
	for _, dir := range []string{bed.Root, bed.RunRoot, filepath.Join(l.node, "etc/crio/crio.conf.d"), filepath.Join(l.node, "etc/containers"), filepath.Join(bed.Dir, "configmaps/mpull-lock")} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	l.crio = nodeOn(t, bed)
	for name, text := range map[string]string{
		"storage.conf":    "[storage]\ndriver = \"overlay\"\ngraphroot = \"/var/lib/containers/storage\"\nrunroot = \"/run/containers/storage\"\n",
		"policy.json":     `{"default":[{"type":"insecureAcceptAnything"}]}`,
		"registries.conf": fmt.Sprintf("[[registry]]\nprefix = \"docker.io\"\nlocation = %q\ninsecure = true\n", l.registry.Host),
	} {
		bed.Write("node/etc/containers/"+name, text)
	}
	bed.Write("node/etc/crio/crio.conf.d/10-pins.conf", "[crio.image]\npinned_images = [\"docker.io/team/pinned:1\"]\n")
	return l
}

// TestManifestsOnANode runs the containers of the DaemonSet and the CronJob as
// they are written, on a node with a pod, an image volume, a pinned image and
// one that nothing needs.
func TestManifestsOnANode(t *testing.T) {
	n := newLayout(t)
	used, volume, pinned, free := n.pulled("team/used:1", 1), n.pulled("team/volume:1", 2), n.pulled("team/pinned:1", 3), n.pulled("team/free:1", 4)
	n.running(used, "pod")
	n.volume(volume)
	week := []string{used, volume, pinned, free}
	n.weekOld(week...)
	n.push("team/locked:1", 5, "linux/amd64", "linux/arm64")
	n.Must("lock", filepath.Join(n.Dir, "configmaps/mpull-lock/images.lock"), "docker.io/team/locked:1")

	set := podOf(t, "daemonset.yaml")
	pull := n.run(t, set, set.InitContainers[0], nil)
	if pull.Code != 0 {
		t.Fatalf("the init container: %s", pull)
	}
	locked := strings.TrimSpace(pull.Stdout)
	names, err := n.lib.Names(locked)
	if err != nil || len(names) != 1 || !strings.HasPrefix(names[0], "docker.io/team/locked@sha256:") {
		t.Errorf("the locked image has the names %v, %v", names, err)
	}
	if r := n.run(t, set, set.InitContainers[0], nil); r.Code != 0 || strings.TrimSpace(r.Stdout) != locked {
		t.Errorf("a second time: %s", r)
	}
	n.weekOld(locked)

	job := podOf(t, "cronjob.yaml")
	if r := n.run(t, job, job.Containers[0], nil); r.Code != 0 || len(strings.Fields(n.here())) != 5 {
		t.Errorf("the job on a disk that is not full: %s", r)
	}
	// As written but for the end of the loop's first round, which is a day later.
	command := slices.Clone(set.Containers[0].Command)
	command[len(command)-1] = strings.Replace(command[len(command)-1], "sleep 86400", "exit 0; sleep 86400", 1)
	r := n.run(t, set, set.Containers[0], nil, command...)
	here := n.here()
	if r.Code != 0 || strings.Contains(here, free) || len(strings.Fields(here)) != 4 {
		t.Errorf("the loop: %s\nimages: %s", r, here)
	}
	for _, id := range []string{used, volume, pinned, locked} {
		if !strings.Contains(here, id) {
			t.Errorf("it took %s", id)
		}
	}
	if left := dirNames(t, n.Temp); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
	sound := n.Must("--crio-config=", "doctor")
	if sound.Stdout != "" {
		t.Errorf("the store afterwards: %s", sound)
	}
}

func dirNames(t *testing.T, dir string) (names []string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}
