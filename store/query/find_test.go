package query

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/opencontainers/go-digest"

	"github.com/mpull/mpull/engine/platform"
	"github.com/mpull/mpull/store"
)

// configured resolves short names as a registries.conf with one alias and two
// search registries does.
func configured(name string) ([]string, error) {
	plain, err := plainNames(name)
	if err != nil || hasDomain(name) {
		return plain, err
	}
	_, rest, _ := strings.Cut(plain[0], "/")
	if repo, tag, _ := strings.Cut(rest, ":"); repo == "short" {
		return []string{"one.test/long/name:" + tag}, nil
	}
	return []string{"localhost/" + rest, "one.test/" + rest, "two.test/" + rest}, nil
}

// image makes one for amd64 with names, all of which it had too.
func image(id string, names ...string) store.Image {
	return store.Image{ID: id, Names: names, NamesHistory: names, Config: &store.Config{OS: "linux", Architecture: "amd64"}}
}

// of gives an image a platform and digests, the last of which is its own.
func of(img store.Image, arch string, digests ...digest.Digest) store.Image {
	img.Config, img.Digests = &store.Config{OS: "linux", Architecture: arch}, digests
	return img
}

// d makes a digest of a letter: sha256:aaaa...
func d(letter string) digest.Digest { return digest.Digest("sha256:" + strings.Repeat(letter, 64)) }

func TestFind(t *testing.T) {
	lost := image("e5000000")
	lost.NamesHistory = []string{"one.test/lost:latest", "one.test/beefbeefbeef:latest"}
	lost.Digests = []digest.Digest{d("5")}
	v := New(&store.Snapshot{Images: []store.Image{
		image("abc00000", "localhost/tool:latest", "docker.io/library/alpine:3.15"),
		image("abd00000", "two.test/tool:latest"),
		image("f0000000", "far.test/deep/inside:latest"),
		image("f1000000", "one.test/long/name:2"),
		image("fade0000", "fade.test/x:1"),
		of(image("d1000000", "one.test/app:1"), "amd64", d("1")),
		of(image("d2000000", "far.test/sub/set:1"), "amd64", d("0"), d("2")),
		of(image("d3000000", "far.test/sub/set@"+d("3").String()), "arm64", d("0"), d("3")),
		lost,
		image("cab10000", "localhost/cab:latest"), image("cab20000"),
	}}, configured)
	for _, tt := range []struct{ in, id, name string }{
		{"abc", "abc00000", ""},
		{"sha256:abd00000", "abd00000", ""},
		{"sha256:abd", "abd00000", ""},
		{"cab", "cab10000", "localhost/cab:latest"}, // two IDs begin so, and one name is it
		{"tool", "abc00000", "localhost/tool:latest"},
		{"two.test/tool", "abd00000", "two.test/tool:latest"},
		{"docker.io/library/alpine:3.15", "abc00000", "docker.io/library/alpine:3.15"},
		{"docker://docker.io/library/alpine:3.15", "abc00000", "docker.io/library/alpine:3.15"},
		{"containers-storage:two.test/tool:latest", "abd00000", "two.test/tool:latest"},
		{"short:2", "f1000000", "one.test/long/name:2"},
		{"inside", "f0000000", "far.test/deep/inside:latest"},
		{"deep/inside:latest", "f0000000", "far.test/deep/inside:latest"},
		{"one.test/app@" + d("1").String(), "d1000000", ""},
		{"app@" + d("1").String(), "d1000000", ""},
		{"app:nosuch@" + d("1").String(), "d1000000", ""},
		{"app@sha256:1111", "d1000000", ""},
		{"set@" + d("2").String(), "d2000000", ""},
		{"sub/set:1@" + d("2").String(), "d2000000", ""},
		{"set@" + d("0").String(), "d2000000", ""}, // of one index the one with a tag
		{"set@" + d("3").String(), "d3000000", "far.test/sub/set@" + d("3").String()},
		{"far.test/sub/set@sha256:333", "d3000000", ""},
		{d("3").String(), "d3000000", ""},
		{strings.Repeat("3", 12), "d3000000", ""}, // as listings show it
		{strings.Repeat("3", 64), "d3000000", ""},
		{"sha256:3333", "d3000000", ""},
		{d("0").String(), "d2000000", ""},
		{"lost@" + d("5").String(), "e5000000", ""}, // it has no name, but had this one
	} {
		if found, err := v.Find(tt.in); err != nil || found.Image.ID != tt.id || found.Name != tt.name {
			t.Errorf("Find(%q) = %+v, %v, want %s %q", tt.in, found, err, tt.id, tt.name)
		}
	}
	for _, in := range []string{
		"ab", "nosuch", "alpine", "deadbeef", "sha256:9", "@", "app@", "@" + d("1").String(), "sha512:1111",
		"app@" + d("9").String(), "app:1@" + d("9").String(), "two.test/app@" + d("1").String(), "set@" + d("1").String(),
		"tool@" + d("1").String(), "other/app@" + d("1").String(), "app@sha256:12", "app@sha256:xyz", "app@1111",
		strings.Repeat("9", 64), strings.Repeat("9", 65), strings.Repeat("9", 128), // no IDs that are here
		strings.Repeat("3", 11), // too little for a digest without its algorithm
	} {
		if found, err := v.Find(in); !IsUnknown(err) {
			t.Errorf("Find(%q) = %v, %v", in, found, err)
		}
	}
	var unknown *UnknownError
	if _, err := v.Find("lost"); !errors.As(err, &unknown) || len(unknown.Held) != 1 || unknown.Held[0].ID != "e5000000" {
		t.Errorf("the image that once had the name is not told: %v", err)
	}
	// A name may look like the beginning of a digest.
	if _, err := v.Find("beefbeefbeef"); !errors.As(err, &unknown) || len(unknown.Held) != 1 {
		t.Errorf("nor that of a name in hexadecimal digits: %v", err)
	}
	for _, in := range []string{"UPPER", "a b", "", ":", "sha256:"} {
		if found, err := v.Find(in); err == nil {
			t.Errorf("Find(%q) = %s", in, found.Image.ID)
		}
	}
	two := New(&store.Snapshot{Images: []store.Image{of(image("abc10000"), "arm", d("1")), of(image("abc20000"), "arm64", d("1"))}}, nil)
	for _, in := range []string{"abc", "sha256:abc", d("1").String()} {
		var ambiguous *AmbiguousError
		if _, err := two.Find(in); !errors.As(err, &ambiguous) || len(ambiguous.Candidates) != 2 {
			t.Errorf("%q means two images: %v", in, err)
		}
	}
}

