package platform

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"runtime"
	"strconv"
	"strings"
	"testing"

	"github.com/opencontainers/go-digest"
	imgspecv1 "github.com/opencontainers/image-spec/specs-go/v1"
	"go.podman.io/image/v5/manifest"
	"go.podman.io/image/v5/types"
)

// asked pairs what a user writes with the library's fields after podman's
// normalisation of it (common/libimage/platform.Normalize).
type asked struct {
	text              string
	os, arch, variant string
}

var podmanRequests = []asked{
	{"linux/amd64", "linux", "amd64", ""},
	{"linux/x86_64", "linux", "amd64", ""},
	{"linux/amd64/v1", "linux", "amd64", ""},
	{"linux/amd64/v2", "linux", "amd64", "v2"},
	{"linux/amd64/v3", "linux", "amd64", "v3"},
	{"linux/i386", "linux", "386", ""},
	{"linux/arm", "linux", "arm", "v7"},
	{"linux/armel", "linux", "arm", "v6"},
	{"linux/armhf", "linux", "arm", "v7"},
	{"linux/arm/v4", "linux", "arm", "v4"},
	{"linux/arm/v5", "linux", "arm", "v5"},
	{"linux/arm/v6", "linux", "arm", "v6"},
	{"linux/arm/7", "linux", "arm", "v7"},
	{"linux/arm/v8", "linux", "arm", "v8"},
	{"linux/arm/vfp", "linux", "arm", "vfp"},
	{"linux/arm64", "linux", "arm64", ""},
	{"linux/arm64/8", "linux", "arm64", "v8"},
	{"linux/arm64/v8.0", "linux", "arm64", "v8"},
	{"linux/arm64/v8.2", "linux", "arm64", "v8.2"},
	{"linux/arm64/9", "linux", "arm64", "v9"},
	{"linux/ppc64le", "linux", "ppc64le", ""},
	{"linux/ppc64le/power9", "linux", "ppc64le", "power9"},
	{"windows/amd64", "windows", "amd64", ""},
	{"macos/aarch64", "darwin", "arm64", ""},
}

const differentialPool = "- unknown/unknown linux/amd64 linux/amd64/v1 linux/amd64/v2 linux/amd64/v3 linux/386 " +
	"linux/arm linux/arm/v4 linux/arm/v5 linux/arm/v6 linux/arm/v7 linux/arm/v8 linux/arm64 linux/arm64/v8 " +
	"linux/arm64/v8.1 linux/arm64/v9 linux/ppc64le linux/ppc64le/power9 windows/amd64 darwin/arm64 Linux/x86_64 linux/armhf"

// differentialIndexes returns every ordered pair of entries, pairs with each
// compression, and random longer lists from a fixed seed.
func differentialIndexes(t *testing.T) [][]Candidate {
	pool := index(t, differentialPool)
	var all [][]Candidate
	for _, a := range pool {
		for _, b := range pool {
			for mask := range 4 {
				a.Zstd, b.Zstd = mask&1 != 0, mask&2 != 0
				all = append(all, []Candidate{a, b})
			}
		}
	}
	rng := rand.New(rand.NewPCG(1, 2))
	for range 4000 {
		list := make([]Candidate, 1+rng.IntN(8))
		for i := range list {
			list[i] = pool[rng.IntN(len(pool))]
			list[i].Zstd = rng.IntN(4) == 0
		}
		all = append(all, list)
	}
	return all
}

// libraryList makes the library's index of the candidates, as an OCI index or as a
// Docker list (which has neither entries without a platform nor zstd).
func libraryList(t *testing.T, candidates []Candidate, docker bool) manifest.List {
	t.Helper()
	type entry struct {
		MediaType   string              `json:"mediaType"`
		Size        int64               `json:"size"`
		Digest      digest.Digest       `json:"digest"`
		Platform    *imgspecv1.Platform `json:"platform,omitempty"`
		Annotations map[string]string   `json:"annotations,omitempty"`
	}
	kind, item := imgspecv1.MediaTypeImageIndex, imgspecv1.MediaTypeImageManifest
	if docker {
		kind, item = manifest.DockerV2ListMediaType, manifest.DockerV2Schema2MediaType
	}
	entries := make([]entry, len(candidates))
	for i, c := range candidates {
		entries[i] = entry{MediaType: item, Size: 1, Digest: digest.FromString(strconv.Itoa(i))}
		if c.Platform != nil {
			entries[i].Platform = &imgspecv1.Platform{OS: c.Platform.OS, Architecture: c.Platform.Architecture, Variant: c.Platform.Variant}
		}
		if c.Zstd {
			entries[i].Annotations = map[string]string{"io.github.containers.compression.zstd": "true"}
		}
	}
	blob, err := json.Marshal(map[string]any{"schemaVersion": 2, "mediaType": kind, "manifests": entries})
	if err != nil {
		t.Fatal(err)
	}
	list, err := manifest.ListFromBlob(blob, kind)
	if err != nil {
		t.Fatal(err)
	}
	return list
}

