package integration

import (
	"archive/tar"
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"

	"github.com/mpull/mpull/integration/testenv"
	"github.com/mpull/mpull/integration/testimage"
)

// tagged is an image of an archive with the names that it has there.
type tagged struct {
	img  v1.Image
	tags []string
}

func testImages(t *testing.T, n int) []v1.Image {
	t.Helper()
	var all []v1.Image
	for i := range n {
		img, err := testimage.Image(testimage.Spec{Platform: "linux/" + runtime.GOARCH, Seed: uint64(500 + i), OCI: true})
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, img)
	}
	return all
}

// dockerArchive writes what docker save wrote before it wrote OCI layouts too.
func dockerArchive(t *testing.T, path string, images ...tagged) {
	t.Helper()
	type listed struct {
		Config   string
		RepoTags []string
		Layers   []string
	}
	var list []listed
	files := map[string][]byte{}
	for _, i := range images {
		config, err := i.img.RawConfigFile()
		if err != nil {
			t.Fatal(err)
		}
		name, err := i.img.ConfigName()
		if err != nil {
			t.Fatal(err)
		}
		one := listed{Config: name.Hex + ".json", RepoTags: i.tags}
		files[one.Config] = config
		layers, err := i.img.Layers()
		if err != nil {
			t.Fatal(err)
		}
		for _, l := range layers {
			id, err := l.DiffID()
			if err != nil {
				t.Fatal(err)
			}
			content, err := l.Uncompressed()
			if err != nil {
				t.Fatal(err)
			}
			if files[id.Hex+".tar"], err = io.ReadAll(content); err != nil {
				t.Fatal(err)
			}
			one.Layers = append(one.Layers, id.Hex+".tar")
		}
		list = append(list, one)
	}
	data, err := json.Marshal(list)
	if err != nil {
		t.Fatal(err)
	}
	files["manifest.json"] = data
	writeTarFile(t, path, files)
}

// ociArchive writes an OCI layout with a name for each image, or none.
func ociArchive(t *testing.T, path string, images ...tagged) {
	t.Helper()
	dir := t.TempDir()
	l, err := layout.Write(dir, empty.Index)
	if err != nil {
		t.Fatal(err)
	}
	for _, i := range images {
		for _, tag := range append(i.tags, "")[:max(1, len(i.tags))] {
			var options []layout.Option
			if tag != "" {
				options = append(options, layout.WithAnnotations(map[string]string{"org.opencontainers.image.ref.name": tag}))
			}
			if err := l.AppendImage(i.img, options...); err != nil {
				t.Fatal(err)
			}
		}
	}
	writeTarFile(t, path, layoutFiles(t, dir))
}

