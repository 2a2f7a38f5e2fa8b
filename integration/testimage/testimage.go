// Package testimage builds small multi-platform images in memory: for the
// demonstration and for tests, which reach no registry outside the machine.
package testimage

import (
	"archive/tar"
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
	"time"

	"github.com/google/go-containerregistry/pkg/compression"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// AlpinePlatforms are the seven platforms of alpine:3.15.
func AlpinePlatforms() []string {
	return []string{"linux/amd64", "linux/arm/v6", "linux/arm/v7", "linux/arm64/v8", "linux/386", "linux/ppc64le", "linux/s390x"}
}

// epoch is the build time of every image made here.
func epoch() time.Time { return time.Date(2023, 3, 29, 18, 19, 24, 0, time.UTC) }

// Spec describes one image. The zero value is a linux/amd64 image of one layer.
type Spec struct {
	Platform        string            // os/arch[/variant]; "" means linux/amd64
	Seed            uint64            // images with other seeds have other contents
	Layers          int               // 0 means 1
	Files           int               // files in each layer; 0 means 3
	FileSize        int               // bytes of each; 0 means 4096
	Labels          map[string]string // of the config
	NoConfigVariant bool              // leave the variant to the index
	Compressible    bool              // contents that gzip shrinks to about half, as programs do
	OCI             bool              // OCI media types instead of docker's
	Zstd            bool              // layers compressed with zstd; needs OCI
	Chunked         bool              // layers that list their files, as zstd:chunked; needs OCI
	Changed         int               // so many files of each layer have other contents
	Edit            func(*v1.ConfigFile)
	Extra           []File // added to the first layer, in order
}

// Index builds an index with an image for each platform, in order.
func Index(platforms []string, spec Spec) (v1.ImageIndex, error) {
	index := mutate.IndexMediaType(empty.Index, types.DockerManifestList)
	for _, p := range platforms {
		spec.Platform = p
		img, err := Image(spec)
		if err != nil {
			return nil, err
		}
		index = mutate.AppendManifests(index, mutate.IndexAddendum{Add: img, Descriptor: v1.Descriptor{Platform: platformOf(p)}})
	}
	return index, nil
}

// Image builds one image.
func Image(spec Spec) (v1.Image, error) {
	p := platformOf(orElse(spec.Platform, "linux/amd64"))
	img := mutate.MediaType(empty.Image, types.DockerManifestSchema2)
	img = mutate.ConfigMediaType(img, types.DockerConfigJSON)
	options := []tarball.LayerOption{tarball.WithMediaType(types.DockerLayer)}
	if spec.OCI {
		img = mutate.ConfigMediaType(mutate.MediaType(empty.Image, types.OCIManifestSchema1), types.OCIConfigJSON)
		options = []tarball.LayerOption{tarball.WithMediaType(types.OCILayer)}
	}
	if spec.Zstd {
		options = []tarball.LayerOption{tarball.WithMediaType(types.OCILayerZStd), tarball.WithCompression(compression.ZStd)}
	}
	for n := range max(spec.Layers, 1) {
		data, err := layerTar(spec, p, n)
		if err != nil {
			return nil, err
		}
		var added mutate.Addendum
		if spec.Chunked {
			added, err = Chunked(data)
		} else {
			added.Layer, err = tarball.LayerFromOpener(func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(data)), nil }, options...)
		}
		if err != nil {
			return nil, err
		}
		added.History = v1.History{Created: v1.Time{Time: epoch()}, CreatedBy: fmt.Sprintf("/bin/sh -c #(nop) ADD file:%d in / ", n)}
		img, err = mutate.Append(img, added)
		if err != nil {
			return nil, err
		}
	}
	config, err := img.ConfigFile()
	if err != nil {
		return nil, err
	}
	config = config.DeepCopy()
	config.OS, config.Architecture, config.Variant = p.OS, p.Architecture, p.Variant
	if spec.NoConfigVariant {
		config.Variant = ""
	}
	config.Created = v1.Time{Time: epoch()}
	config.Config.Cmd = []string{"/bin/sh"}
	config.Config.Env = []string{"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"}
	config.Config.Labels = spec.Labels
	if spec.Edit != nil {
		spec.Edit(config)
	}
	return mutate.ConfigFile(img, config)
}

