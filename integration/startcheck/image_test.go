package startcheck

import (
	"archive/tar"
	"bytes"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/mpull/mpull/integration/kernelcases"
	"github.com/mpull/mpull/integration/testregistry"
)

// imageOf makes an image of a case: a layer for each of its trees, and its
// command in the config. It returns nil for a case that is mounted in part.
func imageOf(dir string, c kernelcases.Layered) v1.Image {
	img := mutate.ConfigMediaType(mutate.MediaType(empty.Image, types.DockerManifestSchema2), types.DockerConfigJSON)
	for i, build := range append([]func(kernelcases.Tree){c.Build}, c.Upper...) {
		t := kernelcases.Tree{Root: filepath.Join(dir, fmt.Sprint(i))}
		must(os.MkdirAll(t.Root, 0o755))
		if i == 0 {
			t.File("etc/passwd", []byte(kernelcases.Passwd), 0o644)
			t.File("etc/group", []byte(kernelcases.Group), 0o644)
		}
		build(t)
		data := archive(t.Root)
		if data == nil {
			return nil
		}
		layer, err := tarball.LayerFromOpener(func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(data)), nil },
			tarball.WithMediaType(types.DockerLayer))
		must(err)
		img, err = mutate.Append(img, mutate.Addendum{Layer: layer, History: v1.History{CreatedBy: c.Name}})
		must(err)
	}
	config, err := img.ConfigFile()
	must(err)
	config = config.DeepCopy()
	config.OS, config.Architecture = "linux", "amd64"
	config.Config = v1.Config{Entrypoint: c.Entrypoint, Cmd: c.Cmd, Env: c.Env, WorkingDir: c.WorkingDir, User: c.User}
	img, err = mutate.ConfigFile(img, config)
	must(err)
	must(os.RemoveAll(dir))
	return img
}

// archive is a directory as the archive of a layer, with owners and hard
// links; nil when something else is mounted in it.
func archive(root string) []byte {
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	seen := map[uint64]string{}
	mounted := false
	must(filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		must(err)
		st, err := os.Lstat(path)
		must(err)
		mounted = mounted || st.Mode()&fs.ModeDevice != 0
		if mounted {
			return nil
		}
		sys := st.Sys().(*syscall.Stat_t)
		link := ""
		if st.Mode()&fs.ModeSymlink != 0 {
			link, err = os.Readlink(path)
			must(err)
		}
		h, err := tar.FileInfoHeader(st, link)
		must(err)
		h.Name, h.Format = strings.TrimPrefix(strings.TrimPrefix(path, root), "/"), tar.FormatPAX
		if d.IsDir() {
			h.Name = "./" + h.Name
		}
		if first, ok := seen[sys.Ino]; ok && sys.Nlink > 1 && !d.IsDir() {
			h.Typeflag, h.Linkname, h.Size = tar.TypeLink, first, 0
		}
		seen[sys.Ino] = h.Name
		must(w.WriteHeader(h))
		if h.Typeflag == tar.TypeReg {
			data, err := os.ReadFile(path)
			must(err)
			_, err = w.Write(data)
			must(err)
		}
		return nil
	}))
	must(w.Close())
	if mounted {
		return nil
	}
	return b.Bytes()
}

// pull brings the images of cases into the store, through a registry, and
// returns their names; "" for a case that has none.
func (w *worker) pull(cases []kernelcases.Layered) []string {
	registry := testregistry.New()
	defer registry.Close()
	names := make([]string, len(cases))
	var wanted []string
	for i, c := range cases {
		img := imageOf(filepath.Join(w.dir, "build", strconv.Itoa(i)), c)
		if img == nil {
			continue
		}
		repo := fmt.Sprintf("case/n%d:1", i)
		must(registry.PushImage(repo, img))
		names[i] = registry.Host + "/" + repo
		wanted = append(wanted, names[i])
	}
	if code, _, stderr := w.mpull(append([]string{"pull", "-q", "--tls-verify=false"}, wanted...)...); code != 0 {
		panic("pulling: " + stderr)
	}
	return names
}
