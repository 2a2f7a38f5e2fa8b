package platforms

import (
	"fmt"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/mutate"

	"github.com/mpull/mpull/integration/testimage"
)

// TestReports tries images of kinds that people reported of other tools.
func TestReports(t *testing.T) {
	attestation := artifact("application/vnd.oci.image.config.v1+json", "application/vnd.in-toto+json")
	amd64 := image(t, testimage.Spec{Seed: 20, OCI: true})
	arm64 := image(t, testimage.Spec{Platform: "linux/arm64", Seed: 20, OCI: true})
	level := func(v string) *v1.Platform { return &v1.Platform{OS: "linux", Architecture: "amd64", Variant: v} }
	y := newTry(t, map[string]v1.ImageIndex{
		"team/levels:1":     index(entry{add: image(t, testimage.Spec{Seed: 21, OCI: true}), platform: level("v2")}, entry{add: amd64, platform: level("v3")}),
		"team/multi:1":      index(entry{add: artifact("application/vnd.zarf.config.v1+json", "application/vnd.zarf.layer.v1.blob"), platform: on("multi", "amd64")}),
		"team/one-sided:1":  index(entry{add: arm64, platform: on("linux", "arm64")}, entry{add: attestation, platform: on("unknown", "unknown")}),
		"team/attested:1":   index(entry{add: index(entry{add: amd64, platform: on("linux", "amd64")}, entry{add: attestation, platform: on("unknown", "unknown")})}),
		"team/oci-attest:1": index(entry{add: attestation, platform: on("linux", "amd64"), artifactType: "application/vnd.docker.attestation.manifest.v1+json"}, entry{add: amd64, platform: on("linux", "amd64")}),
		"team/v8:1":         index(entry{add: image(t, testimage.Spec{Seed: 23, OCI: true, Edit: func(c *v1.ConfigFile) { c.Variant = "v8" }}), platform: level("v8")}),
		"team/spaces:1":     index(entry{add: amd64, platform: on("", "")}, entry{add: arm64, platform: on("linux", "")}),
	}, map[string]v1.Image{
		"team/feature:1": artifact("application/vnd.devcontainers", "application/vnd.devcontainers.layer.v1+tar"),
		"team/arm:1":     arm64,
	})
	y.run(125, "pull R/team/levels:1", "linux/amd64/v2, linux/amd64/v3", "only when it is asked for")
	y.run(0, "pull -q --platform native,linux/amd64/v3 R/team/levels:1")
	y.run(0, "pull R/team/v8:1", "for linux/amd64 ")
	y.run(0, "pull --platform linux/amd64 R/team/v8:1", "!warning")
	y.run(0, "check R/team/v8:1", "native", "!v8 ")
	y.run(0, "images R/team/v8:1", "linux/amd64", "!*")
	y.run(125, "pull --platform linux/amd64/v8 R/team/v8:1", "x86-64-v1 to v4")
	y.run(125, "pull --platform linux/s390x/v8 R/team/v8:1", "leave it out")
	y.run(125, "pull R/team/multi:1", "no image but an artifact", "zarf")
	y.run(125, "pull --platform multi/amd64 R/team/multi:1", "no image but an artifact", "zarf")
	y.run(125, "pull R/team/one-sided:1", "it offers linux/arm64\n", "!unknown")
	y.run(0, "platforms R/team/one-sided:1", "!unknown")
	y.run(0, "pull R/team/attested:1")
	y.run(0, "pull --all-platforms R/team/attested:1")
	y.run(0, "outdated R/team/attested:1", "current")
	y.run(0, "pull R/team/oci-attest:1")
	y.run(0, "pull R/team/spaces:1", "linux/amd64")
	y.run(0, "platforms R/team/spaces:1", "linux/amd64", "linux/arm64")
	y.run(0, "pull --platform linux/arm64 R/team/spaces:1")
	y.run(125, "pull R/team/feature:1", "no image but an artifact", "application/vnd.devcontainers")
	y.run(125, "pull --arch bogus R/team/arm:1", "no linux/bogus in this image; it offers linux/arm64")
	y.run(125, "pull --arch linux/arm64 R/team/arm:1", "use --platform")
	y.run(125, "pull --arch amd64 --variant v8 R/team/arm:1", "x86-64-v1 to v4")
	y.run(0, "inspect docker://R/team/arm:1")
	y.run(125, "inspect --platform linux/amd64 docker://R/team/arm:1", "it offers linux/arm64")
}

