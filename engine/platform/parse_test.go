package platform

import (
	"strings"
	"testing"
	"unicode/utf8"
)

func TestParse(t *testing.T) {
	for _, tt := range []struct{ in, want string }{
		{"linux/amd64", "linux/amd64"},
		{"linux/x86_64", "linux/amd64"},
		{"linux/x86-64", "linux/amd64"},
		{"LINUX/AMD64", "linux/amd64"},
		{"linux/amd64/v1", "linux/amd64/v1"},
		{"linux/amd64/3", "linux/amd64/v3"},
		{"linux/i386", "linux/386"},
		{"linux/i486", "linux/386"},
		{"linux/i686", "linux/386"},
		{"linux/aarch64", "linux/arm64"},
		{"linux/arm64/8", "linux/arm64/v8"},
		{"linux/arm64/v8.0", "linux/arm64/v8"},
		{"linux/arm64/8.2", "linux/arm64/v8.2"},
		{"linux/arm64/9", "linux/arm64/v9"},
		{"linux/arm64/9.0", "linux/arm64/v9"},
		{"linux/arm", "linux/arm"},
		{"linux/arm/7", "linux/arm/v7"},
		{"linux/arm/V6", "linux/arm/v6"},
		{"linux/arm/v9", "linux/arm/v9"},
		{"linux/x64", "linux/amd64"},
		{"linux/x86-64-v3", "linux/amd64/v3"},
		{"linux/x86_64_v2", "linux/amd64/v2"},
		{"linux/amd64v4", "linux/amd64/v4"},
		{"linux/amd64/x86-64-v3", "linux/amd64/v3"},
		{"linux/x86", "linux/386"},
		{"linux/arm64v8", "linux/arm64/v8"},
		{"linux/arm32v7", "linux/arm/v7"},
		{"linux/arm32v5", "linux/arm/v5"},
		{"linux/armv7hl", "linux/arm/v7"},
		{"linux/armv5tel", "linux/arm/v5"},
		{"linux/arm/v7l", "linux/arm/v7"},
		{"linux/arm/armv7", "linux/arm/v7"},
		{"linux/arm/vfp", "linux/arm/vfp"},
		{"wasip1/wasm32", "wasi/wasm"},
		{"windows(10.0.17763.1)/amd64", "windows(10.0.17763.1)/amd64"},
		{"linux/armhf", "linux/arm/v7"},
		{"linux/armhf/v7", "linux/arm/v7"},
		{"linux/armhf/7", "linux/arm/v7"},
		{"linux/armel", "linux/arm/v6"},
		{"linux/armv6l", "linux/arm/v6"},
		{"linux/armv7l", "linux/arm/v7"},
		{"linux/armv8l", "linux/arm/v8"},
		{"linux/ppc64el", "linux/ppc64le"},
		{"linux/ppc64le/power9", "linux/ppc64le/power9"},
		{"linux/mipsel", "linux/mipsle"},
		{"linux/mips64el", "linux/mips64le"},
		{"linux/loongarch64", "linux/loong64"},
		{"macos/aarch64", "darwin/arm64"},
		{"wasi/wasm", "wasi/wasm"},
		{"plan10/vax", "plan10/vax"},
	} {
		got, err := Parse(tt.in)
		if err != nil || got.String() != tt.want {
			t.Errorf("Parse(%q) = %v, %v, want %s", tt.in, got, err, tt.want)
		}
	}
}

