package integration

import (
	"archive/tar"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/mpull/mpull/integration/testimage"
	"github.com/mpull/mpull/integration/testregistry"
)

// stockTry adds the images that check and run are tried on, all for amd64
// unless they lie:
//
//	team/try:1     programs, scripts and links of all kinds
//	team/nocmd:1   no command
//	team/lie:arm   claims linux/arm64, has an amd64 program
//	team/lie:amd   claims linux/amd64, has an arm64 program
//	team/lie:index listed as linux/arm64, says linux/amd64, has an amd64 program
//	team/empty:1   no layer
//	team/device:1  /bin/dev is a device
//	team/both:1    an index with an amd64 and an s390x image
func stockTry(r *testregistry.Registry) error {
	lies := func(c *v1.ConfigFile) { c.Config.Cmd = []string{"/bin/lie"} }
	images := map[string]testimage.Spec{
		"team/try:1": {Seed: 50, Extra: tryFiles(), Edit: func(c *v1.ConfigFile) {
			c.Config.Entrypoint, c.Config.Cmd = []string{"/bin/exit"}, []string{"one", "two"}
		}},
		"team/nocmd:1": {Seed: 51, Edit: func(c *v1.ConfigFile) { c.Config.Cmd = nil }},
		"team/lie:arm": {Seed: 52, Platform: "linux/arm64", Extra: []testimage.File{program("bin/lie", testimage.Program("amd64"))}, Edit: lies},
		"team/lie:amd": {Seed: 53, Extra: []testimage.File{program("bin/lie", testimage.Program("arm64"))}, Edit: lies},
		"team/device:1": {Seed: 54, Extra: []testimage.File{
			{Name: "bin/dev", Type: tar.TypeChar, Mode: 0o755, Major: 1, Minor: 5}, // zero
		}},
	}
	for name, spec := range images {
		img, err := testimage.Image(spec)
		if err != nil {
			return err
		}
		if err := r.PushImage(name, img); err != nil {
			return err
		}
	}
	if err := pushEmpty(r); err != nil {
		return err
	}
	both, err := testimage.Index([]string{"linux/amd64", "linux/s390x"}, testimage.Spec{Seed: 55})
	if err != nil {
		return err
	}
	if err := r.PushIndex("team/both:1", both); err != nil {
		return err
	}
	honest, err := testimage.Image(testimage.Spec{Seed: 56})
	if err != nil {
		return err
	}
	return r.PushIndex("team/lie:index", mutate.AppendManifests(mutate.IndexMediaType(empty.Index, types.DockerManifestList),
		mutate.IndexAddendum{Add: honest, Descriptor: v1.Descriptor{Platform: &v1.Platform{OS: "linux", Architecture: "arm64"}}}))
}

func pushEmpty(r *testregistry.Registry) error {
	img := mutate.ConfigMediaType(mutate.MediaType(empty.Image, types.DockerManifestSchema2), types.DockerConfigJSON)
	img, err := mutate.ConfigFile(img, &v1.ConfigFile{
		OS: "linux", Architecture: "amd64", RootFS: v1.RootFS{Type: "layers", DiffIDs: []v1.Hash{}}, Config: v1.Config{Cmd: []string{"/bin/sh"}},
	})
	if err != nil {
		return err
	}
	return r.PushImage("team/empty:1", img)
}

func program(name string, data []byte) testimage.File {
	return testimage.File{Name: name, Type: tar.TypeReg, Mode: 0o755, Data: data}
}

func tryFiles() []testimage.File {
	exit := testimage.Programs()["exit"]
	files := []testimage.File{
		program("bin/foreign", testimage.ARM64Exit()),
		program("bin/script", []byte("#!/bin/exit with one argument\n")),
		program("bin/crlf", []byte("#!/bin/exit\r\n")),
		program("bin/nointerp", []byte("#!/no/such/interpreter\n")),
		program("bin/text", []byte("just a text\n")),
		program("bin/empty", nil),
		{Name: "bin/noexec", Type: tar.TypeReg, Mode: 0o644, Data: exit},
		{Name: "bin/rootonly", Type: tar.TypeReg, Mode: 0o700, Data: exit},
		{Name: "bin/fifo", Type: tar.TypeFifo, Mode: 0o755},
		{Name: "bin/hostenv", Type: tar.TypeSymlink, Mode: 0o777, Link: "../../../../../../../../usr/bin/env"},
		{Name: "bin/hostabs", Type: tar.TypeSymlink, Mode: 0o777, Link: "/usr/bin/env"},
		{Name: "bin/inside", Type: tar.TypeSymlink, Mode: 0o777, Link: "../../../../../../../../bin/exit"},
		{Name: "bin/loop", Type: tar.TypeSymlink, Mode: 0o777, Link: "loop"},
		{Name: "etc/passwd", Type: tar.TypeReg, Mode: 0o644, Data: []byte("root:x:0:0:root:/:/bin/sh\nuser:x:70:71::/:/bin/sh\n")},
		{Name: "etc/group", Type: tar.TypeReg, Mode: 0o644, Data: []byte("root:x:0:\nstaff:x:72:user\n")},
	}
	for _, name := range []string{"exit", "ill", "wait", "tty", "uid", "cat", "touch", "env", "ask", "forever"} {
		files = append(files, program("bin/"+name, testimage.Programs()[name]))
	}
	return files
}
