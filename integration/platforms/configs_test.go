package platforms

import (
	"strings"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/mpull/mpull/integration/testenv"
)

// TestRemovalIsExact removes by a platform: an image that names no level is not
// one of any level, though a pull takes it for one.
func TestRemovalIsExact(t *testing.T) {
	says := func(program string, seed uint64, claim string) v1.Image {
		if claim == "" {
			return claiming(t, program, seed, v1.Platform{})
		}
		p := strings.Split(claim+"/", "/")
		return claiming(t, program, seed, v1.Platform{OS: p[0], Architecture: p[1], Variant: p[2]})
	}
	for name, c := range map[string]struct {
		image       v1.Image
		no, yes, is string
	}{
		"amd64":  {says("linux/amd64", 70, "linux/amd64"), "linux/amd64/v3 linux/amd64/v2 linux/386 linux/amd64/v4", "linux/amd64", "linux/amd64"},
		"v1":     {says("linux/amd64", 71, "linux/amd64"), "linux/amd64/v2", "linux/amd64/v1", "linux/amd64"},
		"v3":     {says("linux/amd64", 72, "linux/amd64/v3"), "linux/amd64 linux/amd64/v2 linux/amd64/v4", "linux/amd64/v3", "linux/amd64/v3"},
		"arm":    {says("linux/arm", 73, "linux/arm"), "linux/arm/v6 linux/arm/v5 linux/arm/v8 linux/arm64", "linux/arm/v7", "linux/arm"},
		"armv6":  {says("linux/arm", 74, "linux/arm/v6"), "linux/arm linux/arm/v7 linux/arm/v5", "linux/arm/v6", "linux/arm/v6"},
		"arm64":  {says("linux/arm64", 75, "linux/arm64"), "linux/arm64/v9 linux/arm64/v8.2 linux/arm/v8", "linux/arm64/v8", "linux/arm64"},
		"silent": {says("linux/amd64", 76, ""), "linux/amd64/v2 linux/arm64", "linux/amd64", "linux/amd64"},
	} {
		t.Run(name, func(t *testing.T) {
			y := newTry(t, nil, map[string]v1.Image{"team/app:1": c.image})
			y.run(0, "pull -q R/team/app:1")
			for _, p := range strings.Fields(c.no) {
				r := y.run(1, "rmi --platform "+p+" R/team/app:1", "here are "+c.is+"\n", "mpull rmi --platform "+c.is+" "+y.registry.Host+"/team/app:1 removes that one")
				if r.Stdout != "" {
					t.Errorf("rmi --platform %s: %s", p, r)
				}
				y.run(1, "rmi --force --platform "+p+" R/team/app:1")
				if strings.Count(p, "/") == 2 { // a filter without a variant selects all of them
					y.run(0, "prune -a -f --filter platform="+p)
				}
			}
			y.run(0, "images -q --no-trunc", "sha256:")
			y.run(0, "rmi --platform "+c.yes+" R/team/app:1", "Deleted")
		})
	}
}

