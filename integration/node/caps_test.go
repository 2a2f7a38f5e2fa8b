package node

import (
	"archive/tar"
	"bytes"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
)

// demanding is an image whose layers hold what takes a capability to unpack.
func demanding(t *testing.T) v1.Image {
	t.Helper()
	// vfs_cap_data, version 2: cap_net_raw+ep
	attribute := map[string]string{"SCHILY.xattr.security.capability": "\x01\x00\x00\x02\x00\x20\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"}
	layers := [][]tar.Header{{
		{Name: "bin/", Typeflag: tar.TypeDir, Mode: 0o755},
		{Name: "bin/su", Typeflag: tar.TypeReg, Mode: 0o4755, Size: 1},
		{Name: "bin/ping", Typeflag: tar.TypeReg, Mode: 0o755, Size: 1, PAXRecords: attribute},
		{Name: "bin/wall", Typeflag: tar.TypeReg, Mode: 0o2755, Size: 1, Uid: 1000, Gid: 5},
		{Name: "closed/", Typeflag: tar.TypeDir, Mode: 0, Uid: 1000, Gid: 1000},
		{Name: "closed/in/", Typeflag: tar.TypeDir, Mode: 0o1000, Uid: 1000, Gid: 1000},
		{Name: "closed/in/file", Typeflag: tar.TypeReg, Mode: 0, Size: 1, Uid: 1001, Gid: 1001},
		{Name: "null", Typeflag: tar.TypeChar, Mode: 0o666, Devmajor: 1, Devminor: 3},
	}, {
		{Name: "closed/", Typeflag: tar.TypeDir, Mode: 0, Uid: 1000, Gid: 1000},
		{Name: "closed/in/", Typeflag: tar.TypeDir, Mode: 0o1000, Uid: 1000, Gid: 1000},
		{Name: "closed/in/.wh..wh..opq", Typeflag: tar.TypeReg, Mode: 0o600},
		{Name: "bin/.wh.ping", Typeflag: tar.TypeReg, Mode: 0o600},
	}}
	img := empty.Image
	for _, headers := range layers {
		var data bytes.Buffer
		w := tar.NewWriter(&data)
		for _, h := range headers {
			h.Format, h.ModTime = tar.FormatPAX, time.Unix(1_700_000_000, 0)
			if err := w.WriteHeader(&h); err != nil {
				t.Fatal(err)
			}
			if _, err := w.Write(bytes.Repeat([]byte("x"), int(h.Size))); err != nil {
				t.Fatal(err)
			}
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		layer, err := tarball.LayerFromOpener(func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(data.Bytes())), nil })
		if err == nil {
			img, err = mutate.AppendLayers(img, layer)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	config, err := img.ConfigFile()
	if err != nil {
		t.Fatal(err)
	}
	config = config.DeepCopy()
	config.OS, config.Architecture = "linux", "amd64"
	if img, err = mutate.ConfigFile(img, config); err != nil {
		t.Fatal(err)
	}
	return img
}

func modeOf(t *testing.T, pattern string) os.FileMode {
	t.Helper()
	found, err := filepath.Glob(pattern)
	if err != nil || len(found) != 1 {
		t.Fatalf("%s: %v, %v", pattern, found, err)
	}
	info, err := os.Stat(found[0])
	if err != nil {
		t.Fatal(err)
	}
	return info.Mode()
}

// TestCapabilitiesOfTheManifests pulls and prunes an image that takes all of
// them, and then without each one: something fails then, or the capability
// need not be there.
func TestCapabilitiesOfTheManifests(t *testing.T) {
	set := podOf(t, "daemonset.yaml")
	pull, prune := set.InitContainers[0], set.Containers[0]
	try := func(pulling, pruning []string) string {
		n := newLayout(t)
		if err := n.registry.PushImage("team/odd:1", demanding(t)); err != nil {
			t.Fatal(err)
		}
		if r := n.run(t, set, pull, pulling, "mpull", "pull", "-q", "docker.io/team/odd:1"); r.Code != 0 {
			return "pull: " + r.Stderr
		}
		if r := n.Must("doctor"); r.Stdout != "" {
			return "doctor: " + r.Stdout
		}
		if mode := modeOf(t, n.Root+"/overlay/*/diff/bin/wall"); mode&os.ModeSetgid == 0 {
			return "the mode of what was unpacked: " + mode.String()
		}
		if r := n.run(t, set, prune, pruning, "mpull", "prune", "--all", "--force", "--min-age", "0"); r.Code != 0 {
			return "prune: " + r.Stderr
		}
		if here := n.here(); here != "" {
			return "left: " + here
		}
		return ""
	}
	if failed := try(nil, nil); failed != "" {
		t.Fatal(failed)
	}
	for _, c := range []container{pull, prune} {
		for _, one := range c.SecurityContext.Capabilities.Add {
			rest := slices.DeleteFunc(slices.Clone(c.SecurityContext.Capabilities.Add), func(s string) bool { return s == one })
			var failed string
			if c.Name == "pull" {
				failed = try(rest, nil)
			} else {
				failed = try(nil, rest)
			}
			if failed == "" {
				t.Errorf("%s works without %s", c.Name, one)
			} else {
				t.Logf("%s without %s: %.300s", c.Name, one, strings.TrimSpace(failed))
			}
		}
	}
}