// layoutFiles reads an OCI layout.
func layoutFiles(t *testing.T, dir string) map[string][]byte {
	t.Helper()
	files := map[string][]byte{}
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		name, err := filepath.Rel(dir, path)
		if err == nil {
			files[name], err = os.ReadFile(path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

// writeTarFile writes a tar; what begins with "-> " is a symbolic link.
func writeTarFile(t *testing.T, path string, files map[string][]byte) {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for name, data := range files {
		if to, ok := bytes.CutPrefix(data, []byte("-> ")); ok {
			if err := w.WriteHeader(&tar.Header{Name: name, Typeflag: tar.TypeSymlink, Linkname: string(to)}); err != nil {
				t.Fatal(err)
			}
			continue
		}
		if err := w.WriteHeader(&tar.Header{Name: name, Typeflag: tar.TypeReg, Mode: 0o644, Size: int64(len(data))}); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write(data); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, b.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
}

// held lists what names the images of a store have, as podman shows them.
func (m *machine) held(store string) []string {
	m.t.Helper()
	return sortedLines(m.run(store, "podman", "images", "-a", "--no-trunc", "--format", "{{.Repository}}:{{.Tag}} {{.Id}}"))
}

// TestLoadsAllNames loads archives of other tools: every image comes with every
// name that the archive gives to it, as with podman.
func TestLoadsAllNames(t *testing.T) {
	testenv.Need(t, "podman")
	img := testImages(t, 3)
	for name, c := range map[string]struct {
		write  func(t *testing.T, path string, images ...tagged)
		images []tagged
		alone  []string // the names, where podman 4 does not read it, or not so
	}{
		"docker, three tags":             {write: dockerArchive, images: []tagged{{img[0], []string{"quay.test/app:1", "quay.test/app:latest", "app:2"}}}},
		"docker, short names":            {write: dockerArchive, images: []tagged{{img[0], []string{"app:1"}}}},
		"docker, short name with folder": {write: dockerArchive, images: []tagged{{img[0], []string{"team/app:1"}}}},
		"docker, no name":                {write: dockerArchive, images: []tagged{{img[0], nil}}},
		"docker, several images":         {write: dockerArchive, images: []tagged{{img[0], []string{"a:1", "b:1"}}, {img[1], []string{"c:1"}}, {img[2], nil}}},
		"docker, one image twice":        {write: dockerArchive, images: []tagged{{img[0], []string{"a:1"}}, {img[0], []string{"b:1"}}}},
		"docker, one name twice": {write: dockerArchive, images: []tagged{{img[0], []string{"a:1"}}, {img[1], []string{"a:1"}}},
			alone: []string{"<none>:<none>", "localhost/a:1"}}, // it takes the first image twice
		"oci, a name":                 {write: ociArchive, images: []tagged{{img[0], []string{"app:1"}}}},
		"oci, a full name":            {write: ociArchive, images: []tagged{{img[0], []string{"quay.test/team/app:1"}}}},
		"oci, a tag alone":            {write: ociArchive, images: []tagged{{img[0], []string{"latest"}}}},
		"oci, no name":                {write: ociArchive, images: []tagged{{img[0], nil}}},
		"oci, two names of one image": {write: ociArchive, images: []tagged{{img[0], []string{"app:1", "app:2"}}}, alone: []string{"localhost/app:1", "localhost/app:2"}},
		"oci, several images": {write: ociArchive, images: []tagged{{img[0], []string{"app:1"}}, {img[1], []string{"quay.test/b:2"}}, {img[2], nil}},
			alone: []string{"<none>:<none>", "localhost/app:1", "quay.test/b:2"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m, registry := newMachine(t, drivers(t)[0])
			file := filepath.Join(m.dir, "a:b.tar") // whatever its name
			c.write(t, file, c.images...)
			registry.Requests()
			ids := strings.Fields(m.run("mine", "mpull", "load", "-q", "-i", file))
			if asked := registry.Requests(); len(asked) > 0 {
				t.Errorf("a load asked the registry: %v", asked)
			}
			if sorted := slices.Compact(slices.Sorted(slices.Values(ids))); len(sorted) != len(ids) {
				t.Errorf("an ID is printed twice: %v", ids)
			}
			got := m.held("mine")
			if c.alone != nil {
				var names []string
				for _, line := range got {
					names = append(names, strings.Fields(line)[0])
				}
				if !slices.Equal(names, c.alone) {
					t.Errorf("the names are %v, want %v", names, c.alone)
				}
				return
			}
			plain := filepath.Join(m.dir, "plain.tar")
			if err := os.Rename(file, plain); err != nil {
				t.Fatal(err)
			}
			m.run("podman", "podman", "load", "-q", "-i", plain)
			if want := m.held("podman"); !slices.Equal(got, want) {
				t.Errorf("mpull has\n%s\npodman has\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
			}
		})
	}
}

// TestLoadSpools reads archives from pipes, with no room where temporary files
// usually go, and leaves nothing when it is killed.
func TestLoadSpools(t *testing.T) {
	m, registry := newMachine(t, drivers(t)[0])
	m.env = append(m.env, "TMPDIR="+filepath.Join(m.dir, "nowhere"))
	img := testImages(t, 1)[0]
	if err := registry.PushImage("spool:1", img); err != nil {
		t.Fatal(err)
	}
	name := registry.Host + "/spool:1"
	m.run("mine", "mpull", "pull", "-q", name)
	archive := m.run("mine", "mpull", "save", "-q", name) // into a pipe
	m.run("mine", "mpull", "rmi", name)
	cmd := m.command("mine", "mpull", "load", "-q")
	cmd.Stdin = strings.NewReader(archive)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("load: %v: %s", err, out)
	}
	if got := m.run("mine", "mpull", "images", "-q"); got == "" {
		t.Error("nothing was loaded")
	}
	before := m.outside()
	for _, args := range [][]string{{"load"}, {"save", name}} {
		cmd := m.command("mine", append([]string{"mpull"}, args...)...)
		in, err := cmd.StdinPipe()
		if err != nil {
			t.Fatal(err)
		}
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		// It is in the middle of its work once it takes more than a pipe holds,
		// or has given its first byte.
		if args[0] == "load" {
			_, err = in.Write([]byte(archive[:min(len(archive), 1<<20)]))
		} else {
			_, err = io.ReadFull(out, make([]byte, 1))
		}
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		_ = cmd.Wait() // killed
		if after := m.outside(); !slices.Equal(before, after) {
			t.Errorf("%v left behind: %v, before %v", args, after, before)
		}
	}
}

// outside lists what lies in the store's root and beside it.
func (m *machine) outside() []string {
	m.t.Helper()
	var all []string
	for _, dir := range []string{m.dir, m.graphRoot(), filepath.Join(m.graphRoot(), "mpull-downloads")} {
		entries, err := os.ReadDir(dir)
		if err != nil && !os.IsNotExist(err) {
			m.t.Fatal(err)
		}
		for _, e := range entries {
			all = append(all, filepath.Join(dir, e.Name()))
		}
	}
	return all
}

// TestSaveChecksFirst names something that cannot be saved after something that
// can: nothing is written.
func TestSaveChecksFirst(t *testing.T) {
	m, registry := newMachine(t, drivers(t)[0])
	img := testImages(t, 2)
	names := []string{registry.Host + "/first:1", registry.Host + "/torn:1"}
	for i, n := range []string{"first:1", "torn:1"} {
		if err := registry.PushImage(n, img[i]); err != nil {
			t.Fatal(err)
		}
		m.run("mine", "mpull", "pull", "-q", names[i])
	}
	record, err := filepath.Glob(filepath.Join(m.graphRoot(), "*-layers", layerOf(t, img[1])+".tar-split.gz"))
	if err != nil || len(record) != 1 {
		t.Fatalf("records %v, %v", record, err)
	}
	nothing := func(code int, args ...string) {
		t.Helper()
		cmd := m.command("mine", append([]string{"mpull", "save"}, args...)...)
		out, err := cmd.Output()
		var exit *exec.ExitError
		if !errors.As(err, &exit) || exit.ExitCode() != code || len(out) > 0 {
			t.Errorf("save %v wrote %d bytes and ended with %v, want %d", args, len(out), err, code)
		}
	}
	nothing(1, names[0], "nosuch")
	nothing(1, "--platform", "linux/s390x", names[0])
	if err := os.Rename(record[0], record[0]+".away"); err != nil {
		t.Fatal(err)
	}
	nothing(125, names...)
}

func layerOf(t *testing.T, img v1.Image) string {
	t.Helper()
	layers, err := img.Layers()
	if err != nil {
		t.Fatal(err)
	}
	id, err := layers[0].DiffID()
	if err != nil {
		t.Fatal(err)
	}
	return id.Hex
}

// TestLoadsWhatIsThere loads what Docker's containerd store saves of one platform:
// the index of all platforms, and the blobs of that one.
func TestLoadsWhatIsThere(t *testing.T) {
	m, _ := newMachine(t, drivers(t)[0])
	dir := t.TempDir()
	index, err := testimage.OCIIndex([]string{"linux/" + runtime.GOARCH, foreign()}, testimage.Spec{OCI: true, Seed: 77})
	if err != nil {
		t.Fatal(err)
	}
	l, err := layout.Write(dir, empty.Index)
	if err != nil {
		t.Fatal(err)
	}
	if err := l.AppendIndex(index, layout.WithAnnotations(map[string]string{"io.containerd.image.name": "docker.io/team/sparse:1"})); err != nil {
		t.Fatal(err)
	}
	files := layoutFiles(t, dir)
	manifest, err := index.IndexManifest()
	if err != nil {
		t.Fatal(err)
	}
	delete(files, "blobs/sha256/"+manifest.Manifests[1].Digest.Hex)
	file := filepath.Join(m.dir, "sparse.tar")
	writeTarFile(t, file, files)
	cmd := m.command("mine", "mpull", "load", file)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil || len(strings.Fields(string(out))) != 1 || !strings.Contains(stderr.String(), foreign()) {
		t.Errorf("%v: %s%s", err, out, &stderr)
	}
	if names := m.run("mine", "mpull", "images", "--format", "{{.Repository}}:{{.Tag}} {{.Platform}}", "team/sparse"); !strings.Contains(names, "docker.io/team/sparse:1 linux/"+runtime.GOARCH) {
		t.Error(names)
	}
}

// TestLoadsLinkedLayers loads an archive of an older docker, in which a layer that
// is there already is a link; one that leads out of the archive is not there.
func TestLoadsLinkedLayers(t *testing.T) {
	m, _ := newMachine(t, drivers(t)[0])
	img := testImages(t, 1)[0]
	whole := filepath.Join(m.dir, "whole.tar")
	dockerArchive(t, whole, tagged{img, []string{"linked:1"}})
	files := map[string][]byte{}
	r := tar.NewReader(bytes.NewReader(read(t, whole)))
	for {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		if files[h.Name], err = io.ReadAll(r); err != nil {
			t.Fatal(err)
		}
	}
	for name, data := range files {
		if strings.HasSuffix(name, ".tar") {
			files["kept/"+name], files[name] = data, []byte("-> kept/../via-"+name)
			files["via-"+name] = []byte("-> kept/" + name)
			break
		}
	}
	linked := filepath.Join(m.dir, "linked.tar")
	writeTarFile(t, linked, files)
	if a, b := m.run("mine", "mpull", "load", "-q", whole), m.run("mine", "mpull", "load", "-q", linked); a != b {
		t.Errorf("%s and %s", a, b)
	}
	for name := range files {
		if strings.HasPrefix(name, "via-") {
			files[name] = []byte("-> /etc/passwd")
		}
	}
	writeTarFile(t, linked, files)
	m.run("mine", "mpull", "rmi", "--force", "localhost/linked:1")
	m.fails(125, "mpull", "load", "-q", linked)
}
