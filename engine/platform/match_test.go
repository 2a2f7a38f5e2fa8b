package platform

import (
	"errors"
	"strings"
	"testing"
)

// index reads entries separated by spaces: a platform, "-" for none, "attest" for
// a hidden entry, "silent" for one whose config names none either; a leading "z:"
// marks zstd, "a:" an artifact. Values are not normalised.
func index(t testing.TB, s string) []Candidate {
	t.Helper()
	var list []Candidate
	for _, e := range strings.Fields(s) {
		var c Candidate
		if rest, ok := strings.CutPrefix(e, "z:"); ok {
			c.Zstd, e = true, rest
		}
		if rest, ok := strings.CutPrefix(e, "a:"); ok {
			c.Artifact, e = true, rest
		}
		switch e {
		case "-":
		case "silent":
			c.Silent = true
		case "attest":
			c.Hidden, c.Platform = true, &Platform{"linux", "amd64", "", ""}
		default:
			f := append(strings.SplitN(e, "/", 3), "", "")
			os, version, _ := strings.Cut(strings.TrimSuffix(f[0], ")"), "(")
			c.Platform = &Platform{os, f[1], f[2], version}
		}
		list = append(list, c)
	}
	return list
}

func TestChoose(t *testing.T) {
	amd64 := Platform{"linux", "amd64", "v3", ""}
	for _, tt := range []struct {
		name  string
		host  Platform
		ask   string // a list for ParseList; "" is the host's default
		index string
		want  int
		rule  Rule
	}{
		{"host", amd64, "", "linux/arm64 linux/amd64", 1, RuleExact},
		{"host level not taken", amd64, "", "linux/amd64/v3 linux/amd64", 1, RuleExact},
		{"host level alone refused", amd64, "", "linux/amd64/v3 linux/amd64/v2", -1, ""},
		{"host v1 is amd64", amd64, "", "linux/amd64/v1", 0, RuleBaseline},
		{"v3 exact", amd64, "linux/amd64/v3", "linux/amd64 linux/amd64/v2 linux/amd64/v3", 2, RuleExact},
		{"v3 weaker", amd64, "linux/amd64/v3", "linux/amd64 linux/amd64/v4 linux/amd64/v2", 2, ruleWeaker},
		{"v3 none", amd64, "linux/amd64/v3", "linux/amd64/v4 linux/amd64", 1, ruleNoVariant},
		{"v1 prefers none", amd64, "linux/amd64/v1", "linux/amd64/v1 linux/amd64", 1, RuleExact},
		{"v2 never v3", amd64, "linux/amd64/v2", "linux/amd64/v3 linux/amd64/v4", -1, ""},
		{"386 not by default", amd64, "", "linux/386", -1, ""},
		{"386 asked", amd64, "linux/386", "linux/amd64 linux/386", 1, RuleExact},
		{"386 as a fallback", amd64, "native,linux/386", "linux/386 linux/arm64", 0, RuleExact},
		{"native first", amd64, "native,linux/arm/v7", "linux/arm/v7 linux/amd64", 1, RuleExact},
		{"fallback second", amd64, "native,linux/arm/v7", "linux/arm/v6 linux/s390x", 0, ruleWeaker},

		{"arm is v7", amd64, "linux/arm", "linux/arm linux/arm/v8 linux/arm/v7", 2, ruleArmIsV7},
		{"arm is not v8", amd64, "linux/arm", "linux/arm/v8", -1, ""},
		{"arm takes v6", amd64, "linux/arm", "linux/arm linux/arm/v6", 1, ruleWeaker},
		{"arm takes none", amd64, "linux/arm", "linux/arm/v8 linux/arm", 1, ruleNoVariant},
		{"arm v8 down", amd64, "linux/arm/v8", "linux/arm linux/arm/v5 linux/arm/v6 linux/arm/v7", 3, ruleWeaker},
		{"arm v6 not v7", amd64, "linux/arm/v6", "linux/arm/v7 linux/arm/v5", 1, ruleWeaker},
		{"arm v5 none", amd64, "linux/arm/v5", "linux/arm/v6 linux/arm", 1, ruleNoVariant},
		{"arm v9 unknown", amd64, "linux/arm/vfp", "linux/arm/v6 linux/arm/v7", -1, ""},
		{"arm v9 takes none", amd64, "linux/arm/vfp", "linux/arm/v7 linux/arm", 1, ruleNoVariant},
		{"armel", amd64, "linux/armel", "linux/arm/v7 linux/arm/v6", 1, RuleExact},

		{"pi zero", Platform{"linux", "arm", "v6", ""}, "", "linux/arm/v7 linux/arm/v6", 1, RuleExact},
		{"pi zero v5", Platform{"linux", "arm", "v6", ""}, "", "linux/arm/v7 linux/arm/v5", 1, ruleWeaker},
		{"pi zero refuses v7", Platform{"linux", "arm", "v6", ""}, "", "linux/arm/v7", -1, ""},
		{"pi zero os only", Platform{"linux", "arm", "v6", ""}, "linux", "linux/arm/v7 linux/arm/v6", 1, RuleExact},
		{"arm host asks arm", Platform{"linux", "arm", "v6", ""}, "linux/arm", "linux/arm/v6 linux/arm/v7", 1, ruleArmIsV7},
		{"arm host unknown", Platform{"linux", "arm", "", ""}, "", "linux/arm/v6 linux/arm/v7 linux/arm", 2, RuleExact},
		{"arm host strongest", Platform{"linux", "arm", "", ""}, "", "linux/arm/v6 linux/arm/v7", 1, ruleAnyVariant},

		{"arm64 prefers none", amd64, "linux/arm64", "linux/arm64/v8 linux/arm64", 1, RuleExact},
		{"arm64 is v8", amd64, "linux/arm64", "linux/arm64/v8", 0, RuleBaseline},
		{"arm64/v8 prefers v8", amd64, "linux/arm64/v8", "linux/arm64 linux/arm64/v8", 1, RuleExact},
		{"arm64/v8 is none", amd64, "linux/arm64/v8", "linux/arm64", 0, RuleBaseline},
		{"arm64 host", Platform{"linux", "arm64", "v9", ""}, "", "linux/arm64/v9 linux/arm64 linux/arm64/v8", 2, RuleExact},
		{"arm64 not v8.2", amd64, "linux/arm64", "linux/arm64/v8.2 linux/arm64/v9", -1, ""},
		{"v9 exact", amd64, "linux/arm64/v9", "linux/arm64/v8 linux/arm64/v9", 1, RuleExact},
		{"v9 has v8.5", amd64, "linux/arm64/v9", "linux/arm64/v8.2 linux/arm64/v8.5 linux/arm64/v8", 1, ruleWeaker},
		{"v9 lacks v8.6", amd64, "linux/arm64/v9", "linux/arm64/v8.6", -1, ""},
		{"v9.1 has v8.6", amd64, "linux/arm64/v9.1", "linux/arm64/v9.2 linux/arm64/v8.6", 1, ruleWeaker},
		{"v9 v8 before none", amd64, "linux/arm64/v9", "linux/arm64 linux/arm64/v8", 1, ruleWeaker},
		{"v8.2 lacks v8.3", amd64, "linux/arm64/v8.2", "linux/arm64/v8.3 linux/arm64/v8.1", 1, ruleWeaker},
		{"v8.9 lacks v9", amd64, "linux/arm64/v8.9", "linux/arm64/v9", -1, ""},
		{"arm on arm64 not by default", Platform{"linux", "arm64", "v8", ""}, "", "linux/arm/v7", -1, ""},
		{"arm on arm64 asked", Platform{"linux", "arm64", "v8", ""}, "linux/arm/v7", "linux/arm64 linux/arm/v7", 1, RuleExact},
		{"arm on arm64 fallback", Platform{"linux", "arm64", "v8", ""}, "native,linux/arm", "linux/arm/v7", 0, ruleArmIsV7},

		{"duplicates", amd64, "", "linux/amd64 linux/amd64", 0, RuleExact},
		{"zstd", amd64, "", "linux/amd64 z:linux/amd64", 1, RuleExact},
		{"zstd second to variant", amd64, "linux/arm/v7", "z:linux/arm/v6 linux/arm/v7", 1, RuleExact},
		{"no platform last", amd64, "", "- linux/amd64", 1, RuleExact},
		{"no platform alone", amd64, "", "linux/arm64 -", 1, RuleNoPlatform},
		{"no platform first wins", amd64, "", "- -", 0, RuleNoPlatform},
		{"silent by default", amd64, "", "linux/arm64 silent", 1, RuleUnnamed},
		{"silent not asked for", amd64, "linux/amd64", "silent", -1, ""},
		{"silent not as native", amd64, "native", "silent", -1, ""},
		{"artifact first", amd64, "", "a:linux/amd64 linux/amd64", 1, RuleExact},
		{"artifact alone", amd64, "linux/amd64", "a:linux/amd64 linux/arm64", -1, ""},
		{"windows one version", amd64, "windows/amd64", "linux/amd64 windows(10.0.17763.1)/amd64", 1, RuleExact},
		{"windows several versions", amd64, "windows/amd64", "windows(10.0.17763.1)/amd64 windows(10.0.20348.1)/amd64", -1, ""},
		{"windows by version", amd64, "windows(10.0.20348)/amd64", "windows(10.0.17763.1)/amd64 windows(10.0.20348.1)/amd64", 1, RuleExact},
		{"windows other version", amd64, "windows(10.0.2)/amd64", "windows(10.0.20348.1)/amd64", -1, ""},
		{"half a platform", amd64, "linux/amd64", "linux /amd64", -1, ""},
		{"attestations", amd64, "", "unknown/unknown attest", -1, ""},
		{"unknown asked for", amd64, "unknown/unknown", "unknown/unknown", -1, ""},
		{"half unknown", amd64, "linux/unknown", "linux/unknown", -1, ""},
		{"spelling", amd64, "", "Linux/x86_64", 0, ruleSpelling},
		{"spelling after all", amd64, "linux/arm/v7", "linux/armhf linux/arm/7 linux/arm", 2, ruleNoVariant},
		{"spelling before no platform", amd64, "", "- linux/x86_64", 1, ruleSpelling},
		{"half unknown os", amd64, "unknown/amd64", "unknown/amd64", -1, ""},
		{"other os", amd64, "", "windows/amd64", -1, ""},
		{"unknown variant", amd64, "linux/mips64le/r6", "linux/mips64le/r2 linux/mips64le", 1, ruleNoVariant},
		{"unknown variant offered", amd64, "linux/mips64le", "linux/mips64le/r6", -1, ""},
		{"weaker POWER", amd64, "linux/ppc64le/power9", "linux/ppc64le/power10 linux/ppc64le/power8 linux/ppc64le", 1, ruleWeaker},
		{"baseline of POWER", amd64, "linux/ppc64le", "linux/ppc64le/power9 linux/ppc64le/power8", 1, RuleBaseline},
		{"baseline of RISC-V", amd64, "linux/riscv64", "linux/riscv64/rva23u64 linux/riscv64/rva20u64", 1, RuleBaseline},
		{"RISC-V profile", amd64, "linux/riscv64/rva23u64", "linux/riscv64 linux/riscv64/rva22u64", 1, ruleWeaker},
		{"empty index", amd64, "", "", -1, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			requests := []Request{Native(tt.host)}
			if tt.ask != "" {
				var err error
				if requests, err = ParseList(tt.ask, tt.host); err != nil {
					t.Fatal(err)
				}
			}
			candidates := index(t, tt.index)
			d, err := Choose(requests, candidates)
			if d.Chosen != tt.want || d.Rule != tt.rule {
				t.Errorf("got %d by %q, want %d by %q", d.Chosen, d.Rule, tt.want, tt.rule)
			}
			if (err != nil) != (tt.want < 0) {
				t.Errorf("got error %v with choice %d", err, d.Chosen)
			}
			checkVerdicts(t, d, len(candidates))
		})
	}
}