func TestParseRefuses(t *testing.T) {
	for _, tt := range []struct{ in, want string }{
		{"", "is not os/arch"},
		{"linux", "is not os/arch"},
		{"linux/", "empty field"},
		{"/amd64", "empty field"},
		{"linux/arm/", "empty variant"},
		{"linux//v7", "empty field"},
		{"linux/arm/v7/x", "is not os/arch"},
		{"linux/ arm", "other than letters"},
		{"linux/arm\x1b[31m", "other than letters"},
		{"linux/\u212a", "other than letters"}, // the Kelvin sign lowers to k
		{"linux/arm\xff", "other than letters"},
		{"linux(6.1)/amd64", "only windows has a version"},
		{"windows(10.0.17763/amd64", "as in windows(10.0.17763)"},
		{"windows()/amd64", "as in windows(10.0.17763)"},
		{"windows(a/b)/amd64", "as in windows(10.0.17763)"},
		{"windows(1 2)/amd64", "other than letters"},
		{"linux/*", "other than letters"},
		{"linux/armhf/v6", "contradicts"},
		{"linux/armel/7", "contradicts"},
		{"linux/" + strings.Repeat("a", 33), "longer than 32"},
		{strings.Repeat("a", 1<<20), "longer than 98"},
	} {
		got, err := Parse(tt.in)
		if err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("Parse(%.40q) = %v, %v, want an error with %q", tt.in, got, err, tt.want)
			continue
		}
		if len(err.Error()) > 300 || strings.ContainsAny(err.Error(), "\x1b\n") || !utf8.ValidString(err.Error()) {
			t.Errorf("Parse(%.40q): unsafe message %q", tt.in, err)
		}
		if got != (Platform{}) {
			t.Errorf("Parse(%.40q) returned %v with an error", tt.in, got)
		}
	}
}

func TestNormalize(t *testing.T) {
	for _, tt := range []struct{ in, want Platform }{
		{Platform{"linux", "arm", "", ""}, Platform{"linux", "arm", "v7", ""}},
		{Platform{"linux", "arm", "7", ""}, Platform{"linux", "arm", "v7", ""}},
		{Platform{"linux", "arm", "v6", ""}, Platform{"linux", "arm", "v6", ""}},
		{Platform{"linux", "armel", "", ""}, Platform{"linux", "arm", "v6", ""}},
		{Platform{"linux", "arm64", "v8", ""}, Platform{"linux", "arm64", "", ""}},
		{Platform{"linux", "aarch64", "8", ""}, Platform{"linux", "arm64", "", ""}},
		{Platform{"linux", "arm64", "v9", ""}, Platform{"linux", "arm64", "v9", ""}},
		{Platform{"linux", "amd64", "v1", ""}, Platform{"linux", "amd64", "", ""}},
		{Platform{"linux", "amd64", "v3", ""}, Platform{"linux", "amd64", "v3", ""}},
		{Platform{"Linux", "i386", "", ""}, Platform{"linux", "386", "", ""}},
		{Platform{"macos", "arm64", "", ""}, Platform{"darwin", "arm64", "", ""}},
		{Platform{}, Platform{}},
		{Platform{"\xff", "A\x1b", "V\x00", ""}, Platform{"\xff", "a\x1b", "v\x00", ""}},
	} {
		got := tt.in.Normalize()
		if got != tt.want {
			t.Errorf("%v: got %v, want %v", tt.in, got, tt.want)
		}
		if again := got.Normalize(); again != got {
			t.Errorf("%v: not idempotent: %v, then %v", tt.in, got, again)
		}
	}
}

func TestSame(t *testing.T) {
	for _, tt := range []struct {
		a, b string
		want bool
	}{
		{"linux/arm", "linux/arm/v7", true}, // a config that lacks the variant
		{"linux/arm", "linux/arm/v6", false},
		{"linux/arm/v7", "linux/arm/v6", false},
		{"linux/arm64", "linux/arm64/v8", true},
		{"linux/arm64", "linux/arm64/v9", false},
		{"linux/arm64", "linux/arm/v8", false},
		{"linux/amd64", "linux/amd64/v1", true},
		{"linux/amd64", "linux/amd64/v2", false},
		{"linux/amd64", "windows/amd64", false},
		{"linux/x86_64", "linux/amd64", true},
		{"linux/386", "linux/i686", true},
		{"windows/amd64", "windows(10.0.17763.1)/amd64", true},
		{"windows(10.0.17763)/amd64", "windows(10.0.17763.1)/amd64", true},
		{"windows(10.0.177)/amd64", "windows(10.0.17763.1)/amd64", false},
		{"windows(10.0.17763.1)/amd64", "windows(10.0.20348.1)/amd64", false},
	} {
		a, b := mustParse(t, tt.a), mustParse(t, tt.b)
		if a.Same(b) != tt.want || b.Same(a) != tt.want {
			t.Errorf("%s same as %s: got %v and %v, want %v", tt.a, tt.b, a.Same(b), b.Same(a), tt.want)
		}
	}
}

