package platforms

import (
	"encoding/json"
	"fmt"
	"os/exec"
	"slices"
	"strings"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/mutate"

	"github.com/mpull/mpull/integration/testenv"
	"github.com/mpull/mpull/integration/testimage"
)

// TestImageThatNamesNoPlatform tries a config without operating system and
// architecture, one with half of it, and an index whose entries lead to such.
func TestImageThatNamesNoPlatform(t *testing.T) {
	none := claiming(t, "linux/amd64", 1, v1.Platform{})
	half := claiming(t, "linux/amd64", 2, v1.Platform{Architecture: "amd64"})
	arm := claiming(t, "linux/arm64", 3, v1.Platform{})
	y := newTry(t,
		map[string]v1.ImageIndex{
			"team/index:1":    index(entry{add: none}, entry{add: arm}),
			"team/labelled:1": index(entry{add: claiming(t, "linux/arm64", 30, v1.Platform{}), platform: on("linux", "arm64")}),
		},
		map[string]v1.Image{"team/none:1": none, "team/half:1": half, "team/arm:1": arm})
	for _, name := range []string{"none", "half", "index"} {
		for _, p := range []string{"linux/s390x", "windows/amd64"} {
			y.run(125, "pull --platform "+p+" R/team/"+name+":1", "names no platform", p)
			y.run(0, "images -a -q")
			if left := y.Mpull("images", "-a", "-q"); left.Stdout != "" {
				t.Errorf("the refused image of %s is left: %s", name, left)
			}
		}
		y.run(0, "match --platform linux/amd64 R/team/"+name+":1", "program")
		y.run(0, "platforms R/team/"+name+":1")
		y.run(0, "platforms --format json R/team/"+name+":1")
	}
	y.run(125, "pull --platform linux/amd64 R/team/arm:1", "its program is for linux/arm64")
	y.run(0, "pull --platform linux/arm64 R/team/arm:1")
	y.run(0, "pull --platform linux/amd64 R/team/none:1")
	y.run(125, "pull --platform linux/s390x R/team/none:1", "names no platform")
	y.run(0, "pull --platform linux/amd64 R/team/half:1")
	y.run(0, "pull R/team/index:1")
	y.run(0, "pull --platform linux/arm64 R/team/labelled:1", "for linux/arm64", "!warning")
	y.run(0, "pull --platform linux/arm64 --policy never R/team/labelled:1")
	y.run(0, "images R/team/labelled:1", "linux/arm64")
	y.run(0, "rmi R/team/labelled:1")
	y.run(0, "images", "!*")
	y.run(0, "images --format json", "\"Native\": true")
	y.run(0, "images --tree")
	y.run(0, "why R/team/none:1")
	y.run(0, "check R/team/none:1", "native")
	y.run(125, "check --remote --platform linux/s390x R/team/none:1", "does not say its platform")
	y.run(0, "inspect R/team/half:1")
	y.run(0, "pull --dry-run R/team/half:1")
	y.run(125, "lock --platform linux/amd64 /dev/null R/team/none:1")
}