// TestConfigsCompleteAnIndex tries indexes that say less than the configs of
// their images: a variant, a version of Windows, one field of a platform.
func TestConfigsCompleteAnIndex(t *testing.T) {
	testenv.Root(t)
	is := func(seed uint64, os, arch, variant, version string) v1.Image {
		return claiming(t, "linux/"+arch, seed, v1.Platform{OS: os, Architecture: arch, Variant: variant, OSVersion: version})
	}
	arm, amd64, windows := on("linux", "arm"), on("linux", "amd64"), on("windows", "amd64")
	y := newTry(t, map[string]v1.ImageIndex{
		"team/arm:1":    index(entry{add: is(50, "linux", "arm", "v6", ""), platform: arm}, entry{add: is(51, "linux", "arm", "v7", ""), platform: arm}),
		"team/levels:1": index(entry{add: is(52, "linux", "amd64", "v3", ""), platform: amd64}, entry{add: is(53, "linux", "amd64", "", ""), platform: amd64}),
		"team/win:1":    index(entry{add: is(54, "windows", "amd64", "", "10.0.17763.9"), platform: windows}, entry{add: is(55, "windows", "amd64", "", "10.0.20348.9"), platform: windows}),
		"team/nano:1":   index(entry{add: is(56, "windows", "amd64", "", "10.0.20348.9"), platform: windows}),
		"team/half:1":   index(entry{add: is(57, "", "arm64", "", "")}, entry{add: is(58, "", "amd64", "", "")}),
		"team/lies:1":   index(entry{add: is(59, "linux", "arm", "v7", ""), platform: &v1.Platform{OS: "linux", Architecture: "arm", Variant: "v6"}}),
		"team/more:1":   index(entry{add: is(60, "linux", "amd64", "v4", ""), platform: amd64}),
		"team/blank:1":  index(entry{add: is(61, "linux ", " amd64", "", ""), platform: on(" linux", "amd64\t")}),
		"team/odd:1":    index(entry{add: is(62, "lin ux", "amd64", "", ""), platform: on("lin ux", "amd64")}),
	}, nil)
	y.run(0, "pull --platform linux/arm/v7 R/team/arm:1", "for linux/arm/v7", "!warning")
	y.run(0, "pull --platform linux/arm/v6 R/team/arm:1", "for linux/arm/v6", "!warning")
	y.run(0, "rmi -a")
	y.run(0, "pull --all-platforms R/team/arm:1", "linux/arm/v6", "linux/arm/v7")
	y.run(0, "platforms R/team/arm:1", "linux/arm/v6", "linux/arm/v7")
	y.run(0, "pull R/team/levels:1", "for linux/amd64:")
	y.run(0, "match R/team/levels:1", "linux/amd64/v3", "stronger-variant")
	y.run(0, "pull --platform linux/amd64/v3 R/team/levels:1", "for linux/amd64/v3")
	y.run(125, "pull --platform windows/amd64 R/team/win:1", "several versions", "mpull pull --platform 'windows(10.0.17763.9)/amd64'")
	y.run(0, "pull --platform windows(10.0.20348)/amd64 R/team/win:1", "windows(10.0.20348.9)/amd64")
	y.run(0, "pull --platform windows(10.0.20348)/amd64 R/team/nano:1", "windows(10.0.20348.9)/amd64")
	y.run(125, "pull --platform windows(10.0.17763)/amd64 R/team/nano:1", "it offers windows(10.0.20348.9)/amd64")
	y.run(125, "pull R/team/nano:1", "brings it all the same")
	y.run(0, "pull --all-platforms R/team/win:1", "windows(10.0.17763.9)/amd64", "windows(10.0.20348.9)/amd64")
	y.run(0, "pull R/team/half:1", "for unknown/amd64")
	y.run(0, "check R/team/half:1", "native")
	y.run(0, "pull --platform linux/arm/v6 R/team/lies:1", "the index calls this image linux/arm/v6, its own config says linux/arm/v7")
	y.run(0, "pull R/team/more:1", "its own config says linux/amd64/v4")
	y.run(0, "pull R/team/blank:1", "for linux/amd64")
	y.run(0, "images --format {{.Platform}} R/team/blank:1", "linux/amd64\n")
	y.run(125, "pull R/team/odd:1", "\"lin ux/amd64\"", "mpull pull --all-platforms ... brings it all the same")
	y.run(0, "pull --all-platforms R/team/odd:1")
}

// TestArtifactsByTheirLayers tries entries that the index calls images of a
// platform and whose layers are none: what reads their manifests says so.
func TestArtifactsByTheirLayers(t *testing.T) {
	wasm := artifact("application/vnd.oci.image.config.v1+json", "application/wasm")
	signature := artifact("application/vnd.oci.image.config.v1+json", "application/vnd.dev.cosign.simplesigning.v1+json")
	helm := artifact("application/vnd.cncf.helm.config.v1+json", "application/vnd.cncf.helm.chart.content.v1.tar+gzip")
	image390 := claiming(t, "linux/s390x", 80, v1.Platform{OS: "linux", Architecture: "s390x"})
	y := newTry(t, map[string]v1.ImageIndex{
		"team/mixed:1": index(entry{add: wasm, platform: on("linux", "amd64")}, entry{add: signature, platform: on("linux", "arm64")},
			entry{add: helm, platform: on("linux", "riscv64")}, entry{add: image390, platform: on("linux", "s390x")}),
		"team/nameless:1": index(entry{add: wasm}, entry{add: image390}),
	}, map[string]v1.Image{"team/helm:1": helm})
	r := y.run(0, "platforms --sizes R/team/mixed:1", "!own")
	if n := strings.Count(r.Stdout, " artifact "); n != 3 {
		t.Errorf("%d artifacts: %s", n, r)
	}
	y.run(0, "platforms --sizes --format {{.Platform}}={{.ArtifactType}} R/team/mixed:1", "linux/amd64=application/wasm\n", "linux/riscv64=application/vnd.cncf.helm", "linux/s390x=\n")
	y.run(0, "platforms R/team/nameless:1", "artifact", "linux/s390x")
	y.run(125, "pull R/team/mixed:1", "no image but an artifact")
	for _, p := range []string{"wasi/wasm", "wasi", "wasip1/wasm"} {
		y.run(125, "pull --platform "+p+" R/team/mixed:1", "no wasi/wasm in this image", "tar archives")
	}
	y.run(125, "pull --all-platforms R/team/helm:1", "no image but an artifact", "!left out")
	y.run(0, "pull --all-platforms R/team/mixed:1", "linux/amd64 is left out", "linux/s390x")
}