func TestLevel(t *testing.T) {
	for variant, want := range map[string]int{
		"": 0, "v1": 1, "v7": 7, "v10": 10, "v8.5": 8, "v9.0": 9, "v7l": 7, "v": 0, "power9": 0, "rva22u64": 0, "v-1": 0, "7": 0,
	} {
		if got := (Platform{OS: "linux", Architecture: "arm", Variant: variant}).Level(); got != want {
			t.Errorf("level of %q: %d, want %d", variant, got, want)
		}
	}
	if (Platform{Variant: "v99999999999999999999"}).Level() < 1000 {
		t.Error("a level that no machine has is one that machines have")
	}
}

func TestCompletedBy(t *testing.T) {
	for _, tt := range []struct{ config, index, want Platform }{
		{Platform{}, Platform{"linux", "arm", "v6", ""}, Platform{"linux", "arm", "v6", ""}},
		{Platform{"linux", "arm", "", ""}, Platform{"Linux", "arm", "6", ""}, Platform{"linux", "arm", "v6", ""}},
		{Platform{"", "arm64", "", ""}, Platform{"linux", "arm64", "", ""}, Platform{"linux", "arm64", "", ""}},
		{Platform{"linux", "arm", "v7", ""}, Platform{"linux", "arm", "v6", ""}, Platform{"linux", "arm", "v7", ""}},
		{Platform{"linux", "arm64", "", ""}, Platform{"linux", "arm", "v6", ""}, Platform{"linux", "arm64", "", ""}},
		{Platform{"", "amd64", "", ""}, Platform{"linux", "", "", ""}, Platform{"", "amd64", "", ""}},
		{Platform{"windows", "amd64", "", ""}, Platform{"windows", "amd64", "", "10.0.1"}, Platform{"windows", "amd64", "", "10.0.1"}},
		{Platform{}, Platform{"unknown", "unknown", "", ""}, Platform{}},
	} {
		if got := tt.config.CompletedBy(tt.index); got != tt.want {
			t.Errorf("config %v, index %v: got %v, want %v", tt.config, tt.index, got, tt.want)
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, s := range []string{"linux/arm/v7", "native", "arm64", "linux", "linux/armhf/v6", "LINUX/X86_64/V1", "linux/arm64/8.0", "a/b/c/d", "\xff/\x1b", "native,linux/arm/v7"} {
		f.Add(s)
	}
	host := Platform{"linux", "arm64", "v8.2", ""}
	f.Fuzz(func(t *testing.T, s string) {
		if p, err := Parse(s); err == nil {
			again, err := Parse(p.String())
			if err != nil || again != p {
				t.Errorf("Parse(%q) = %v, which parses to %v, %v", s, p, again, err)
			}
			if n := p.Normalize(); n != n.Normalize() || !n.Same(p) {
				t.Errorf("%v normalises to %v", p, n)
			}
		}
		requests, err := ParseList(s, host)
		if err != nil {
			return
		}
		for _, r := range requests {
			target := r.Target()
			for _, field := range []string{target.OS, target.Architecture} {
				if field == "" || len(field) > maxField {
					t.Errorf("ParseList(%q): incomplete or long %v", s, target)
				}
			}
			// What was asked for is always accepted when it is there.
			if target.isUnknown() {
				continue
			}
			d, err := Choose([]Request{r}, []Candidate{{Platform: &target}})
			if err != nil || d.Chosen != 0 {
				t.Errorf("ParseList(%q): %v does not take itself: %v", s, target, err)
			}
		}
	})
}

func mustParse(t testing.TB, s string) Platform {
	t.Helper()
	p, err := Parse(s)
	if err != nil {
		t.Fatal(err)
	}
	return p
}
