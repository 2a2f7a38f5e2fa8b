package platform

import (
	"strings"
	"testing"
)

func TestNative(t *testing.T) {
	for _, tt := range []struct{ host, want Platform }{
		{Platform{"linux", "amd64", "v3", ""}, Platform{"linux", "amd64", "", ""}},
		{Platform{"linux", "amd64", "", ""}, Platform{"linux", "amd64", "", ""}},
		{Platform{"linux", "arm64", "v8.2", ""}, Platform{"linux", "arm64", "v8", ""}},
		{Platform{"linux", "arm64", "v9", ""}, Platform{"linux", "arm64", "v8", ""}},
		{Platform{"linux", "arm64", "", ""}, Platform{"linux", "arm64", "", ""}},
		{Platform{"linux", "arm", "v6", ""}, Platform{"linux", "arm", "v6", ""}},
		{Platform{"linux", "arm", "", ""}, Platform{"linux", "arm", "", ""}},
		{Platform{"linux", "riscv64", "", ""}, Platform{"linux", "riscv64", "", ""}},
	} {
		r := Native(tt.host)
		if r.Platform != tt.want || r.Target() != tt.want || r.Explicit || !r.Native {
			t.Errorf("host %v: got %+v, want %v", tt.host, r, tt.want)
		}
	}
}

func TestParseRequest(t *testing.T) {
	host := Platform{"linux", "arm", "v6", ""}
	for _, tt := range []struct {
		in     string
		target string
		native bool
	}{
		{"linux/arm", "linux/arm/v7", false},
		{"linux/arm/v6", "linux/arm/v6", false},
		{"linux", "linux/arm/v6", true},
		{"macos", "darwin/arm/v6", true},
		{"native", "linux/arm/v6", true},
		{"Native", "linux/arm/v6", true},
		{"arm64", "linux/arm64", false},
		{"x86_64", "linux/amd64", false},
		{"armhf", "linux/arm/v7", false},
		{"arm", "linux/arm/v7", false},
	} {
		r, err := ParseRequest(tt.in, host)
		if err != nil || r.Target().String() != tt.target || r.Native != tt.native || !r.Explicit {
			t.Errorf("%q: got %+v, %v, want %s native %v", tt.in, r, err, tt.target, tt.native)
		}
	}
	for _, in := range []string{"arm64", "amd64"} { // the operating system is the host's
		r, err := ParseRequest(in, Platform{"freebsd", "arm64", "", ""})
		if err != nil || r.Target().OS != "freebsd" {
			t.Errorf("%q on freebsd: got %+v, %v", in, r, err)
		}
	}
	for _, tt := range []struct{ in, target string }{
		{"wasi", "wasi/wasm"}, {"wasm", "wasi/wasm"}, {"x86-64-v3", "linux/amd64/v3"}, {"arm64v8", "linux/arm64/v8"}, {"x64", "linux/amd64"},
	} {
		if r, err := ParseRequest(tt.in, host); err != nil || r.Target().String() != tt.target {
			t.Errorf("%q: got %+v, %v, want %s", tt.in, r, err, tt.target)
		}
	}
	for _, tt := range []struct{ in, says string }{
		{"linux/amd64/v33", "v4"}, {"linux/amd64/v0", "v4"}, {"linux/arm/v9", "v8"}, {"linux/arm64/v7", "v8.1"}, {"linux/amd64/v2.1", "v4"},
		{"arm/v7", "write linux/arm/v7"}, {"amd64/linux", "write linux/amd64"}, {"arm64/v8", "write linux/arm64/v8"}, {"armhf/linux", "write linux/arm/v7"},
		{"linux-amd64", "write linux/amd64"}, {"linux_x86_64", "write linux/amd64"}, {"linux:arm:v7", "write linux/arm/v7"}, {"windows-amd64", "write windows/amd64"},
	} {
		if r, err := ParseRequest(tt.in, host); err == nil || !strings.Contains(err.Error(), tt.says) {
			t.Errorf("%q: got %+v, %v, want an error with %q", tt.in, r, err, tt.says)
		}
	}
	for _, in := range []string{"", "vax", "linux arm", "linux/", strings.Repeat("a", 1000)} {
		if r, err := ParseRequest(in, host); err == nil {
			t.Errorf("%.20q: got %+v, want an error", in, r)
		}
	}
}

func TestParseList(t *testing.T) {
	host := Platform{"linux", "amd64", "v3", ""}
	got, err := ParseList("native, linux/arm/v7,386", host)
	if err != nil || len(got) != 3 {
		t.Fatalf("got %v, %v", got, err)
	}
	for i, want := range []string{"linux/amd64", "linux/arm/v7", "linux/386"} {
		if got[i].String() != want || !got[i].Explicit {
			t.Errorf("element %d: got %+v, want %s", i, got[i], want)
		}
	}
	for _, in := range []string{"", "native,", ",native", "native,,linux/arm", strings.Repeat("native,", 16) + "native", "native,linux/arm/v7/x"} {
		if got, err := ParseList(in, host); err == nil {
			t.Errorf("%q: got %v, want an error", in, got)
		}
	}
	if got, err := ParseList(strings.Repeat("native,", 15)+"native", host); err != nil || len(got) != 16 {
		t.Errorf("16 elements: got %d, %v", len(got), err)
	}
}

func TestFromFlags(t *testing.T) {
	for _, tt := range []struct {
		os, arch, variant string
		host              Platform
		target            string
		native, explicit  bool
	}{
		{"", "", "", Platform{"linux", "amd64", "v3", ""}, "linux/amd64", true, false},
		{"", "", "", Platform{"linux", "arm", "v6", ""}, "linux/arm/v6", true, false},
		{"linux", "arm", "v7", Platform{"linux", "amd64", "", ""}, "linux/arm/v7", false, true},
		{"", "arm", "", Platform{"linux", "arm", "v6", ""}, "linux/arm/v7", false, true},
		{"", "arm64", "", Platform{"linux", "arm64", "v8", ""}, "linux/arm64", false, true},
		{"linux", "", "", Platform{"linux", "arm64", "v9", ""}, "linux/arm64/v8", true, true},
		{"linux", "", "", Platform{"linux", "arm", "", ""}, "linux/arm", true, true},
		{"windows", "", "", Platform{"linux", "amd64", "v3", ""}, "windows/amd64", true, true},
		{"", "", "v3", Platform{"linux", "amd64", "v4", ""}, "linux/amd64/v3", false, true},
		{"", "", "6", Platform{"linux", "arm", "v7", ""}, "linux/arm/v6", false, true},
		{"", "aarch64", "9", Platform{"linux", "amd64", "", ""}, "linux/arm64/v9", false, true},
		{"macos", "x86_64", "", Platform{"linux", "arm64", "", ""}, "darwin/amd64", false, true},
	} {
		r, err := FromFlags(tt.os, tt.arch, tt.variant, tt.host)
		if err != nil || r.Target().String() != tt.target || r.Native != tt.native || r.Explicit != tt.explicit {
			t.Errorf("%q %q %q on %v: got %+v, %v, want %s", tt.os, tt.arch, tt.variant, tt.host, r, err, tt.target)
		}
	}
	for _, tt := range [][3]string{{"linux", "arm/v7", ""}, {"li nux", "", ""}, {"", "", "v\n7"}, {"", "armhf", "v6"}} {
		if r, err := FromFlags(tt[0], tt[1], tt[2], Platform{"linux", "amd64", "", ""}); err == nil {
			t.Errorf("%q: got %+v, want an error", tt, r)
		}
	}
}