// TestWhatAPullTookIsHere pulls images that name no variant for platforms that
// have one: what a pull took for a platform answers to it afterwards.
func TestWhatAPullTookIsHere(t *testing.T) {
	testenv.Root(t)
	arm := claiming(t, "linux/arm/v6", 1, v1.Platform{OS: "linux", Architecture: "arm"})
	y := newTry(t, map[string]v1.ImageIndex{
		"team/two:1": index(entry{add: claiming(t, "linux/arm/v6", 2, v1.Platform{OS: "linux", Architecture: "arm"})},
			entry{add: claiming(t, "linux/arm/v7", 3, v1.Platform{OS: "linux", Architecture: "arm", Variant: "v7"}), platform: on("linux", "arm/v7")}),
	}, map[string]v1.Image{
		"team/arm:1":    arm,
		"team/arm64:1":  claiming(t, "linux/arm64", 4, v1.Platform{OS: "linux", Architecture: "arm64"}),
		"team/amd64:1":  claiming(t, "linux/amd64", 5, v1.Platform{OS: "linux", Architecture: "amd64"}),
		"team/silent:1": claiming(t, "linux/amd64", 6, v1.Platform{}),
	})
	dir := t.TempDir()
	for i, c := range []struct{ name, platforms string }{
		{"arm", "linux/arm/v6 linux/arm/v7 linux/arm/v5 linux/arm"}, {"arm64", "linux/arm64/v8 linux/arm64/v8.2 linux/arm64/v9"},
		{"amd64", "linux/amd64/v1 linux/amd64/v3"}, {"silent", "linux/amd64 linux/amd64/v1 linux/amd64/v2"},
	} {
		for _, p := range strings.Fields(c.platforms) {
			with := " --platform " + p + " R/team/" + c.name + ":1"
			y.run(0, "pull"+with)
			y.run(0, "pull --policy never"+with)
			y.run(0, "use"+with)
			r := y.Mpull("check", "--platform", p, y.registry.Host+"/team/"+c.name+":1")
			if strings.Contains(r.Stderr, "no local image") {
				t.Errorf("check%s: %s", with, r)
			}
			y.run(0, fmt.Sprintf("save -o %s/%d-%s.tar%s", dir, i, strings.ReplaceAll(p, "/", "-"), with))
			if c.name != "silent" { // a lock is made of what a registry says
				y.run(0, "lock --platform "+p+" "+dir+"/lock R/team/"+c.name+":1")
				y.run(0, "pull --locked "+dir+"/lock --policy never"+with)
			}
			if removed := y.Mpull("rmi", "--platform", p, y.registry.Host+"/team/"+c.name+":1"); removed.Code != 0 {
				y.run(0, "rmi R/team/"+c.name+":1") // TestRemovalIsExact tells of which platforms
			}
		}
	}
	y.run(0, "pull --platform linux/arm/v6 R/team/arm:1")
	for _, p := range []string{"linux/arm64", "linux/s390x", "linux/386"} {
		y.run(1, "use --platform "+p+" R/team/arm:1", "here are linux/arm")
		y.run(1, "pull --policy never --platform "+p+" R/team/arm:1", "here are linux/arm")
	}
	// A registry may have a better one, so that is asked, where one answers.
	y.registry.Requests()
	y.run(0, "pull --policy missing --platform linux/arm/v6 R/team/arm:1")
	if len(y.registry.Requests()) == 0 {
		t.Error("the registry was not asked for an image that names arm/v6")
	}
	y.run(0, "pull --platform linux/arm/v6 --platform linux/arm/v7 R/team/two:1")
	y.run(0, "inspect --format {{.Variant}} --platform linux/arm/v7 R/team/two:1")
	y.registry.Close()
	y.run(0, "pull --retry 0 --policy missing --platform linux/arm/v6 R/team/arm:1", "the one that is here is used")
}