// checkVerdicts asserts that each attempt judges each candidate and that exactly
// the choice is taken, in the last attempt.
func checkVerdicts(t *testing.T, d Decision, n int) {
	t.Helper()
	for i, a := range d.Attempts {
		if len(a.Verdicts) != n {
			t.Fatalf("%d verdicts for %d candidates", len(a.Verdicts), n)
		}
		for j, v := range a.Verdicts {
			want := i == len(d.Attempts)-1 && j == d.Chosen
			if (v.Outcome == Taken) != want {
				t.Errorf("attempt %d, candidate %d: outcome %q, choice %d", i, j, v.Outcome, d.Chosen)
			}
			if v.Rule.Text() == string(v.Rule) || v.Rule == "" {
				t.Errorf("rule %q has no text", v.Rule)
			}
		}
	}
}

func TestVerdicts(t *testing.T) {
	for _, tt := range []struct {
		ask, index string
		want       []Verdict
	}{
		{"linux/arm/v6", "linux/arm/v7 linux/arm/v6 linux/arm/v5 linux/arm linux/arm/v6 linux/arm/vfp", []Verdict{
			{Refused, ruleStronger}, {Taken, RuleExact}, {PassedOver, ruleWeaker},
			{PassedOver, ruleNoVariant}, {PassedOver, RuleDuplicate}, {Refused, ruleOtherVariant}}},
		{"linux/amd64", "attest unknown/unknown windows/amd64 linux/386 linux/arm64 linux/amd64/v2 linux/amd64/v1 - z:linux/amd64 linux/amd64", []Verdict{
			{Refused, RuleHidden}, {Refused, ruleUnknown}, {Refused, ruleOtherOS}, {Refused, ruleOnlyAsked},
			{Refused, ruleOtherArch}, {Refused, ruleStronger}, {PassedOver, RuleBaseline}, {PassedOver, RuleNoPlatform},
			{Taken, RuleExact}, {PassedOver, ruleCompression}}},
		{"linux/arm64", "linux/arm/v8 linux/aarch64 linux/arm64/v9", []Verdict{
			{Refused, ruleOnlyAsked}, {Taken, ruleSpelling}, {Refused, ruleStronger}}},
		{"linux/arm/vfp", "linux/arm/v7 linux/arm/vfp", []Verdict{
			{Refused, ruleOtherVariant}, {Taken, RuleExact}}},
	} {
		r, err := ParseRequest(tt.ask, Platform{"linux", "amd64", "", ""})
		if err != nil {
			t.Fatal(err)
		}
		d, err := Choose([]Request{r}, index(t, tt.index))
		if err != nil {
			t.Fatal(err)
		}
		for i, v := range d.Attempts[0].Verdicts {
			if v != tt.want[i] {
				t.Errorf("%s of %s: candidate %d: got %v, want %v", tt.ask, tt.index, i, v, tt.want[i])
			}
		}
	}
}

func TestChooseNothingAsked(t *testing.T) {
	d, err := Choose(nil, index(t, "linux/amd64"))
	var notFound *NotFoundError
	if d.Chosen != -1 || !errors.As(err, &notFound) || !strings.Contains(err.Error(), "linux/amd64") {
		t.Errorf("got %v, %v", d, err)
	}
}

func BenchmarkChoose(b *testing.B) {
	candidates := index(b, strings.Repeat("linux/s390x linux/ppc64le linux/arm/v6 linux/arm/v7 unknown/unknown ", 5)+"linux/amd64")
	requests := []Request{Native(Platform{"linux", "amd64", "v3", ""})}
	b.ReportAllocs()
	for b.Loop() {
		if d, _ := Choose(requests, candidates); d.Chosen != 25 {
			b.Fatal(d.Chosen)
		}
	}
}
