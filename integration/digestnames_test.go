package integration

import (
	"encoding/json"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/mpull/mpull/integration/testenv"
	"github.com/mpull/mpull/integration/testimage"
	"github.com/mpull/mpull/integration/testregistry"
)

// TestDigestNames asks podman and mpull which image of one store each form of a
// name with a digest means. podman is the oracle where name and digest fit.
func TestDigestNames(t *testing.T) {
	testenv.Need(t, "podman")
	registry := testregistry.New()
	defer registry.Close()
	platforms := []string{"linux/" + runtime.GOARCH, foreign()}
	for seed, repo := range []string{"library/busybox:latest", "team/app:1", "team/other:1"} {
		index, err := testimage.Index(platforms, testimage.Spec{Seed: uint64(seed), Files: 1, FileSize: 64})
		if err != nil {
			t.Fatal(err)
		}
		if err := registry.PushIndex(repo, index); err != nil {
			t.Fatal(err)
		}
	}
	m := machineFor(t, inMemory(t), drivers(t)[0], registry.Host)
	m.run("mine", "mpull", "pull", "-q", "busybox")
	m.run("mine", "podman", "pull", "-q", registry.Host+"/team/app:1")
	m.run("mine", "mpull", "pull", "-q", "--platform", platforms[0], "--platform", platforms[1], registry.Host+"/team/other:1")
	asked, found := 0, 0
	step := 1
	if testenv.Short(t) {
		step = 3
	}
	for i, n := range digestNames(t, m, registry.Host) {
		if i%step != 0 {
			continue
		}
		theirs, mine := m.means("podman", n.input), m.means("mpull", n.input)
		// podman takes name@digest by its digest alone, and no digest without a
		// name. Of another repository mpull takes none; a digest alone is the image that
		// has it, of several that with a tag.
		want := theirs
		if !n.fits {
			want = n.alone
		}
		if asked++; mine != want {
			t.Errorf("%s: podman %.12s, mpull %.12s, not %.12s", n.input, theirs, mine, want)
		}
		if mine != "" {
			found++
		}
	}
	t.Logf("%d names asked, %d found", asked, found)
	if found == 0 {
		t.Error("nothing was found: this proves nothing")
	}
	// No name with a wrong digest removes anything.
	before := m.run("mine", "mpull", "images", "-a", "--no-trunc", "--format", "{{.ID}} {{.Names}}")
	for _, name := range []string{"busybox", "library/busybox:latest", registry.Host + "/team/app:1", "other:1"} {
		for _, command := range []string{"rmi", "untag", "inspect", "check", "why", "save -o x.tar", "run", "restore", "use --platform " + platforms[0], "tag"} {
			words := append(append([]string{"mpull"}, strings.Fields(command)...), name+"@sha256:"+strings.Repeat("0", 64))
			if command == "tag" {
				words = append(words, "localhost/taken:1")
			}
			if out, err := m.command("mine", words...).CombinedOutput(); err == nil || !strings.Contains(string(out), "no such image") {
				t.Errorf("%q: %v\n%s", words, err, out)
			}
		}
	}
	if after := m.run("mine", "mpull", "images", "-a", "--no-trunc", "--format", "{{.ID}} {{.Names}}"); after != before {
		t.Errorf("the store has changed:\n%s\nbefore\n%s", after, before)
	}
}

// means is the ID of the image that a program takes a name for, "" for none.
func (m *machine) means(program, input string) string {
	out, err := m.command("mine", program, "image", "inspect", "--format", "{{.Id}}", input).Output()
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(out))
}

// digestName is an input with a digest; fits tells whether the image with that
// digest has a name of that repository.
type digestName struct {
	input string
	fits  bool
	alone string // the image that a digest alone stands for
}

// digestNames are forms of names of several repositories with every digest that
// an image has, and one that none has.
func digestNames(t *testing.T, m *machine, host string) []digestName {
	t.Helper()
	var rows []struct {
		ID      string
		Names   []string
		Digests []string
	}
	if err := json.Unmarshal([]byte(m.run("mine", "mpull", "images", "-a", "--format", "json")), &rows); err != nil {
		t.Fatal(err)
	}
	of := map[string]string{"sha256:" + strings.Repeat("0", 64): "nothing"}
	var names []digestName
	have := map[string][]string{} // IDs of those with a tag, by digest
	for _, row := range rows {
		for _, d := range row.Digests {
			of[d] = row.Names[0]
			if slices.ContainsFunc(row.Names, func(n string) bool { return !strings.Contains(n, "@") }) {
				have[d] = append(have[d], row.ID)
			}
		}
		for _, own := range []string{row.ID, "sha256:" + row.ID, row.ID[:12]} {
			names = append(names, digestName{input: own, fits: true})
		}
		names = append(names, digestName{input: "busybox@sha256:" + row.ID})
	}
	for d, name := range of {
		for repo, short := range map[string][]string{
			"docker.io/library/busybox": {"busybox", "library/busybox", "docker.io/busybox", "docker.io/library/busybox"},
			host + "/team/app":          {"app", "team/app", host + "/team/app"},
			host + "/team/other":        {"other", host + "/team/other"},
			"quay.io/x/busybox":         {"quay.io/x/busybox", "nosuch"},
		} {
			for _, s := range short {
				fits := strings.HasPrefix(name, repo+":") || strings.HasPrefix(name, repo+"@")
				for _, tag := range []string{"", ":latest", ":1", ":nosuch"} {
					names = append(names, digestName{input: s + tag + "@" + d, fits: fits})
				}
			}
		}
		alone := digestName{input: strings.TrimPrefix(d, "sha256:")}
		for _, row := range rows { // without a tag
			if slices.Contains(row.Digests, d) {
				alone.alone = row.ID
			}
		}
		if len(have[d]) == 1 {
			alone.alone = have[d][0]
		}
		names = append(names, digestName{input: "@" + d}, alone)
	}
	return names
}