// TestDeepIndexes: an index nested deeper than is followed is left out, with a
// sentence where it may hold what was asked for, and the others are there; and no
// index leads to more requests than one can wait for.
func TestDeepIndexes(t *testing.T) {
	amd64, arm64 := image(t, testimage.Spec{Seed: 23, OCI: true}), image(t, testimage.Spec{Platform: "linux/arm64", Seed: 23, OCI: true})
	inner := entry{add: index(entry{add: amd64, platform: on("linux", "amd64")})}
	deep := index(entry{add: index(entry{add: index(inner)})})
	bomb := index(inner)
	for range 2 {
		same := make([]entry, 60)
		for i := range same {
			same[i].add = bomb
		}
		bomb = index(same...)
	}
	many := make([]entry, 0, 120)
	for i := range 120 {
		many = append(many, entry{add: mutate.Annotations(index(entry{add: amd64, platform: on("linux", "amd64")}), map[string]string{"n": fmt.Sprint(i)}).(v1.ImageIndex)})
	}
	y := newTry(t, map[string]v1.ImageIndex{
		"team/deep:1":  index(entry{add: deep}, entry{add: arm64, platform: on("linux", "arm64")}),
		"team/only:1":  index(entry{add: deep}),
		"team/bomb:1":  index(entry{add: bomb}, entry{add: arm64, platform: on("linux", "arm64")}),
		"team/twice:1": index(inner, inner, entry{add: arm64, platform: on("linux", "arm64")}),
		"team/many:1":  index(append(many, entry{add: arm64, platform: on("linux", "arm64")})...),
	}, nil)
	for _, name := range []string{"deep", "bomb", "many"} {
		y.run(0, "pull --platform linux/arm64 R/team/"+name+":1", "!nested")
		y.run(125, "pull --platform linux/s390x R/team/"+name+":1", "no linux/s390x in this image", "linux/arm64", "an index nested")
	}
	y.run(125, "pull --platform linux/amd64 R/team/only:1", "an index nested")
	y.run(0, "pull --platform linux/amd64 R/team/many:1")
	y.run(0, "platforms R/team/deep:1", "linux/arm64", "absent")
	y.run(125, "pull --all-platforms R/team/deep:1", "an index nested")
	y.run(0, "pull --all-platforms --skip-missing R/team/deep:1", "warning", "an index nested")
	y.run(0, "pull --all-platforms R/team/twice:1")
	if r := y.run(0, "platforms --format {{.Platform}} R/team/twice:1"); r.Stdout != "linux/amd64\nlinux/arm64\n" {
		t.Errorf("an index that is listed twice: %q", r.Stdout)
	}
}

// TestNestedLayout pulls out of a nested index on the disk, where a digest names
// nothing.
func TestNestedLayout(t *testing.T) {
	amd64, arm64 := image(t, testimage.Spec{Seed: 22, OCI: true}), image(t, testimage.Spec{Platform: "linux/arm64", Seed: 22, OCI: true})
	nested := index(entry{add: index(entry{add: amd64}, entry{add: arm64, platform: on("linux", "arm64")})})
	y := newTry(t, nil, nil)
	dir := y.Dir + "/layout"
	path, err := layout.Write(dir, empty.Index)
	if err == nil {
		err = path.AppendIndex(nested)
	}
	if err != nil {
		t.Fatal(err)
	}
	d, err := nested.Digest()
	if err != nil {
		t.Fatal(err)
	}
	y.run(0, "platforms oci:"+dir, "linux/amd64", "linux/arm64")
	y.run(0, "pull --all-platforms --as localhost/nested:1 oci:"+dir)
	y.run(0, "images --format json", d.String(), "linux/arm64", "linux/amd64")
	y.run(0, "pull --platform linux/arm64 --as localhost/nested:1 oci:"+dir, "is here already")
}