// TestNestedAndNamelessKeepTheIndex pulls out of an index in an index, and of
// one whose entries name no platform: what is here answers to the digest of the
// index, for mpull and for podman.
func TestNestedAndNamelessKeepTheIndex(t *testing.T) {
	testenv.Need(t, "podman")
	amd64, arm64 := image(t, testimage.Spec{Seed: 4, OCI: true}), image(t, testimage.Spec{Platform: "linux/arm64", Seed: 4, OCI: true})
	inner := index(entry{add: amd64, platform: on("linux", "amd64")}, entry{add: arm64, platform: on("linux", "arm64")})
	indexes := map[string]v1.ImageIndex{
		"team/nested:1":   index(entry{add: inner}),
		"team/deep:1":     index(entry{add: index(entry{add: inner})}),
		"team/nameless:1": index(entry{add: arm64}, entry{add: amd64}),
		"team/spelled:1":  index(entry{add: amd64, platform: on("Linux", "x86_64")}),
		"team/twice:1":    index(entry{add: arm64, platform: on("linux", "amd64")}, entry{add: amd64, platform: on("linux", "amd64")}),
	}
	y := newTry(t, indexes, nil)
	blobs := blobsOf(t, amd64)
	for name, ix := range indexes {
		d, err := ix.Digest()
		if err != nil {
			t.Fatal(err)
		}
		spared := blobs
		if name == "team/twice:1" { // whose entries only their configs tell apart
			spared = blobs[1:]
		}
		y.run(0, "pull -q R/"+name)
		y.registry.Requests()
		y.run(0, "pull -q R/"+name)
		for _, asked := range y.registry.Requests() {
			if slices.ContainsFunc(spared, func(d string) bool { return strings.HasSuffix(asked, d) }) {
				t.Errorf("%s: pulled again: %s", name, asked)
			}
		}
		y.run(0, "outdated R/"+name, "current")
		lock := y.Dir + "/lock.json"
		y.run(0, "lock "+lock+" R/"+name)
		y.run(0, "pull -q --policy never --locked "+lock+" R/"+name)
		out, err := exec.Command("podman", "--root", y.Root, "--runroot", y.RunRoot, "--storage-driver", y.Driver,
			"image", "inspect", "--format", "{{json .RepoDigests}}", y.registry.Host+"/"+name).Output()
		var digests []string
		if err != nil || json.Unmarshal(out, &digests) != nil {
			t.Fatalf("podman image inspect %s: %v: %s", name, err, out)
		}
		if !slices.ContainsFunc(digests, func(s string) bool { return strings.HasSuffix(s, d.String()) }) {
			t.Errorf("%s: podman knows %v, without the index's %s", name, digests, d)
		}
	}
}

// blobsOf lists the digests of an image's config and layers.
// blobsOf are the digests of an image's config and layers, in that order.
func blobsOf(t *testing.T, img v1.Image) []string {
	t.Helper()
	m, err := img.Manifest()
	if err != nil {
		t.Fatal(err)
	}
	blobs := []string{m.Config.Digest.String()}
	for _, l := range m.Layers {
		blobs = append(blobs, l.Digest.String())
	}
	return blobs
}

// TestSpellings tries configs and indexes with names of machines and packages.
func TestSpellings(t *testing.T) {
	x86 := claiming(t, "linux/amd64", 5, v1.Platform{OS: "Linux", Architecture: "x86_64"})
	arm := claiming(t, "linux/arm/v7", 5, v1.Platform{OS: "linux", Architecture: "armhf"})
	y := newTry(t,
		map[string]v1.ImageIndex{"team/index:1": index(
			entry{add: x86, platform: on("Linux", "AMD64")}, entry{add: arm, platform: on("linux", "armv7l")})},
		map[string]v1.Image{"team/x86:1": x86, "team/arm:1": arm})
	y.run(0, "platforms R/team/index:1", "linux/amd64", "linux/arm/v7", "!AMD64", "!armv7l")
	y.run(0, "pull --platform linux/amd64 R/team/x86:1", "!warning", "linux/amd64", "!x86_64")
	y.run(0, "pull --all-platforms R/team/index:1", "!warning", "linux/arm/v7", "!armhf")
	y.run(0, "images", "linux/amd64", "linux/arm/v7", "!x86_64", "!linux/amd64 *", "!armhf")
	y.run(0, "check R/team/x86:1", "native", "!says it is for")
	y.run(0, "images --format json", "\"Platform\": \"linux/arm/v7\"", "!x86_64")
	y.run(0, "use --platform linux/arm/v7 R/team/index:1")
	y.run(0, "images --filter platform=linux/amd64 -q")
}