// TestOf finds images of a platform among those of one index, whose family is
// held together by the index's digest.
func TestOf(t *testing.T) {
	const app = "one.test/app:1"
	old := of(image("01dc0de0"), "amd64", d("9"), d("8"))
	old.Displaced = []store.Displacement{{Name: app}}
	v := New(&store.Snapshot{Images: []store.Image{
		of(image("a1000000", app), "amd64", d("0"), d("1")),
		of(image("a2000000", "one.test/app@"+d("2").String()), "arm64", d("0"), d("2")),
		of(image("a3000000", "one.test/app@"+d("3").String()), "s390x", d("0"), d("3")),
		old,
		of(image("f0000000", "one.test/app@"+d("f").String()), "s390x", d("f")), // of another index
	}}, configured)
	request := func(arch string) platform.Request {
		return platform.Request{Platform: platform.Platform{OS: "linux", Architecture: arch}, Explicit: true}
	}
	for _, tt := range []struct{ in, arch, id, name string }{
		{"app:1", "amd64", "a1000000", app}, // not the former one: this one holds it
		{"app:1", "arm64", "a2000000", app},
		{app, "s390x", "a3000000", app},
		{"app@" + d("0").String(), "s390x", "a3000000", ""},
		{"app@" + d("2").String(), "arm64", "a2000000", "one.test/app@" + d("2").String()},
		{"a2000000", "arm64", "a2000000", ""},
	} {
		if found, err := v.Of(tt.in, request(tt.arch), nil); err != nil || found.Image.ID != tt.id || found.Name != tt.name {
			t.Errorf("Of(%q, %s) = %+v, %v, want %s %q", tt.in, tt.arch, found, err, tt.id, tt.name)
		}
	}
	for _, tt := range []struct{ in, arch string }{
		{"app:1", "ppc64le"}, {"a2000000", "amd64"},
		{"app@" + d("2").String(), "s390x"}, // a digest name is a promise: no other image gets it
	} {
		var other *NotHereError
		if found, err := v.Of(tt.in, request(tt.arch), nil); !errors.As(err, &other) || len(other.Here) == 0 {
			t.Errorf("Of(%q, %s) = %+v, %v", tt.in, tt.arch, found, err)
		}
	}
	if _, err := v.Of("nosuch", request("amd64"), nil); !IsUnknown(err) {
		t.Error(err)
	}
}

