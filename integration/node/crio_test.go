package node

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.podman.io/image/v5/copy"
	"go.podman.io/image/v5/docker"
	"go.podman.io/image/v5/docker/reference"
	"go.podman.io/image/v5/signature"
	istorage "go.podman.io/image/v5/storage"
	"go.podman.io/image/v5/types"
	"go.podman.io/storage"
	"golang.org/x/sys/unix"

	"github.com/mpull/mpull/integration/testbed"
	"github.com/mpull/mpull/integration/testenv"
	"github.com/mpull/mpull/integration/testimage"
	"github.com/mpull/mpull/integration/testregistry"
)

func TestMain(m *testing.M) { testenv.MainWithBinary(m) }

// crio is a node: a store that this process opens as CRI-O does, a registry
// with images, and mpull beside it.
type crio struct {
	*testbed.Bed
	t        testing.TB
	lib      storage.Store
	registry *testregistry.Registry
	images   string // the image store, "" when there is none apart
	pods     int
}

// newNode makes a node; with an image store apart on a file system of its own,
// where that is asked for.
func newNode(t testing.TB, apart bool) *crio {
	t.Helper()
	bed := testbed.New(t, testenv.Binary())
	if !apart {
		return nodeOn(t, bed)
	}
	images := filepath.Join(bed.Dir, "images")
	if err := os.Mkdir(images, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := unix.Mount("tmpfs", images, "tmpfs", 0, "size=1g,mode=700"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = unix.Unmount(images, unix.MNT_DETACH) })
	return nodeOn(t, bed, images)
}

// nodeOn makes a node of a bed; with its images apart where that is named.
func nodeOn(t testing.TB, bed *testbed.Bed, images ...string) *crio {
	t.Helper()
	n := &crio{Bed: bed, t: t, registry: testregistry.New(), images: strings.Join(images, "")}
	t.Cleanup(n.registry.Close)
	n.Write("registries.conf", fmt.Sprintf("[[registry]]\nprefix = \"docker.io\"\nlocation = %q\ninsecure = true\n", n.registry.Host))
	n.open()
	t.Cleanup(n.close)
	return n
}

func (n *crio) open() {
	n.t.Helper()
	lib, err := storage.GetStore(storage.StoreOptions{GraphRoot: n.Root, RunRoot: n.RunRoot, ImageStore: n.images, GraphDriverName: "overlay"})
	if err != nil {
		n.t.Fatal(err)
	}
	n.lib = lib
}

func (n *crio) close() {
	if _, err := n.lib.Shutdown(true); err != nil {
		n.t.Log(err) // a mount that is undone with the bed
	}
	n.lib.Free()
}

// configure writes crio.conf and returns the flag that names it.
func (n *crio) configure(text string) string {
	return "--crio-config=" + n.Write("crio.conf", text)
}

// push puts images into the registry: one for each platform under one name.
func (n *crio) push(name string, seed uint64, platforms ...string) {
	n.t.Helper()
	if len(platforms) == 0 {
		platforms = []string{"linux/amd64"}
	}
	index, err := testimage.Index(platforms, testimage.Spec{Seed: seed, Layers: 2})
	if err == nil {
		err = n.registry.PushIndex(name, index)
	}
	if err != nil {
		n.t.Fatal(err)
	}
}

// pull pulls as CRI-O does (pullImageImplementation), under the full name, and
// returns the image's ID.
func (n *crio) pull(name string) (string, error) {
	named, err := reference.ParseNormalizedNamed("docker.io/" + name)
	if err != nil {
		return "", err
	}
	from, err := docker.NewReference(named)
	if err != nil {
		return "", err
	}
	to, err := istorage.Transport.NewStoreReference(n.lib, named, "")
	if err != nil {
		return "", err
	}
	policy, err := signature.NewPolicyContext(&signature.Policy{Default: signature.PolicyRequirements{signature.NewPRInsecureAcceptAnything()}})
	if err != nil {
		return "", err
	}
	defer policy.Destroy()
	sys := &types.SystemContext{SystemRegistriesConfPath: filepath.Join(n.Dir, "registries.conf"), ArchitectureChoice: "amd64", BigFilesTemporaryDir: n.Temp}
	if _, err := copy.Image(n.t.Context(), policy, to, from, &copy.Options{SourceCtx: sys, DestinationCtx: sys}); err != nil {
		return "", err
	}
	_, img, err := istorage.ResolveReference(to)
	if err != nil {
		return "", err
	}
	return img.ID, nil
}

// pulled is pull and push of an image that is a day old in the store.
func (n *crio) pulled(name string, seed uint64, platforms ...string) string {
	n.t.Helper()
	n.push(name, seed, platforms...)
	id, err := n.pull(name)
	if err != nil {
		n.t.Fatal(err)
	}
	n.age(id, 24*time.Hour)
	return id
}

// weekOld makes images older than a week in the store.
func (n *crio) weekOld(ids ...string) {
	n.t.Helper()
	for _, id := range ids {
		n.age(id, 8*24*time.Hour)
	}
}