// TestArtifacts tries entries that are no images, for the platform wanted and
// before its image.
func TestArtifacts(t *testing.T) {
	img := image(t, testimage.Spec{Seed: 6, OCI: true})
	disk := artifact("application/vnd.oci.empty.v1+json", "application/vnd.example.disk+zstd")
	quiet := artifact("application/vnd.example.config+json", "application/vnd.example.disk")
	wasm := artifact("application/vnd.wasm.config.v0+json", "application/wasm")
	module, err := mutate.ConfigFile(artifact("application/vnd.oci.image.config.v1+json", "application/vnd.wasm.content.layer.v1+wasm"),
		&v1.ConfigFile{OS: "wasi", Architecture: "wasm", RootFS: v1.RootFS{Type: "layers", DiffIDs: []v1.Hash{}}})
	if err != nil {
		t.Fatal(err)
	}
	y := newTry(t,
		map[string]v1.ImageIndex{
			"team/mixed:1": index(
				entry{add: disk, platform: on("linux", "amd64"), artifactType: "application/vnd.example.disk"},
				entry{add: quiet, platform: on("linux", "amd64"), artifactType: "application/vnd.oci.image.config.v1+json"},
				entry{add: img, platform: on("linux", "amd64")}),
			"team/both:1":  index(entry{add: module, platform: on("linux", "amd64")}, entry{add: img, platform: on("linux", "amd64")}),
			"team/quiet:1": index(entry{add: quiet, platform: on("linux", "amd64"), artifactType: "application/vnd.oci.image.config.v1+json"}),
			"team/only:1":  index(entry{add: disk, platform: on("linux", "amd64"), artifactType: "application/vnd.example.disk"}),
			"team/image:1": index(entry{add: img, platform: on("linux", "amd64"), artifactType: "application/vnd.oci.image.config.v1+json"}),
			"team/wasi:1":  index(entry{add: module, platform: on("wasi", "wasm")}, entry{add: img, platform: on("linux", "amd64")}),
		},
		map[string]v1.Image{"team/chart:1": quiet, "team/wasm:1": wasm, "team/module:1": module})
	if r := y.run(0, "platforms R/team/mixed:1", "own"); strings.Count(r.Stdout, "artifact") != 2 {
		t.Errorf("not both artifacts are named: %s", r)
	}
	y.run(0, "match R/team/mixed:1", "taken", "artifact")
	y.run(0, "pull R/team/mixed:1")
	y.run(0, "pull --all-platforms R/team/mixed:1", "!warning")
	y.run(0, "pull --all-platforms R/team/wasi:1", "warning: wasi/wasm is left out")
	y.run(0, "pull --all-platforms --dry-run R/team/wasi:1", "warning: wasi/wasm is left out")
	y.run(125, "pull --all-platforms R/team/quiet:1", "no image but an artifact")
	y.run(0, "pull --platform linux/amd64 R/team/image:1")
	y.run(0, "pull R/team/wasi:1")
	y.run(125, "pull R/team/only:1", "no image but an artifact", "application/vnd.example.disk")
	y.run(125, "pull --platform linux/amd64 R/team/chart:1", "no image but an artifact", "application/vnd.example.config+json")
	y.run(0, "platforms R/team/chart:1", "artifact")
	y.run(125, "pull R/team/wasm:1", "WebAssembly")
	y.registry.Requests()
	for _, p := range []string{"wasi/wasm", "wasi", "wasm", "wasip1/wasm"} {
		y.run(125, "match --platform "+p+" R/team/wasi:1", "no image but an artifact")
		y.run(125, "pull --platform "+p+" R/team/wasi:1", "application/vnd.wasm.content.layer.v1+wasm", "WebAssembly")
	}
	layer := blobsOf(t, module)[1]
	for _, asked := range y.registry.Requests() {
		if strings.HasSuffix(asked, layer) {
			t.Errorf("the module was asked for: %s", asked)
		}
	}
	for name, t := range map[string]string{"module": "application/vnd.wasm.content.layer.v1+wasm", "wasm": "application/vnd.wasm.config.v0+json", "chart": "application/vnd.example.config+json"} {
		y.run(0, "platforms R/team/"+name+":1", "artifact", "!own")
		y.run(0, "platforms --format json R/team/"+name+":1", t)
		for _, verb := range []string{"match", "inspect", "pull", "pull --platform linux/amd64", "match --platform wasi", "pull --dry-run", "check --remote", "pull --all-platforms"} {
			if strings.HasPrefix(verb, "inspect") {
				verb += " docker://R/team/"
				verb = strings.ReplaceAll(verb, "R/", y.registry.Host+"/")
				y.run(125, verb+name+":1", "no image but an artifact", t)
				continue
			}
			y.run(125, verb+" R/team/"+name+":1", "no image but an artifact", t)
		}
	}
	y.run(0, "pull R/team/both:1")
	y.run(0, "match R/team/both:1", "taken", "artifact")
	y.run(125, "pull --platform wasi R/team/mixed:1", "no wasi/wasm in this image", "binfmt_misc")
}