// TestOfNoVariant takes an image that names no variant behind those that name
// the one asked for.
func TestOfNoVariant(t *testing.T) {
	const app = "one.test/app:1"
	v7 := of(image("a2000000", "one.test/app@"+d("2").String()), "arm", d("0"), d("2"))
	v7.Config.Variant = "v7"
	v := New(&store.Snapshot{Images: []store.Image{of(image("a1000000", app), "arm", d("0"), d("1")), v7}}, configured)
	alone := New(&store.Snapshot{Images: []store.Image{v7}}, configured)
	for _, tt := range []struct {
		platform, id string
		unsaid       bool
	}{{"linux/arm/v6", "a1000000", true}, {"linux/arm/v7", "a1000000", false}} {
		request, err := platform.ParseRequest(tt.platform, platform.Platform{OS: "linux", Architecture: "amd64"})
		if err != nil {
			t.Fatal(err)
		}
		if found, err := v.Of(app, request, nil); err != nil || found.Image.ID != tt.id || found.Unsaid != tt.unsaid {
			t.Errorf("%s: %+v, %v", tt.platform, found, err)
		}
		if found, err := alone.Of("app@"+d("2").String(), request, nil); (err != nil) != tt.unsaid {
			t.Errorf("%s among named ones: %+v, %v", tt.platform, found, err)
		}
	}
}

func TestFamilyAcrossStores(t *testing.T) {
	behind := image("ro000000", "one.test/app:1")
	behind.ReadOnly = true
	v := New(&store.Snapshot{Images: []store.Image{behind, image("rw000000", "one.test/app:1")}}, nil)
	var ids []string
	for _, img := range v.Family("one.test/app:1") {
		ids = append(ids, img.ID)
	}
	if !slices.Equal(ids, []string{"rw000000", "ro000000"}) || v.Holder("one.test/app:1").ReadOnly {
		t.Errorf("the writable image comes first: %v", ids)
	}
}

func TestNewName(t *testing.T) {
	for in, want := range map[string]string{
		"app": "localhost/app:latest", "app:1": "localhost/app:1", "team/app": "localhost/team/app:latest",
		"docker.io/alpine": "docker.io/library/alpine:latest", "host:5000/a": "host:5000/a:latest", "localhost/x:y": "localhost/x:y",
	} {
		if got, err := NewName(in); err != nil || got != want {
			t.Errorf("NewName(%q) = %q, %v, want %q", in, got, err, want)
		}
	}
	for _, in := range []string{"", "UP", "a@" + digest.FromString("x").String(), "a b", "-x"} {
		if got, err := NewName(in); err == nil {
			t.Errorf("NewName(%q) = %q", in, got)
		}
	}
}

func FuzzFind(f *testing.F) {
	for _, seed := range []string{"abc", "app:1@sha256:1111", "sha256:abd", "docker://x/y:z", "@", "a:b:c", "containers-storage:app"} {
		f.Add(seed)
	}
	v := New(&store.Snapshot{Images: []store.Image{of(image("abc00000", "one.test/app:1"), "amd64", d("1")), of(image("abd00000"), "arm", d("2"))}}, configured)
	f.Fuzz(func(t *testing.T, input string) {
		found, err := v.Find(input)
		if (found.Image == nil) == (err == nil) {
			t.Fatalf("Find(%q) = %+v, %v", input, found, err)
		}
		if err == nil && strings.Contains(input, "@") && !slices.ContainsFunc(found.Image.Digests, func(d digest.Digest) bool {
			return strings.HasPrefix(d.String(), input[strings.Index(input, "@")+1:])
		}) {
			t.Errorf("%q finds %s, which has other digests", input, found.Image.ID)
		}
	})
}
