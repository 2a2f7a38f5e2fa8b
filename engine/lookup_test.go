package engine

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/opencontainers/go-digest"

	"github.com/mpull/mpull/engine/registry"
	"github.com/mpull/mpull/gc"
	"github.com/mpull/mpull/store"
)

// testEngine reads a registries.conf of its own and no other file.
func testEngine(t *testing.T) *Engine {
	t.Helper()
	conf := filepath.Join(t.TempDir(), "registries.conf")
	text := "unqualified-search-registries = [\"one.test\", \"two.test\"]\n[aliases]\n\"short\" = \"one.test/long/name\"\n"
	if err := os.WriteFile(conf, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return New(Config{Registry: registry.Options{RegistriesConf: conf}})
}

func image(id string, names ...string) store.Image {
	return store.Image{ID: id, Names: names, NamesHistory: names, Config: &store.Config{OS: "linux", Architecture: "amd64"}}
}

func TestLookup(t *testing.T) {
	d := digest.FromString("manifest")
	digested := image("d1000000", "one.test/app:1")
	digested.Digests = []digest.Digest{d}
	lost := image("e5000000")
	lost.NamesHistory = []string{"one.test/lost:latest"}
	snap := &store.Snapshot{Images: []store.Image{
		image("abc00000", "localhost/tool:latest", "docker.io/library/alpine:3.15"),
		image("abd00000", "two.test/tool:latest"),
		image("f0000000", "far.test/deep/inside:latest"),
		image("f1000000", "one.test/long/name:2"),
		image("fade0000", "fade.test/x:1"),
		digested, lost,
	}}
	for _, tt := range []struct{ in, id, name string }{
		{"abc", "abc00000", ""},
		{"sha256:abd00000", "abd00000", ""},
		{"tool", "abc00000", "localhost/tool:latest"}, // localhost before the search registries
		{"two.test/tool", "abd00000", "two.test/tool:latest"},
		{"docker.io/library/alpine:3.15", "abc00000", "docker.io/library/alpine:3.15"},
		{"docker://docker.io/library/alpine:3.15", "abc00000", "docker.io/library/alpine:3.15"},
		{"containers-storage:two.test/tool:latest", "abd00000", "two.test/tool:latest"},
		{"short:2", "f1000000", "one.test/long/name:2"}, // by alias
		{"inside", "f0000000", "far.test/deep/inside:latest"},
		{"deep/inside:latest", "f0000000", "far.test/deep/inside:latest"},
		{"one.test/app@" + d.String(), "d1000000", ""},
		{"app:nosuch@" + d.String(), "d1000000", ""},
	} {
		img, name, err := testEngine(t).lookup(snap, tt.in)
		if err != nil || img.ID != tt.id || name != tt.name {
			t.Errorf("lookup(%q) = %+v, %q, %v, want %s %q", tt.in, img, name, err, tt.id, tt.name)
		}
	}
	var unknown *UnknownImageError
	for _, in := range []string{"ab", "nosuch", "two.test/app@" + d.String(), "alpine", "deadbeef"} {
		if img, _, err := testEngine(t).lookup(snap, in); !errors.As(err, &unknown) {
			t.Errorf("lookup(%q) = %v, %v", in, img, err)
		}
	}
	if _, _, err := testEngine(t).lookup(snap, "lost"); !errors.As(err, &unknown) || len(unknown.Held) != 1 || unknown.Held[0].ID != "e5000000" {
		t.Errorf("the image that once had the name is not told: %v", err)
	}
	two := &store.Snapshot{Images: []store.Image{image("abc10000"), image("abc20000")}}
	var ambiguous *AmbiguousError
	if _, _, err := testEngine(t).lookup(two, "abc"); !errors.As(err, &ambiguous) || len(ambiguous.Candidates) != 2 {
		t.Errorf("two images begin with it: %v", err)
	}
	for _, in := range []string{"UPPER", "a b", "", ":", "@", "sha256:"} {
		if img, _, err := testEngine(t).lookup(snap, in); err == nil {
			t.Errorf("lookup(%q) = %s", in, img.ID)
		}
	}
}

func TestMatchReference(t *testing.T) {
	names := []string{"docker.io/library/alpine:3.15"}
	for pattern, want := range map[string]bool{
		"alpine": true, "alpine:3.15": true, "alp*": true, "library/alpine": true, "docker.io/library/alpine": true,
		"*/library/*:3.*": true, "alpine:3.16": false, "lpine": false, "*": true, "docker.io": false, "[": false,
	} {
		if matchReference(pattern, names) != want {
			t.Errorf("reference=%s: %v", pattern, !want)
		}
	}
}

func TestParseFilter(t *testing.T) {
	for in, want := range map[string]Filter{
		"label=a=b":       {Key: "label", Value: "a=b"},
		"label!=a":        {Key: "label", Value: "a", Negate: true},
		"platform=linux/": {Key: "platform", Value: "linux/"},
		"dangling=":       {Key: "dangling"},
	} {
		if got, err := ParseFilter(in); err != nil || got != want {
			t.Errorf("ParseFilter(%q) = %+v, %v", in, got, err)
		}
	}
	for _, in := range []string{"", "label", "colour=red", "=x", "!=x"} {
		if got, err := ParseFilter(in); err == nil {
			t.Errorf("ParseFilter(%q) = %+v", in, got)
		}
	}
}

func TestMatcher(t *testing.T) {
	a, b := image("aaa", "one.test/a:1"), image("bbb")
	a.Config.Labels = map[string]string{"team": "x"}
	b.Config = &store.Config{OS: "linux", Architecture: "arm", Variant: "v7"}
	snap := &store.Snapshot{Images: []store.Image{a, b}}
	for _, tt := range []struct {
		filters []string
		want    string
	}{
		{nil, "aaa bbb "},
		{[]string{"dangling=true"}, "bbb "},
		{[]string{"dangling=false"}, "aaa "},
		{[]string{"label=team"}, "aaa "},
		{[]string{"label!=team"}, "bbb "},
		{[]string{"label=team=y"}, ""},
		{[]string{"platform=linux/arm"}, "bbb "},
		{[]string{"platform!=linux/arm"}, "aaa "},
		{[]string{"reference=a", "reference=nosuch"}, "aaa "}, // alternatives
		{[]string{"reference=a", "dangling=true"}, ""},        // together
		{[]string{"id=bb"}, "bbb "},
	} {
		var filters []Filter
		for _, s := range tt.filters {
			f, err := ParseFilter(s)
			if err != nil {
				t.Fatal(err)
			}
			filters = append(filters, f)
		}
		match, err := testEngine(t).matcher(snap, gc.Kinship(snap), filters)
		if err != nil {
			t.Errorf("%v: %v", tt.filters, err)
			continue
		}
		got := ""
		for i := range snap.Images {
			if match(&snap.Images[i]) {
				got += snap.Images[i].ID + " "
			}
		}
		if got != tt.want {
			t.Errorf("%v selects %q, want %q", tt.filters, got, tt.want)
		}
	}
	for _, in := range []string{"dangling=perhaps", "since=nosuch", "until=soon", "platform=a/b/c/d/e"} {
		f, err := ParseFilter(in)
		if err == nil {
			_, err = testEngine(t).matcher(snap, nil, []Filter{f})
		}
		if err == nil {
			t.Errorf("%s is taken", in)
		}
	}
}

func TestNormalizeName(t *testing.T) {
	for in, want := range map[string]string{
		"app": "localhost/app:latest", "app:1": "localhost/app:1", "team/app": "localhost/team/app:latest",
		"docker.io/alpine": "docker.io/library/alpine:latest", "host:5000/a": "host:5000/a:latest", "localhost/x:y": "localhost/x:y",
	} {
		if got, err := NormalizeName(in); err != nil || got != want {
			t.Errorf("NormalizeName(%q) = %q, %v, want %q", in, got, err, want)
		}
	}
	for _, in := range []string{"", "UP", "a@" + digest.FromString("x").String(), "a b", "-x"} {
		if got, err := NormalizeName(in); err == nil {
			t.Errorf("NormalizeName(%q) = %q", in, got)
		}
	}
}

// TestSizes: what several images share comes free with neither.
func TestSizes(t *testing.T) {
	snap := &store.Snapshot{
		Layers: []store.Layer{{ID: "base", UncompressedSize: 100}, {ID: "top", Parent: "base", UncompressedSize: 10}, {ID: "loop", Parent: "loop", UncompressedSize: 1}},
		Images: []store.Image{{ID: "a", TopLayer: "top", BigData: map[string]int64{"manifest": 5}}, {ID: "b", TopLayer: "base"}, {ID: "c", TopLayer: "loop"}},
	}
	s := newSizes(snap)
	for i, want := range []struct{ size, freed int64 }{{115, 15}, {100, 0}} {
		if got := s.of(&snap.Images[i]); got != want.size {
			t.Errorf("size of %s = %d, want %d", snap.Images[i].ID, got, want.size)
		}
		if got := s.freed(&snap.Images[i]); got != want.freed {
			t.Errorf("freed by %s = %d, want %d", snap.Images[i].ID, got, want.freed)
		}
	}
	if s.of(&snap.Images[2]) <= 0 { // a circle of layers ends
		t.Error("no size")
	}
}