// TestWindows tries an index with two versions of Windows.
func TestWindows(t *testing.T) {
	win := func(seed uint64, version string) entry {
		p := v1.Platform{OS: "windows", Architecture: "amd64", OSVersion: version}
		img := image(t, testimage.Spec{Platform: "windows/amd64", Seed: seed, Edit: func(c *v1.ConfigFile) {
			c.OSVersion, c.Config.Cmd = version, []string{`c:\windows\system32\cmd.exe`}
		}})
		return entry{add: img, platform: &p}
	}
	linux := image(t, testimage.Spec{Seed: 7})
	y := newTry(t, map[string]v1.ImageIndex{
		"team/win:1": index(entry{add: linux, platform: on("linux", "amd64")}, win(8, "10.0.17763.4010"), win(9, "10.0.20348.1607")),
		"team/one:1": index(win(8, "10.0.17763.4010")),
	}, nil)
	y.run(0, "platforms R/team/win:1", "windows(10.0.17763.4010)/amd64", "windows(10.0.20348.1607)/amd64")
	y.run(0, "platforms --format json R/team/win:1", "\"OSVersion\": \"10.0.20348.1607\"")
	y.run(1, "match --platform windows/amd64 R/team/win:1", "10.0.20348.1607", "several-os-versions")
	y.run(125, "pull --platform windows/amd64 R/team/win:1", "several versions", "windows(10.0.20348.1607)/amd64", "mpull pull --platform 'windows(10.0.17763.4010)/amd64'")
	y.run(0, "pull --platform windows/amd64 R/team/one:1")
	y.run(127, "check R/team/one:1", "for windows", "!PATH")
	y.run(0, "pull --platform windows(10.0.20348)/amd64 R/team/win:1", "windows(10.0.20348.1607)/amd64")
	y.run(0, "images", "windows(10.0.20348.1607)/amd64")
	y.run(0, "pull --all-platforms R/team/win:1")
	if r := y.Mpull("images", "--format", "{{.Platform}}", y.registry.Host+"/team/win"); strings.Count(r.Stdout, "windows(") < 2 || !strings.Contains(r.Stdout, "linux/amd64") {
		t.Errorf("not all platforms are here: %s", r)
	}
	y.run(1, "rmi --platform windows/amd64 R/team/win:1", "here are windows(10.0.", "mpull rmi --platform 'windows(10.0.")
	y.run(0, "use --platform windows(10.0.17763)/amd64 R/team/win:1")
	y.run(0, "rmi --platform windows(10.0.20348)/amd64 R/team/win:1", "Deleted")
	y.run(0, "images R/team/win", "10.0.17763.4010", "!10.0.20348")
	y.run(0, "pull R/team/win:1", "linux/amd64")
}

