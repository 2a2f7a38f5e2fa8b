package integration

import (
	"archive/tar"
	"bytes"
	"crypto/subtle"
	"encoding/pem"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"sync"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/mpull/mpull/integration/testimage"
	"github.com/mpull/mpull/integration/testregistry"
)

// goods are the images that each script's registry has.
type goods struct {
	indexes map[string]v1.ImageIndex
	images  map[string]v1.Image
}

// foreign is a platform that the machine does not have.
func foreign() string {
	if runtime.GOARCH == "s390x" {
		return "linux/ppc64le"
	}
	return "linux/s390x"
}

// makeGoods builds the images once:
//
//	library/alpine:3.15  seven platforms
//	library/alpine:3.16  seven other images
//	library/tool:1       the host's platform, with an attestation beside it
//	library/arm:1        linux/arm/v6 and v7, the variants only in the index
//	team/lone:1          a single manifest of a foreign platform
//	team/many:1          the host's platform, five layers
//	team/data:1          the host's platform, without a command
func makeGoods() (*goods, error) {
	g := &goods{indexes: map[string]v1.ImageIndex{}, images: map[string]v1.Image{}}
	host := "linux/" + runtime.GOARCH
	platforms := testimage.AlpinePlatforms()
	for repo, build := range map[string]func() (v1.ImageIndex, error){
		"library/alpine:3.15": func() (v1.ImageIndex, error) { return testimage.Index(platforms, testimage.Spec{Seed: 15}) },
		"library/alpine:3.16": func() (v1.ImageIndex, error) { return testimage.Index(platforms, testimage.Spec{Seed: 16}) },
		"library/tool:1":      func() (v1.ImageIndex, error) { return attested(host) },
		"library/arm:1": func() (v1.ImageIndex, error) {
			return testimage.Index([]string{"linux/arm/v6", "linux/arm/v7"}, testimage.Spec{Seed: 4, NoConfigVariant: true})
		},
	} {
		index, err := build()
		if err != nil {
			return nil, err
		}
		g.indexes[repo] = index
	}
	for repo, spec := range map[string]testimage.Spec{
		"team/lone:1": {Seed: 1, Platform: foreign()},
		"team/data:1": {Seed: 34, Platform: host, Edit: func(c *v1.ConfigFile) { c.Config.Cmd = nil }},
		"team/many:1": {Seed: 2, Platform: host, Layers: 5, Labels: map[string]string{"team": "many"}},
	} {
		img, err := testimage.Image(spec)
		if err != nil {
			return nil, err
		}
		g.images[repo] = img
	}
	return g, nil
}

// attested is an index with an attestation before the image, as BuildKit
// writes them.
func attested(platform string) (v1.ImageIndex, error) {
	index, err := testimage.Index([]string{platform}, testimage.Spec{Seed: 3})
	if err != nil {
		return nil, err
	}
	statement, err := testimage.Image(testimage.Spec{Seed: 33, Platform: "unknown/unknown"})
	if err != nil {
		return nil, err
	}
	manifest, err := index.IndexManifest()
	if err != nil {
		return nil, err
	}
	return mutate.AppendManifests(index, mutate.IndexAddendum{Add: statement, Descriptor: v1.Descriptor{
		Platform: &v1.Platform{OS: "unknown", Architecture: "unknown"},
		Annotations: map[string]string{
			"vnd.docker.reference.type": "attestation-manifest", "vnd.docker.reference.digest": manifest.Manifests[0].Digest.String(),
		},
	}}), nil
}

var oneGoods = sync.OnceValues(makeGoods)

// stock fills a registry.
func stock(r *testregistry.Registry) error {
	g, err := oneGoods()
	if err != nil {
		return err
	}
	for repo, index := range g.indexes {
		if err := r.PushIndex(repo, index); err != nil {
			return err
		}
	}
	for repo, img := range g.images {
		if err := r.PushImage(repo, img); err != nil {
			return err
		}
	}
	if err := stockTry(r); err != nil {
		return err
	}
	r.Requests() // the pushes
	return nil
}

// writeSource writes an image of the host's platform as a file or folder.
func writeSource(form, path, ref string) error {
	img, err := testimage.Image(testimage.Spec{Seed: 77, Platform: "linux/" + runtime.GOARCH})
	if err != nil {
		return err
	}
	switch form {
	case "oci":
		return writeLayout(path, img, ref)
	case "oci-archive":
		dir, err := os.MkdirTemp(filepath.Dir(path), "layout-")
		if err != nil {
			return err
		}
		defer os.RemoveAll(dir)
		if err := writeLayout(dir, img, ref); err != nil {
			return err
		}
		return writeTar(path, dir)
	case "docker-archive":
		tag, err := name.NewTag(ref)
		if err != nil {
			return err
		}
		return tarball.WriteToFile(path, tag, img)
	case "dir":
		return writeDir(path, img)
	}
	return fmt.Errorf("no form %q", form)
}

func writeLayout(dir string, img v1.Image, ref string) error {
	p, err := layout.Write(dir, empty.Index)
	if err != nil {
		return err
	}
	var options []layout.Option
	if ref != "" {
		options = append(options, layout.WithAnnotations(map[string]string{"org.opencontainers.image.ref.name": ref}))
	}
	return p.AppendImage(mutate.ConfigMediaType(mutate.MediaType(img, types.OCIManifestSchema1), types.OCIConfigJSON), options...)
}

func writeTar(path, dir string) error {
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	if err := w.AddFS(os.DirFS(dir)); err != nil {
		return err
	}
	if err := w.Close(); err != nil {
		return err
	}
	return os.WriteFile(path, b.Bytes(), 0o600)
}

// writeDir writes what skopeo's dir: transport reads.
func writeDir(dir string, img v1.Image) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	manifest, err := img.RawManifest()
	if err != nil {
		return err
	}
	config, err := img.RawConfigFile()
	if err != nil {
		return err
	}
	configName, err := img.ConfigName()
	if err != nil {
		return err
	}
	files := map[string][]byte{"version": []byte("Directory Transport Version: 1.1\n"), "manifest.json": manifest, configName.Hex: config}
	layers, err := img.Layers()
	if err != nil {
		return err
	}
	for _, l := range layers {
		digest, err := l.Digest()
		if err != nil {
			return err
		}
		blob, err := l.Compressed()
		if err != nil {
			return err
		}
		if files[digest.Hex], err = io.ReadAll(blob); err != nil {
			return err
		}
		if err := blob.Close(); err != nil {
			return err
		}
	}
	for name, data := range files {
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o600); err != nil {
			return err
		}
	}
	return nil
}

// newTLSServer serves a registry behind TLS and basic authentication, and
// returns the certificate to trust.
func newTLSServer(backend, user, password string) (*httptest.Server, []byte, error) {
	target, err := url.Parse("http://" + backend)
	if err != nil {
		return nil, nil, err
	}
	proxy := httputil.NewSingleHostReverseProxy(target)
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		u, p, _ := r.BasicAuth()
		if subtle.ConstantTimeCompare([]byte(u+":"+p), []byte(user+":"+password)) != 1 {
			w.Header().Set("WWW-Authenticate", `Basic realm="test"`)
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(http.StatusUnauthorized)
			fmt.Fprint(w, `{"errors":[{"code":"UNAUTHORIZED","message":"authentication required"}]}`)
			return
		}
		proxy.ServeHTTP(w, r)
	}))
	server.Config.ErrorLog = nil
	ca := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
	return server, ca, nil
}
