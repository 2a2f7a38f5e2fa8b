package query

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/mpull/mpull/engine/platform"
	"github.com/mpull/mpull/store"
)

// moved is a store in which one.test/app:1 and one.test/old:1 were lost, the first
// to another image.
func moved() *View {
	loser := of(image("10500000"), "arm64", d("1"))
	loser.Displaced = []store.Displacement{{Name: "one.test/app:1"}, {Name: "one.test/old:1"}}
	return New(&store.Snapshot{Images: []store.Image{
		of(image("a1000000", "one.test/app:1"), "amd64", d("2")),
		loser,
		of(image("a2000000", "two.test/app:1", "one.test/app@"+d("3").String()), "s390x", d("3")),
		{ID: "dada0000", ConfigError: errors.New("damaged"), Names: []string{"one.test/hurt:1"}},
	}}, configured)
}

func ids(images []*store.Image) string {
	var all []string
	for _, img := range images {
		all = append(all, img.ID[:2])
	}
	return strings.Join(all, " ")
}

func TestRelatives(t *testing.T) {
	for in, want := range map[string]string{
		"app:1": "one.test/app:1: a1 10", "one.test/app:1": "one.test/app:1: a1 10", "two.test/app:1": "two.test/app:1: a2",
		"old:1": "one.test/old:1: 10", // nobody holds it, and one image did
		"a1000": ": a1", d("1").String(): ": 10",
	} {
		name, family, err := moved().Relatives(in)
		if got := name + ": " + ids(family); err != nil || got != want {
			t.Errorf("%s: got %s, want %s: %v", in, got, want, err)
		}
	}
	for _, in := range []string{
		"nosuch", "old:2", "old:1@" + d("9").String(), // a digest is a promise: no other image gets it
		"sha512:1111", "@", "sha256:9",
	} {
		if name, family, err := moved().Relatives(in); !IsUnknown(err) || name != "" || family != nil {
			t.Errorf("%s: %s %s, %v", in, name, ids(family), err)
		}
	}
	if _, _, err := moved().Relatives("UPPER"); err == nil || IsUnknown(err) {
		t.Errorf("what is no name: %v", err)
	}
}

// TestOfTells calls an image that is not here as the user did.
func TestOfTells(t *testing.T) {
	request := platform.Request{Platform: platform.Platform{OS: "linux", Architecture: "ppc64le"}, Explicit: true}
	for in, want := range map[string]string{
		"app:1": "one.test/app:1", "a1000": "a1000",
	} {
		_, err := moved().Of(in, request, nil)
		if want = "no local image of " + want + " is for linux/ppc64le; here are linux/amd64"; err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%s: %v, not %s", in, err, want)
		}
	}
	if _, err := moved().Of("hurt:1", request, nil); !IsUnknown(err) {
		t.Errorf("a damaged one is of no platform: %v", err)
	}
	here := &NotHereError{Name: "x", Request: request, Here: []platform.Platform{{}}}
	if !strings.HasSuffix(here.Error(), "one that names no platform") {
		t.Error(here)
	}
}

func TestNamed(t *testing.T) {
	names := []string{"far.test/deep/tool:2", "two.test/app:1", "one.test/app:1", "one.test/app@" + d("3").String()}
	for in, want := range map[string]string{
		"one.test/app:1": "one.test/app:1", "two.test/app:1": "two.test/app:1", "app:1": "one.test/app:1", "tool:2": "far.test/deep/tool:2", "deep/tool:2": "far.test/deep/tool:2",
		"app@" + d("3").String(): "one.test/app@" + d("3").String(), "app@" + d("4").String(): "", "app": "", "tool": "", "ol:2": "", "two.test/tool:2": "",
	} {
		if got, err := moved().Named(names, in); err != nil || got != want {
			t.Errorf("%s is %q, not %q: %v", in, got, want, err)
		}
	}
	for _, in := range []string{d("1").String(), "sha512:1111", "@", "UPPER", "UPPER@" + d("1").String()} {
		if got, err := moved().Named(names, in); err == nil {
			t.Errorf("%s is %q", in, got)
		}
	}
}

func TestLosers(t *testing.T) {
	for in, want := range map[string]string{
		"app:1": "10", "one.test/app:1": "10", "old:1": "10", "two.test/app:1": "", "app": "", "nosuch:1": "", d("1").String(): "", "app:1@" + d("1").String(): "", "@": "",
	} {
		if got, err := moved().Losers(in); err != nil || ids(got) != want {
			t.Errorf("%s: %s, not %s: %v", in, ids(got), want, err)
		}
	}
	if _, err := moved().Losers("UPPER"); err == nil {
		t.Error("what is no name is taken")
	}
}

// TestLosersOfTheHeldName leaves out who lost another name that a short one may
// stand for: the held one is meant.
func TestLosersOfTheHeldName(t *testing.T) {
	one, two := image("11000000"), image("12000000")
	one.NamesHistory, two.NamesHistory = []string{"one.test/app:1"}, []string{"two.test/app:1"}
	held := New(&store.Snapshot{Images: []store.Image{one, two, image("a1000000", "two.test/app:1")}}, configured)
	if got, err := held.Losers("app:1"); err != nil || ids(got) != "12" {
		t.Errorf("%s, %v", ids(got), err)
	}
	free := New(&store.Snapshot{Images: []store.Image{one, two}}, configured)
	if got, err := free.Losers("app:1"); err != nil || ids(got) != "11 12" {
		t.Errorf("where nobody holds any: %s, %v", ids(got), err)
	}
}

func TestSelect(t *testing.T) {
	for words, want := range map[string]string{
		"app": "a1 a2", "one.test/app:*": "a1", "a2000": "a2", "app nosuch": "a1 a2", "nosuch": "", "hurt a1000": "a1 da", "sha256:111": "10",
	} {
		chosen, err := moved().Select(strings.Fields(words))
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for id := range chosen {
			got = append(got, id[:2])
		}
		if slices.Sort(got); strings.Join(got, " ") != want {
			t.Errorf("%s selects %s, not %s", words, got, want)
		}
	}
	if chosen, err := moved().Select(nil); chosen != nil || err != nil {
		t.Errorf("without words: %v, %v", chosen, err)
	}
	if _, err := moved().Select([]string{"UPPER"}); err == nil {
		t.Error("what is no name is taken")
	}
}

// TestTelling writes images and errors as people read them.
func TestTelling(t *testing.T) {
	lost := image("abcdef0123456789")
	lost.NamesHistory = []string{"one.test/old:1"}
	for want, img := range map[string]store.Image{
		"abcdef012345 linux/amd64 (was one.test/old:1)": lost,
		"abcdef012345 linux/amd64 one.test/app:1":       image("abcdef0123456789", "one.test/app:1", "one.test/b:1"),
		"abcdef012345 manifest list":                    {ID: "abcdef0123456789", IsList: true},
		"abc":                                           {ID: "abc"},
	} {
		if got := Describe(&img); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
	for want, err := range map[string]error{
		"x: no such image in local storage": &UnknownError{Input: "x"},
		"image abc has no such name: x":     &UnknownError{Input: "x", Image: "abc"},
	} {
		if err.Error() != want {
			t.Errorf("got %q, want %q", err, want)
		}
	}
	img := image("a", "app:1")
	if !(Found{Image: &img, Name: "app:1"}).Held() || (Found{Image: &img, Name: "app:2"}).Held() || (Found{Image: &img}).Held() {
		t.Error("held is what is among the names")
	}
	if got := fmt.Sprint(WithDigest("one.test:5000/app:1", d("1"))); got != "one.test:5000/app@"+d("1").String() {
		t.Error(got)
	}
}