// TestSparseIndex tries an index whose registry lacks some of what it names.
func TestSparseIndex(t *testing.T) {
	ix, err := testimage.OCIIndex([]string{"linux/amd64", "linux/arm64", "linux/s390x"}, testimage.Spec{OCI: true, Seed: 10})
	if err != nil {
		t.Fatal(err)
	}
	lost := index(entry{add: image(t, testimage.Spec{Platform: "linux/riscv64", Seed: 11})})
	y := newTry(t, map[string]v1.ImageIndex{"team/sparse:1": mutate.AppendManifests(ix, mutate.IndexAddendum{Add: lost})}, nil)
	m, err := ix.IndexManifest()
	if err != nil {
		t.Fatal(err)
	}
	y.forget("team/sparse", m.Manifests[1].Digest.String())
	y.run(125, "pull --platform linux/arm64 R/team/sparse:1", "the index names linux/arm64", "not there")
	y.run(0, "platforms --sizes R/team/sparse:1", "absent", "linux/s390x", "kB")
	y.run(125, "pull --all-platforms R/team/sparse:1", "linux/arm64", m.Manifests[1].Digest.String(), "--skip-missing")
	y.run(0, "images", "linux/s390x", "linux/amd64")
	y.run(0, "pull --all-platforms --skip-missing R/team/sparse:1", "warning", "linux/arm64")
	y.run(125, "pull --all-platforms --dry-run R/team/sparse:1", "linux/arm64")
	y.run(125, "pull --skip-missing R/team/sparse:1", "goes with --all-platforms")
	d, err := lost.Digest()
	if err != nil {
		t.Fatal(err)
	}
	y.forget("team/sparse", d.String())
	y.run(0, "platforms --sizes R/team/sparse:1", "linux/s390x", "absent")
	y.run(0, "pull R/team/sparse:1")
}

// TestWrittenPlatforms tries what people type.
func TestWrittenPlatforms(t *testing.T) {
	ix, err := testimage.OCIIndex([]string{"linux/arm64", "linux/arm/v7"}, testimage.Spec{OCI: true, Seed: 12})
	if err != nil {
		t.Fatal(err)
	}
	strong := index(entry{add: image(t, testimage.Spec{Seed: 13}), platform: &v1.Platform{OS: "linux", Architecture: "amd64", Variant: "v4"}})
	y := newTry(t, map[string]v1.ImageIndex{"team/arm:1": ix, "team/strong:1": strong}, nil)
	for _, p := range []string{"linux/arm64v8", "arm64v8", "linux/arm32v7", "linux/armhf", "linux/arm/v7l"} {
		y.run(0, "pull -q --platform "+p+" R/team/arm:1")
	}
	for p, says := range map[string]string{
		"arm/v7": "write linux/arm/v7", "arm64/linux": "write linux/arm64", "linux-arm64": "write linux/arm64",
		"linux/amd64/v33": "v4", "linux/arm64/v7": "v8",
		"linux/x64": "no linux/amd64 in this image", "linux/x86-64-v3": "no linux/amd64/v3 in this image",
	} {
		y.run(125, "pull --platform "+p+" R/team/arm:1", says)
	}
	facts := y.Write("v2.json", `{"platform":{"os":"linux","architecture":"amd64","variant":"v2"},"pageSize":4096,"kernel":"6","protectedSymlinks":true,"mmapMinAddr":65536,`+
		`"binfmt":{"enabled":true,"handlers":[{"name":"qemu-aarch64","enabled":true,"interpreter":"/usr/bin/qemu-aarch64","flags":"F","magic":"7f454c460201010000000000000000000200b700","mask":"ffffffffffffff00fffffffffffffffffeffffff"}]}}`)
	y.run(125, "check --remote --host "+facts+" R/team/arm:1", "no linux/amd64 in this image", "/usr/bin/qemu-aarch64 emulates linux/arm64", "mpull pull --platform linux/arm64")
	y.run(125, "check --remote --host "+facts+" R/team/strong:1", "the nearest is linux/amd64/v4", "this CPU has only v2")
	y.run(1, "match R/team/strong:1", "by default", "linux/amd64/v4")
}