// layerTar is one layer: the folders of a root file system, a program, some
// data. Folders are entries of their own, as in images that people build.
func layerTar(spec Spec, p *v1.Platform, n int) ([]byte, error) {
	var buf bytes.Buffer
	w := tar.NewWriter(&buf)
	add := func(h tar.Header, data []byte) error {
		h.ModTime, h.Size, h.Format = epoch(), int64(len(data)), tar.FormatPAX
		if err := w.WriteHeader(&h); err != nil {
			return err
		}
		_, err := w.Write(data)
		return err
	}
	dirs := []string{fmt.Sprintf("data%d/", n)}
	if n == 0 {
		dirs = append([]string{"bin/", "etc/", "tmp/"}, dirs...)
	}
	for _, d := range dirs {
		if err := add(tar.Header{Name: d, Typeflag: tar.TypeDir, Mode: 0o755}, nil); err != nil {
			return nil, err
		}
	}
	if n == 0 {
		if err := add(tar.Header{Name: "bin/busybox", Typeflag: tar.TypeReg, Mode: 0o755}, Program(p.Architecture)); err != nil {
			return nil, err
		}
		if err := add(tar.Header{Name: "bin/sh", Typeflag: tar.TypeSymlink, Linkname: "/bin/busybox", Mode: 0o777}, nil); err != nil {
			return nil, err
		}
		release := "NAME=\"Alpine Linux\"\nID=alpine\nVERSION_ID=3.15.11\n"
		if err := add(tar.Header{Name: "etc/os-release", Typeflag: tar.TypeReg, Mode: 0o644}, []byte(release)); err != nil {
			return nil, err
		}
	}
	if n == 0 {
		for _, f := range spec.Extra {
			h := tar.Header{Name: f.Name, Typeflag: f.Type, Mode: f.Mode, Linkname: f.Link, Devmajor: f.Major, Devminor: f.Minor}
			if err := add(h, f.Data); err != nil {
				return nil, err
			}
		}
	}
	random := rand.New(rand.NewPCG(spec.Seed, uint64(n)<<32|uint64(len(p.String()))<<8|uint64(p.String()[len(p.String())-1])))
	for i := range orElse(spec.Files, 3) {
		data := make([]byte, orElse(spec.FileSize, 4096))
		for at := 0; at+8 <= len(data); at += 8 {
			word := random.Uint64()
			if spec.Compressible {
				word &= 0x00000fff00ff0fff
			}
			if i < spec.Changed {
				word ^= 0x0505050505050505
			}
			binary.LittleEndian.PutUint64(data[at:], word)
		}
		if err := add(tar.Header{Name: fmt.Sprintf("data%d/file%d", n, i), Typeflag: tar.TypeReg, Mode: 0o644}, data); err != nil {
			return nil, err
		}
	}
	return buf.Bytes(), w.Close()
}

// Program returns a static ELF program for an architecture. On amd64 it exits
// with 0; elsewhere only its header means something.
func Program(arch string) []byte {
	// xor edi, edi; mov eax, 60 (exit); syscall
	return ELF(arch, []byte{0x31, 0xff, 0xb8, 60, 0, 0, 0, 0x0f, 0x05})
}

// ELF returns a static program of an architecture that begins with code, or a
// script that fails where the architecture is not known.
func ELF(arch string, code []byte) []byte {
	type machine struct {
		number uint16
		wide   bool
		order  binary.ByteOrder
		flags  uint32
	}
	machines := map[string]machine{
		"amd64": {62, true, binary.LittleEndian, 0}, "386": {3, false, binary.LittleEndian, 0},
		"arm": {40, false, binary.LittleEndian, 0x05000400}, "arm64": {183, true, binary.LittleEndian, 0},
		"ppc64le": {21, true, binary.LittleEndian, 2}, "s390x": {22, true, binary.BigEndian, 0},
		"riscv64": {243, true, binary.LittleEndian, 5},
	}
	m, ok := machines[arch]
	if !ok {
		return []byte("#!/bin/false\n")
	}
	const base = 0x400000
	var b bytes.Buffer
	put := func(v any) { _ = binary.Write(&b, m.order, v) }
	class, header, segment := byte(1), 52, 32
	if m.wide {
		class, header, segment = 2, 64, 56
	}
	data := byte(1)
	if m.order == binary.BigEndian {
		data = 2
	}
	size := uint64(header + segment + len(code))
	b.Write([]byte{0x7f, 'E', 'L', 'F', class, data, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0})
	put([]uint16{2, m.number})
	put(uint32(1))
	if m.wide {
		put([]uint64{base + uint64(header+segment), uint64(header), 0})
	} else {
		put([]uint32{base + uint32(header+segment), uint32(header), 0})
	}
	put(m.flags)
	put([]uint16{uint16(header), uint16(segment), 1, 0, 0, 0})
	if m.wide {
		put([]uint32{1, 5})
		put([]uint64{0, base, base, size, size, 0x1000})
	} else {
		put([]uint32{1, 0, base, base, uint32(size), uint32(size), 5, 0x1000})
	}
	b.Write(code)
	return b.Bytes()
}

func platformOf(s string) *v1.Platform {
	parts := strings.SplitN(s, "/", 3)
	p := &v1.Platform{OS: parts[0], Architecture: parts[1]}
	if len(parts) == 3 {
		p.Variant = parts[2]
	}
	return p
}

func orElse[T comparable](v, or T) T {
	var zero T
	if v == zero {
		return or
	}
	return v
}
