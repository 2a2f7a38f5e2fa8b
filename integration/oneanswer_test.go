package integration

import (
	"encoding/json"
	"os/exec"
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
	a := newAnswers(t)
	for _, form := range a.forms() {
		for _, c := range answers() {
			if strings.Contains(c.words, "inspect") && strings.Contains(form, a.full) && form != a.full {
				continue // with a transport it prints what skopeo does
			}
			out, err := a.asked(c.words, form).CombinedOutput()
			if err != nil || !strings.Contains(string(out), a.meant[:12]) {
				t.Errorf("%s with %s does not mean %.12s: %v\n%s", c.words, form, a.meant, err, out)
			}
		}
	}
	a.sameFilters(t, a.full)
}

// TestOneAnswerChanges asks the commands that change names, or that start
// something, by every form of an image's name: all mean the same image.
func TestOneAnswerChanges(t *testing.T) {
	a := newAnswers(t)
	const other = "reference=localhost/other:1"
	for _, form := range a.forms() {
		a.does(t, "tag IMAGE localhost/other:1", form)
		a.holds(t, form, other, a.meant)
		a.does(t, "untag IMAGE localhost/other:1", form)
		a.holds(t, form, other)
		if !strings.Contains(form, "sha256:") && !strings.Contains(a.meant, form) {
			a.does(t, "use --platform linux/"+runtime.GOARCH+" IMAGE", form)
			a.does(t, "untag IMAGE "+a.full, form)
			a.does(t, "restore IMAGE", form)
		} else {
			a.does(t, "restore IMAGE "+a.full, form)
		}
		a.holds(t, form, "reference="+a.full, a.meant)
		cmd := a.asked("run IMAGE", form) // what comes of it is another test's
		if out, _ := cmd.CombinedOutput(); cmd.ProcessState.ExitCode() == 1 || strings.Contains(string(out), "no such image") {
			t.Errorf("run %s ended with %d: %s", form, cmd.ProcessState.ExitCode(), out)
		}
		a.does(t, "rmi IMAGE", form)
		a.holds(t, form, "reference="+a.full)
		a.run("mine", "mpull", "pull", "-q", "--platform", "linux/"+runtime.GOARCH, a.full)
	}
}

// TestOneAnswerNo asks every command by a name with a digest that the image does
// not have: none takes the name alone for an answer, and nothing changes.
func TestOneAnswerNo(t *testing.T) {
	a := newAnswers(t)
	before := a.run("mine", "mpull", "images", "-a", "--format", "json")
	wrong := "@sha256:" + strings.Repeat("0", 64)
	repo := strings.TrimSuffix(a.full, ":1")
	commands := []string{
		"tag IMAGE localhost/other:1", "untag IMAGE", "rmi IMAGE", "use --platform linux/" + runtime.GOARCH + " IMAGE",
		"restore IMAGE", "restore IMAGE localhost/other:1", "run IMAGE", "images IMAGE",
	}
	for _, c := range answers() {
		if !strings.HasPrefix(c.words, "pull -q --policy missing") && !strings.HasPrefix(c.words, "images") {
			commands = append(commands, c.words)
		}
	}
	for _, form := range []string{repo + wrong, a.full + wrong, "app" + wrong, "app:1" + wrong, wrong[1:], wrong[1:19], "tool" + wrong} {
		for _, words := range commands {
			cmd := a.asked(words, form)
			out, err := cmd.CombinedOutput()
			if strings.HasPrefix(words, "images") && err == nil && !strings.Contains(string(out), "app") {
				continue // it lists nothing
			}
			code := cmd.ProcessState.ExitCode()
			likePodman := code == 125 && (strings.Contains(words, "tag IMAGE") || strings.HasPrefix(words, "run "))
			if code != 1 && !likePodman || !strings.Contains(string(out), "no such image") {
				t.Errorf("%s with %s ended with %d: %s", words, form, cmd.ProcessState.ExitCode(), out)
			}
		}
		if out := a.run("mine", "mpull", "__complete", "rmi", form); strings.Contains(out, "app:1") {
			t.Errorf("%s is completed to %s", form, out)
		}
	}
	for _, form := range []string{a.full + wrong, "app" + wrong, wrong[1:]} { // as podman: what is not here need not go
		if out, err := a.command("mine", "mpull", "rmi", "--force", form).CombinedOutput(); err != nil {
			t.Errorf("rmi --force %s: %v %s", form, err, out)
		}
	}
	if after := a.run("mine", "mpull", "images", "-a", "--format", "json"); after != before {
		t.Errorf("images changed:\n%s\n%s", before, after)
	}
}

// answering is a store with two images of one name, of which one has it, and
// one of another name.
type answering struct {
	*machine
	full   string // the name
	meant  string // the ID of who has it
	digest string // one of its digests
}

func newAnswers(t *testing.T) *answering {
	t.Helper()
	registry := testregistry.New()
	t.Cleanup(registry.Close)
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
	a := &answering{machine: machineFor(t, t.TempDir(), drivers(t)[0], registry.Host), full: registry.Host + "/team/app:1"}
	a.run("mine", "mpull", "pull", "-q", "--platform", native, "--platform", foreign(), a.full)
	a.run("mine", "mpull", "pull", "-q", "tool")
	a.meant = a.listed(t, "reference="+a.full)[0]
	var images []struct {
		Digests []string
	}
	if err := json.Unmarshal([]byte(a.run("mine", "mpull", "images", "--filter", "id="+a.meant, "--format", "{{json .}}")), &images); err != nil {
		t.Fatal(err)
	}
	a.digest = images[0].Digests[0]
	return a
}

// forms are all ways to write the image.
func (a *answering) forms() []string {
	d, repo := a.digest, strings.TrimSuffix(a.full, ":1")
	return []string{
		a.full, "app:1", "team/app:1", "docker://" + a.full, "containers-storage:" + a.full, a.meant, a.meant[:12], "sha256:" + a.meant,
		repo + "@" + d, "app@" + d, "app:1@" + d, "app:other@" + d, "app@" + d[:19], d, d[:19],
	}
}

// asked prepares a command, with form for IMAGE in its words.
func (a *answering) asked(words, form string) *exec.Cmd {
	args := append([]string{"mpull"}, strings.Fields(words)...)
	args[slices.Index(args, "IMAGE")] = form
	return a.command("mine", args...)
}

// does runs a command that has to succeed.
func (a *answering) does(t *testing.T, words, form string) {
	t.Helper()
	if out, err := a.asked(words, form).CombinedOutput(); err != nil {
		t.Errorf("%s with %s: %v: %s", words, form, err, out)
	}
}

// holds compares the images that a filter lists with those that it should.
func (a *answering) holds(t *testing.T, form, filter string, want ...string) {
	t.Helper()
	if got := a.listed(t, filter); !slices.Equal(got, want) {
		t.Errorf("after %s: %s lists %.12q, want %.12q", form, filter, got, want)
	}
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