// TestProgramOfLessBits answers for machines where a 32-bit mpull is on a 64-bit
// kernel: what is wanted follows the program, what starts the kernel.
func TestProgramOfLessBits(t *testing.T) {
	ix, err := testimage.OCIIndex([]string{"linux/amd64", "linux/386", "linux/arm64", "linux/arm/v6", "linux/arm/v7"}, testimage.Spec{OCI: true, Seed: 14})
	if err != nil {
		t.Fatal(err)
	}
	y := newTry(t, map[string]v1.ImageIndex{"team/all:1": ix}, nil)
	for name, c := range map[string]struct{ platform, program, compat, wanted, runs string }{
		"386": {`"amd64","variant":"v3"`, `{"os":"linux","architecture":"386"}`, "ia32", "linux/386", "linux/amd64/v3"},
		"v7":  {`"arm64","variant":"v8"`, `{"os":"linux","architecture":"arm","variant":"v7"}`, "aarch32", "linux/arm/v7", "linux/arm64"},
		"v6":  {`"arm64","variant":"v8"`, `{"os":"linux","architecture":"arm","variant":"v6"}`, "aarch32", "linux/arm/v6", "linux/arm64"},
	} {
		facts := y.Write(name+".json", `{"platform":{"os":"linux","architecture":`+c.platform+`},"program":`+c.program+
			`,"compat":["`+c.compat+`"],"pageSize":4096,"kernel":"6","protectedSymlinks":true,"mmapMinAddr":65536,"binfmt":{"enabled":false}}`)
		y.run(0, "check --remote --host "+facts+" R/team/all:1", "native", c.wanted)
		y.run(0, "check --remote --platform "+c.runs+" --host "+facts+" R/team/all:1", "native")
	}
	bad := y.Write("bad.json", `{"platform":{"os":"linux","architecture":"amd64"},"program":{"os":"linux"},"pageSize":4096,"kernel":"6","protectedSymlinks":true,"mmapMinAddr":0,"binfmt":{"enabled":false}}`)
	y.run(125, "check --remote --host "+bad+" R/team/all:1", "program needs os and architecture")
}

// TestSiblings checks the images of a name by their platform.
func TestSiblings(t *testing.T) {
	ix, err := testimage.OCIIndex([]string{"linux/amd64", "linux/s390x"}, testimage.Spec{OCI: true, Seed: 15})
	if err != nil {
		t.Fatal(err)
	}
	y := newTry(t, map[string]v1.ImageIndex{"team/two:1": ix}, nil)
	y.run(0, "pull -q --platform linux/s390x R/team/two:1")
	y.run(0, "pull -q --platform linux/amd64 R/team/two:1")
	y.run(0, "check R/team/two:1", "native")
	y.run(0, "check --platform linux/amd64 R/team/two:1", "native")
	r := y.Mpull("check", "--platform", "linux/s390x", y.registry.Host+"/team/two:1")
	if r.Code == 0 && !strings.Contains(r.Stdout, "emulated") || !strings.Contains(r.Stdout, "two:1") {
		t.Errorf("the sibling was not checked: %s", r)
	}
	y.run(1, "check --platform linux/riscv64 R/team/two:1", "here are linux/")
}