// libraryChoice returns the library's choice as an index, -1 for none.
func libraryChoice(t *testing.T, list manifest.List, sys *types.SystemContext) int {
	t.Helper()
	chosen, err := list.ChooseInstance(sys)
	if err != nil {
		return -1
	}
	for i := range list.Instances() {
		if digest.FromString(strconv.Itoa(i)) == chosen {
			return i
		}
	}
	t.Fatalf("library chose %s, which is not in the list", chosen)
	return -1
}

// extension reports whether a choice other than the library's is one the package
// comment announces: a level of amd64 or arm64, or another spelling, where the
// library takes an entry without a variant or a platform, or nothing.
func extension(r Request, candidates []Candidate, d Decision, library int) bool {
	if d.Chosen < 0 {
		return false
	}
	if library >= 0 && candidates[library].Platform != nil && candidates[library].Platform.Variant != "" {
		return false
	}
	ours := candidates[d.Chosen].Platform
	switch d.Rule {
	case ruleSpelling:
		return library < 0 || candidates[library].Platform == nil
	case RuleBaseline:
		return ours.Architecture == "amd64" && (library < 0 || candidates[library].Platform == nil)
	case ruleWeaker:
		return ours.Architecture == "amd64" || ours.Architecture == "arm64" && r.Platform.Variant != "v8"
	}
	return false
}

func describe(candidates []Candidate) string {
	var b strings.Builder
	for _, c := range candidates {
		if c.Platform == nil {
			fmt.Fprintf(&b, " -(zstd %v)", c.Zstd)
			continue
		}
		fmt.Fprintf(&b, " %s(zstd %v)", c.Platform, c.Zstd)
	}
	return b.String()
}

// TestChooseAsTheLibrary holds Choose against what containers/image chooses.
func TestChooseAsTheLibrary(t *testing.T) {
	host := Platform{"linux", "amd64", "", ""}
	same, beyond := 0, 0
	for _, candidates := range differentialIndexes(t) {
		list := libraryList(t, candidates, false)
		for _, q := range podmanRequests {
			r, err := ParseRequest(q.text, host)
			if err != nil {
				t.Fatal(err)
			}
			d, _ := Choose([]Request{r}, candidates)
			library := libraryChoice(t, list, &types.SystemContext{OSChoice: q.os, ArchitectureChoice: q.arch, VariantChoice: q.variant})
			switch {
			case d.Chosen == library:
				same++
			case extension(r, candidates, d, library):
				beyond++
			default:
				t.Fatalf("%s of%s: chose %d by %q, the library %d", q.text, describe(candidates), d.Chosen, d.Rule, library)
			}
		}
	}
	t.Logf("%d choices as the library, %d beyond it", same, beyond)
	if same == 0 || beyond == 0 {
		t.Error("the generated indexes do not show both")
	}
}

// TestChooseAsTheLibraryInDockerLists does the same for Docker's lists, where the
// first entry of a platform wins whatever its compression.
func TestChooseAsTheLibraryInDockerLists(t *testing.T) {
	for _, all := range differentialIndexes(t) {
		var candidates []Candidate
		for _, c := range all {
			if c.Zstd = false; c.Platform == nil {
				c.Platform = &Platform{}
			}
			candidates = append(candidates, c)
		}
		list := libraryList(t, candidates, true)
		for _, q := range podmanRequests {
			r, err := ParseRequest(q.text, Platform{"linux", "amd64", "", ""})
			if err != nil {
				t.Fatal(err)
			}
			d, _ := Choose([]Request{r}, candidates)
			library := libraryChoice(t, list, &types.SystemContext{OSChoice: q.os, ArchitectureChoice: q.arch, VariantChoice: q.variant})
			if d.Chosen != library && !extension(r, candidates, d, library) {
				t.Fatalf("%s of%s: chose %d by %q, the library %d", q.text, describe(candidates), d.Chosen, d.Rule, library)
			}
		}
	}
}

// TestDefaultAsTheLibrary: whatever the level of the host's processor, the default
// is the library's, save for the extensions that need no level.
func TestDefaultAsTheLibrary(t *testing.T) {
	if runtime.GOOS != "linux" || runtime.GOARCH != "amd64" {
		t.Skip("the library's default depends on the processor it runs on; compared on linux/amd64")
	}
	for _, candidates := range differentialIndexes(t) {
		library := libraryChoice(t, libraryList(t, candidates, false), &types.SystemContext{})
		for _, level := range []string{"", "v1", "v2", "v3", "v4"} {
			r := Native(Platform{"linux", "amd64", level, ""})
			d, _ := Choose([]Request{r}, candidates)
			if d.Chosen != library && (d.Rule == ruleWeaker || !extension(r, candidates, d, library)) {
				t.Fatalf("level %q of%s: chose %d by %q, the library %d", level, describe(candidates), d.Chosen, d.Rule, library)
			}
		}
	}
}