// age makes an image's top layer and its documents that old.
func (n *crio) age(id string, age time.Duration) {
	n.t.Helper()
	root := n.Root
	if n.images != "" {
		root = n.images
	}
	img, err := n.lib.Image(id)
	if err != nil {
		n.t.Fatal(err)
	}
	old := time.Now().Add(-age)
	file := filepath.Join(root, "overlay-layers/layers.json")
	data, err := os.ReadFile(file)
	if err != nil {
		n.t.Fatal(err)
	}
	var layers []map[string]any
	if err := json.Unmarshal(data, &layers); err != nil {
		n.t.Fatal(err)
	}
	for _, l := range layers {
		if l["id"] == img.TopLayer {
			l["created"] = old.Format(time.RFC3339Nano)
		}
	}
	if data, err = json.Marshal(layers); err == nil {
		err = os.WriteFile(file, data, 0o600)
	}
	if err == nil {
		err = os.Chtimes(filepath.Join(root, "overlay-images", id, "manifest"), old, old)
	}
	if err != nil {
		n.t.Fatal(err)
	}
	n.lib.Free()
	n.open() // or it would go on with what it has read
}

// metadata is what CRI-O keeps with a container or sandbox
// (internal/storage/runtime.go, RuntimeContainerMetadata).
type metadata struct {
	PodName       string `json:"pod-name"`
	PodID         string `json:"pod-id"`
	ImageName     string `json:"image-name"`
	ImageID       string `json:"image-id"`
	ContainerName string `json:"name"`
	MetadataName  string `json:"metadata-name"`
	UID           string `json:"uid,omitempty"`
	Namespace     string `json:"namespace,omitempty"`
	MountLabel    string `json:"mountlabel,omitempty"`
	CreatedAt     int64  `json:"created-at"`
	Attempt       uint32 `json:"attempt,omitempty"`
	Pod           bool   `json:"pod,omitempty"`
	Privileged    bool   `json:"privileged,omitempty"`
}

// create makes a container as CRI-O does (createContainerOrPodSandbox): a
// sandbox where pod is "".
func (n *crio) create(image, pod string) (string, error) {
	n.pods++
	id := fmt.Sprintf("%064x", 0xabc000+n.pods)
	m := metadata{PodName: "k8s_app", PodID: pod, ImageName: image, ImageID: image, Namespace: "default", UID: "u", CreatedAt: time.Now().Unix(),
		ContainerName: fmt.Sprintf("k8s_c%d_app_default_u_0", n.pods)}
	names := []string{m.ContainerName}
	if pod == "" {
		m.PodID, m.Pod, m.PodName = id, true, fmt.Sprintf("k8s_app%d_default_u_0", n.pods)
		m.ContainerName = fmt.Sprintf("k8s_POD_app%d_default_u_0", n.pods)
		names = []string{m.ContainerName, m.PodName}
	}
	m.MetadataName = m.ContainerName
	text, err := json.Marshal(m)
	if err != nil {
		return "", err
	}
	c, err := n.lib.CreateContainer(id, names, image, "", string(text), &storage.ContainerOptions{Volatile: true})
	if err != nil {
		return "", err
	}
	return c.ID, n.lib.AddNames(c.LayerID, []string{m.ContainerName + "-layer"})
}

// running is create and the mount of what runs.
func (n *crio) running(image, pod string) string {
	n.t.Helper()
	id, err := n.create(image, pod)
	if err == nil {
		_, err = n.lib.Mount(id, "")
	}
	if err != nil {
		n.t.Fatal(err)
	}
	return id
}

// volume mounts an image as a pod has it (MountImageByID).
func (n *crio) volume(image string) {
	n.t.Helper()
	if _, err := n.lib.MountImage(image, []string{"ro", "noexec", "nosuid", "nodev"}, ""); err != nil {
		n.t.Fatal(err)
	}
}

// plan is what mpull would do to images, by ID: their reason, with "-" in
// front when they go.
func (n *crio) plan(args ...string) map[string]string {
	n.t.Helper()
	r := n.Mpull(append(args, "--dry-run", "--format", "json")...)
	var plan struct {
		Images []struct {
			ID, Reason, By string
			Goes           bool
		}
	}
	if err := json.Unmarshal([]byte(r.Stdout), &plan); err != nil {
		n.t.Fatalf("%v: %v: %s", args, err, r)
	}
	reasons := map[string]string{}
	for _, i := range plan.Images {
		if reasons[i.ID] = i.Reason; i.Goes {
			reasons[i.ID] = "-" + i.Reason
		}
	}
	return reasons
}

// here tells which images are in the store, by ID.
func (n *crio) here() string {
	n.t.Helper()
	list, err := n.lib.Images()
	if err != nil {
		n.t.Fatal(err)
	}
	var ids []string
	for _, i := range list {
		ids = append(ids, i.ID)
	}
	return strings.Join(ids, " ")
}
