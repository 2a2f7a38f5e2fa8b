package integration

import (
	"encoding/json"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/mpull/mpull/integration/testimage"
	"github.com/mpull/mpull/integration/testregistry"
)

// TestOneAnswer asks every command that takes an image, by every form of its
// name, and every filter of images and of prune: all mean the same images.
func TestOneAnswer(t *testing.T) {
	registry := testregistry.New()
	defer registry.Close()
	native := "linux/" + runtime.GOARCH
	for seed, repo := range []string{"team/app:1", "library/tool:latest"} {
		index, err := testimage.Index([]string{native, foreign()}, testimage.Spec{Seed: uint64(seed), Files: 1, FileSize: 64, Labels: map[string]string{"keep.me": repo}})
		if err != nil {
			t.Fatal(err)
		}
		if err := registry.PushIndex(repo, index); err != nil {
			t.Fatal(err)
		}
	}
	m := machineFor(t, t.TempDir(), drivers(t)[0], registry.Host)
	full := registry.Host + "/team/app:1"
	m.run("mine", "mpull", "pull", "-q", "--platform", native, "--platform", foreign(), full)
	m.run("mine", "mpull", "pull", "-q", "tool")
	meant := m.listed(t, "reference="+full)[0]
	var image struct {
		Digests []string
	}
	if err := json.Unmarshal([]byte(m.run("mine", "mpull", "images", "--filter", "id="+meant, "--format", "{{json .}}")), &image); err != nil {
		t.Fatal(err)
	}
	d := image.Digests[0]
	for _, form := range []string{
		full, "app:1", "team/app:1", "docker://" + full, "containers-storage:" + full, meant, meant[:12], "sha256:" + meant,
		registry.Host + "/team/app@" + d, "app@" + d, "app:1@" + d, "app:other@" + d, "app@" + d[:19], d, d[:19],
	} {
		for _, c := range answers() {
			words := append([]string{"mpull"}, strings.Fields(c.words)...)
			if slices.Contains(words, "inspect") && strings.Contains(form, full) && form != full {
				continue // with a transport it prints what skopeo does
			}
			at := slices.Index(words, "IMAGE")
			words[at] = form
			out, err := m.command("mine", words...).CombinedOutput()
			if err != nil || !strings.Contains(string(out), meant[:12]) {
				t.Errorf("%q does not mean %.12s: %v\n%s", words[1:], meant, err, out)
			}
		}
	}
	m.sameFilters(t, full)
}

// answer is a command that tells which image it takes IMAGE for.
type answer struct{ words string }

func answers() []answer {
	native := "linux/" + runtime.GOARCH
	return []answer{
		{"images --no-trunc IMAGE"}, {"inspect IMAGE"}, {"image inspect --platform " + native + " IMAGE"}, {"why --format json IMAGE"}, {"check --format json IMAGE"},
		{"save -o /dev/null IMAGE"}, {"pull -q --policy never IMAGE"}, {"pull -q --policy missing --platform " + native + " IMAGE"},
	}
}

// listed are the IDs of the images that a filter selects.
func (m *machine) listed(t *testing.T, filters ...string) []string {
	t.Helper()
	args := []string{"mpull", "images", "-a", "-q", "--no-trunc"}
	for _, f := range filters {
		args = append(args, "--filter", f)
	}
	ids := strings.Fields(strings.ReplaceAll(m.run("mine", args...), "sha256:", ""))
	slices.Sort(ids)
	return slices.Compact(ids)
}

// sameFilters holds what images lists against what a prune of all would take.
func (m *machine) sameFilters(t *testing.T, full string) {
	t.Helper()
	for _, f := range []string{
		"reference=app", "reference=team/app:1", "reference=*/*/app", "reference!=app", "reference=tool", "was=*", "was!=*", "label=keep.*", "label=keep.me=team/app:1",
		"label!=keep.me", "platform=linux", "platform=" + runtime.GOARCH, "platform=" + foreign(), "platform=linux/s*", "platform!=" + foreign(),
		"before=" + full, "since=" + full, "after=tool", "dangling=true", "dangling!=true", "intermediate=false", "readonly=false", "until=30d", "until!=30d", "until=2w ago",
	} {
		want := m.listed(t, f)
		if key, _, _ := strings.Cut(f, "="); strings.HasPrefix(key, "until") {
			if !slices.Contains([]int{0, len(m.listed(t))}, len(want)) { // built long ago, pulled a moment ago
				t.Errorf("%s lists %q", f, want)
			}
			continue
		}
		var plan struct {
			Images []struct {
				ID   string
				Goes bool
			}
		}
		if err := json.Unmarshal([]byte(m.run("mine", "mpull", "prune", "--all", "--dry-run", "--format", "json", "--filter", f)), &plan); err != nil {
			t.Fatal(err)
		}
		got := []string{}
		for _, img := range plan.Images {
			if img.Goes {
				got = append(got, img.ID)
			}
		}
		slices.Sort(got)
		if !slices.Equal(got, want) {
			t.Errorf("%s: images lists %.12q, prune takes %.12q", f, want, got)
		}
	}
}
