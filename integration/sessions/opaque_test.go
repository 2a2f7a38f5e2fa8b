package sessions

import (
	"archive/tar"
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"

	"github.com/mpull/mpull/integration/testenv"
	"github.com/mpull/mpull/integration/testimage"
	"github.com/mpull/mpull/integration/testregistry"
)

// layered makes an image that starts /opt/app/run, of layers of files: a name
// that ends in a slash is a directory's.
func layered(t *testing.T, layers ...map[string][]byte) v1.Image {
	t.Helper()
	img := empty.Image
	for _, files := range layers {
		var data bytes.Buffer
		w := tar.NewWriter(&data)
		for name, content := range files {
			h := &tar.Header{Name: name, Mode: 0o755, Size: int64(len(content)), Typeflag: tar.TypeReg}
			if strings.HasSuffix(name, "/") {
				h.Typeflag = tar.TypeDir
			}
			if err := w.WriteHeader(h); err != nil {
				t.Fatal(err)
			}
			if _, err := w.Write(content); err != nil {
				t.Fatal(err)
			}
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		layer, err := tarball.LayerFromOpener(func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(data.Bytes())), nil })
		if err != nil {
			t.Fatal(err)
		}
		if img, err = mutate.AppendLayers(img, layer); err != nil {
			t.Fatal(err)
		}
	}
	config, err := img.ConfigFile()
	if err != nil {
		t.Fatal(err)
	}
	config = config.DeepCopy()
	config.OS, config.Architecture = "linux", runtime.GOARCH
	config.Config.Entrypoint = []string{"/opt/app/run"}
	if img, err = mutate.ConfigFile(img, config); err != nil {
		t.Fatal(err)
	}
	return img
}

// TestOpaqueOfRoot: in a user namespace the opaque directories of a store that
// root made are not to be seen. What they may hide is unknown there, and what
// lies in no such directory is known.
func TestOpaqueOfRoot(t *testing.T) {
	testenv.Root(t)
	testenv.Unshares(t, "--user", "--map-root-user", "--mount")
	program := testimage.Program(runtime.GOARCH)
	registry := testregistry.New()
	defer registry.Close()
	for name, img := range map[string]v1.Image{
		"team/hidden:1": layered(t, map[string][]byte{"opt/app/run": program}, map[string][]byte{"opt/app/.wh..wh..opq": nil, "opt/app/else": nil}),
		"team/shown:1":  layered(t, map[string][]byte{"opt/app/run": program}, map[string][]byte{"opt/app/else": nil}),
		"team/above:1":  layered(t, map[string][]byte{"opt/old": nil}, map[string][]byte{"opt/app/run": program, "opt/app/.wh..wh..opq": nil}),
		"team/beside:1": layered(t, map[string][]byte{"opt/app/run": program, "srv/a": nil}, map[string][]byte{"srv/.wh..wh..opq": nil}),
	} {
		if err := registry.PushImage(name, img); err != nil {
			t.Fatal(err)
		}
	}
	dir := t.TempDir()
	policy := filepath.Join(dir, "policy.json")
	if err := os.WriteFile(policy, []byte(`{"default":[{"type":"insecureAcceptAnything"}]}`), 0o644); err != nil {
		t.Fatal(err)
	}
	store := []string{testenv.Binary(), "--policy-file", policy, "--root", filepath.Join(dir, "root"), "--runroot", filepath.Join(dir, "run"), "--storage-driver", "overlay", "--tls-verify=false"}
	run := func(argv ...string) string {
		out, err := exec.Command(argv[0], argv[1:]...).Output()
		var exit *exec.ExitError
		if errors.As(err, &exit) && len(out) == 0 {
			t.Fatalf("%q: %v: %s", argv, err, exit.Stderr)
		}
		return string(out)
	}
	for name, want := range map[string][2]string{
		"team/hidden:1": {"not-found", "unknown"}, "team/shown:1": {"native", "native"},
		"team/above:1": {"native", "native"}, "team/beside:1": {"native", "native"},
	} {
		image := registry.Host + "/" + name
		run(append(store, "pull", "-q", image)...)
		check := append(store[:len(store)-1:len(store)-1], "check", "--format", "json", image)
		for i, argv := range [][]string{check, append([]string{"unshare", "--user", "--map-root-user", "--mount"}, check...)} {
			var r struct{ Verdict, Reason string }
			if out := run(argv...); json.Unmarshal([]byte(out), &r) != nil || r.Verdict != want[i] {
				t.Errorf("%s: %q says %s, not %s", name, argv, out, want[i])
			}
			if want[i] == "unknown" && !strings.Contains(r.Reason, "trusted.overlay.opaque") {
				t.Errorf("%s: the reason does not name the mark: %s", name, r.Reason)
			}
		}
	}
}