// TestLocalManifestLists tries what podman manifest makes.
func TestLocalManifestLists(t *testing.T) {
	testenv.Need(t, "podman")
	ix, err := testimage.OCIIndex([]string{"linux/amd64", "linux/arm64"}, testimage.Spec{OCI: true, Seed: 16})
	if err != nil {
		t.Fatal(err)
	}
	y := newTry(t, map[string]v1.ImageIndex{"team/two:1": ix}, nil)
	y.run(0, "pull -q --all-platforms R/team/two:1")
	podman := func(args ...string) {
		t.Helper()
		r := y.Tool("podman", args...)
		if r.Code != 0 {
			t.Fatalf("podman %v: %s", args, r)
		}
	}
	podman("manifest", "create", "localhost/list:1")
	podman("manifest", "add", "--tls-verify=false", "--all", "localhost/list:1", "docker://"+y.registry.Host+"/team/two:1")
	for _, command := range []string{"check", "run"} {
		y.run(125, command+" localhost/list:1", "manifest list and no image", "linux/amd64", "by its ID")
	}
	for _, command := range []string{"check", "run", "use", "rmi"} {
		y.run(125, command+" --platform linux/arm64 localhost/list:1", "manifest list and no image", "by its ID, such as "+y.Mpull("images", "--filter", "platform=linux/arm64", "-q").Stdout[:12])
	}
	y.run(1, "restore localhost/list:1", "no image has lost the name localhost/list:1")
	y.run(1, "restore R/team/two:1", "no image has lost the name")
	y.run(0, "why localhost/list:1")
	y.run(0, "pull -q --as localhost/list:1 R/team/two:1")
	y.run(0, "why localhost/list:1", "manifest list")
	y.run(0, "check localhost/list:1", "native")
	y.run(0, "restore localhost/list:1", "a manifest list")
	y.run(125, "check localhost/list:1", "manifest list and no image")
}

// TestProgramsDecide tries images whose programs tell more than their configs: of
// several that name no platform each is looked at, those that are here are found
// by their program, and the mark of images is that of check where a config lies.
func TestProgramsDecide(t *testing.T) {
	none := v1.Platform{}
	amd64, arm64 := claiming(t, "linux/amd64", 40, none), claiming(t, "linux/arm64", 41, none)
	lying := claiming(t, "linux/s390x", 42, v1.Platform{OS: "linux", Architecture: "amd64"})
	modest := claiming(t, "linux/amd64", 43, v1.Platform{OS: "linux", Architecture: "s390x"})
	y := newTry(t,
		map[string]v1.ImageIndex{"team/several:1": index(entry{add: amd64}, entry{add: artifact("application/x.y", "application/x.z")}, entry{add: arm64})},
		map[string]v1.Image{"team/lying:1": lying, "team/modest:1": modest, "team/amd64:1": amd64, "team/arm64:1": arm64})
	y.run(125, "pull --platform linux/s390x R/team/several:1", "its programs are for linux/amd64, linux/arm64")
	y.run(0, "pull --platform linux/arm64 R/team/several:1", "for linux/arm64")
	if r := y.Mpull("images", "-a", "-q"); strings.Count(r.Stdout, "\n") != 1 {
		t.Errorf("the image that was only looked at is left: %s", r)
	}
	y.run(0, "pull --platform linux/amd64 R/team/several:1")
	y.run(0, "use --platform linux/arm64 R/team/several:1")
	y.run(1, "use --platform linux/riscv64 R/team/several:1", "here are linux/a")
	y.run(0, "check --platform linux/amd64 R/team/several:1", "native")
	t.Run("run", func(t *testing.T) {
		if why := testenv.NoRuntime(); why != "" {
			testenv.Missing(t, why)
		}
		y.run(0, "run --platform linux/amd64 R/team/several:1")
	})
	y.run(0, "inspect --platform linux/amd64 --format {{.Id}} R/team/several:1")
	y.run(0, "rmi --platform linux/amd64 R/team/several:1")

	y.run(0, "pull R/team/lying:1", "its program is for linux/s390x")
	y.run(0, "pull --platform linux/s390x R/team/modest:1", "its program is for linux/amd64")
	for name, native := range map[string]string{"lying": "false", "modest": "true"} {
		y.run(0, "images --format {{.Native}} R/team/"+name+":1", native)
	}
	y.run(0, "check R/team/modest:1", "native")
	if r := y.Mpull("check", y.registry.Host+"/team/lying:1"); strings.Contains(r.Stdout, "native") {
		t.Errorf("check believes the config: %s", r)
	}
}
