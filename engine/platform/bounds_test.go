package platform

import (
	"strings"
	"testing"
)

// TestFieldBounds takes the first and the last of each kind of letters, and fields
// as long as may be.
func TestFieldBounds(t *testing.T) {
	for field, want := range map[string]string{
		"azAZ09._-": "azaz09._-", "a": "a", "Z": "z", "0": "0", strings.Repeat("x", maxField): strings.Repeat("x", maxField),
	} {
		if p, err := Parse("linux/" + field); err != nil || p.Architecture != want {
			t.Errorf("%q becomes %q: %v", field, p.Architecture, err)
		}
	}
	for _, field := range []string{"`", "{", "@", "[", ":", ",", "^", strings.Repeat("x", maxField+1)} {
		if p, err := Parse("linux/" + field); err == nil {
			t.Errorf("%q is taken as %v", field, p)
		}
	}
	if got := lower("AZ@[`{az09"); got != "az@[`{az09" {
		t.Errorf("letters become %q", got)
	}
	if _, err := FilterByOS(strings.Repeat("a", maxPattern)); err != nil {
		t.Error(err)
	}
	for s, quoted := range map[string]bool{strings.Repeat("x", maxSpecifier-2): false, strings.Repeat("x", maxSpecifier-1): true} {
		if got := printable(Platform{OS: s, Architecture: "y"}); strings.Contains(got, `"`) != quoted {
			t.Errorf("%d bytes are printed as %s", len(s), got)
		}
	}
}

// TestVariantSpellings: the number of a level may stand alone or with the letters of
// uname, and only where it is one.
func TestVariantSpellings(t *testing.T) {
	for s, want := range map[string]string{
		"linux/arm/5": "v5", "linux/arm/v5tej": "v5", "linux/arm/v8l": "v8", "linux/arm/v7a": "v7", "linux/arm/v4t": "v4t", "linux/arm/v9x": "v9x", "linux/arm/v7": "v7",
		"linux/arm/x7a": "x7a", "linux/arm/v7.1": "v7.1", "linux/arm64/9": "v9", "linux/arm64/0": "v0", "linux/amd64/3": "v3", "linux/arm64/armv8": "v8", "linux/arm/armv6": "v6",
		"linux/amd64/armv7": "armv7", "linux/ppc64le/armv7": "armv7", "linux/s390x/9": "9",
	} {
		if p, err := Parse(s); err != nil || p.Variant != want {
			t.Errorf("%s has the variant %q, not %q: %v", s, p.Variant, want, err)
		}
	}
	if _, err := ParseRequest("linux-x86-64", Platform{OS: "linux", Architecture: "amd64"}); err == nil || !strings.Contains(err.Error(), "write linux/amd64") {
		t.Errorf("linux-x86-64: %v", err)
	}
}

// TestLevels are numbers, as far as a variant begins with one.
func TestLevels(t *testing.T) {
	for variant, want := range map[string]int{"": 0, "v1": 1, "v8": 8, "v10": 10, "v8.5": 8, "v": 0, "vx": 0, "7": 0} {
		if got := (Platform{Variant: variant}).Level(); got != want {
			t.Errorf("%q is %d, not %d", variant, got, want)
		}
	}
}

func TestPatternOfAVersion(t *testing.T) {
	p, err := ParsePattern("windows(10.0.17763)/amd64")
	if err != nil {
		t.Fatal(err)
	}
	for version, want := range map[string]bool{"10.0.17763": true, "10.0.17763.4010": true, "10.0.177634": false, "10.0.20348": false, "": false} {
		if got := p.Match(Platform{OS: "windows", Architecture: "amd64", OSVersion: version}); got != want {
			t.Errorf("version %q: %t", version, got)
		}
	}
}

// TestOrderOfWhatFits: what is spelled in another way comes after all that is not, in
// the order of its variants, and what names no platform after that; of these what
// contradicts comes last.
func TestOrderOfWhatFits(t *testing.T) {
	silent := func(half Platform) Candidate { return Candidate{Silent: true, Half: half} }
	named := func(os, arch, variant string) Candidate {
		return Candidate{Platform: &Platform{OS: os, Architecture: arch, Variant: variant}}
	}
	amd64, v7 := Native(Platform{OS: "linux", Architecture: "amd64"}), Platform{OS: "linux", Architecture: "arm", Variant: "v7"}.Request()
	for _, tt := range []struct {
		name       string
		request    Request
		candidates []Candidate
		want       int
	}{
		{"spelled otherwise, before one that says nothing", amd64, []Candidate{silent(Platform{}), named("linux", "x86_64", "")}, 1},
		{"of two spelled otherwise the stronger", v7, []Candidate{named("linux", "ARM", "v6"), named("linux", "ARM", "v7")}, 1},
		{"spelled as asked, though weaker", v7, []Candidate{named("linux", "ARM", "v7"), named("linux", "arm", "v6")}, 1},
		{"who contradicts the architecture last", amd64, []Candidate{silent(Platform{Architecture: "arm64"}), silent(Platform{})}, 1},
		{"who contradicts the system last", amd64, []Candidate{silent(Platform{OS: "windows"}), silent(Platform{OS: "linux"})}, 1},
		{"who says the same first come", amd64, []Candidate{silent(Platform{OS: "linux"}), silent(Platform{Architecture: "amd64"})}, 0},
		{"who agrees in another spelling first come", amd64, []Candidate{silent(Platform{Architecture: "x86_64"}), silent(Platform{})}, 0},
	} {
		if d, err := Choose([]Request{tt.request}, tt.candidates); err != nil || d.Chosen != tt.want {
			t.Errorf("%s: %d, not %d: %v", tt.name, d.Chosen, tt.want, err)
		}
	}
}

// TestWeakerOfArm64 follows the Arm architecture's promise: each level runs what the
// lower ones do, and v9.n what v8.(n+5) does.
func TestWeakerOfArm64(t *testing.T) {
	for variant, want := range map[string]string{
		"v8": "", "v8.1": "v8", "v8.2": "v8.1 v8", "v9": "v8.5 v8.4 v8.3 v8.2 v8.1 v8", "v9.1": "v9 v8.6 v8.5 v8.4 v8.3 v8.2 v8.1 v8",
		"v9.9": "v9.8 v9.7 v9.6 v9.5 v9.4 v9.3 v9.2 v9.1 v9 v8.9 v8.8 v8.7 v8.6 v8.5 v8.4 v8.3 v8.2 v8.1 v8", "v7": "", "v10": "", "v8.10": "",
	} {
		if got := strings.Join(weaker("arm64", variant), " "); got != want {
			t.Errorf("below %s: %s, not %s", variant, got, want)
		}
	}
}
