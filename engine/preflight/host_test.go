package preflight

import (
	"slices"
	"strings"
	"testing"

	"github.com/mpull/mpull/engine/host"
	"github.com/mpull/mpull/engine/platform"
)

// A kernel is a host that takes some files by their names, whatever its facts
// say, and notes what it is asked.
type kernel struct {
	facts host.Facts
	takes map[string]host.Handler
	asked []string
	heads []int // the lengths of what it was shown
}

func (k *kernel) Facts() host.Facts { return k.facts }

func (k *kernel) Match(head []byte, path string) (host.Handler, bool) {
	k.asked, k.heads = append(k.asked, path), append(k.heads, len(head))
	h, ok := k.takes[path]
	return h, ok
}

func (k *kernel) Handler(p platform.Platform) (host.Handler, bool) { return k.Match(nil, p.String()) }

// TestHostIsAsked: what a host answers decides, not what its facts list, and it
// is asked about the file that execve is at, and about nothing else.
func TestHostIsAsked(t *testing.T) {
	held := host.Handler{Name: "q", Interpreter: "/usr/bin/qemu", Flags: "F"}
	build := func(tr tree) {
		tr.ELF("native", elfSpec{})
		tr.ELF("foreign", elfSpec{Arch: "s390x"})
		tr.File("script", []byte("#!/native\n"), 0o755)
		tr.ELF("bin/qemu", elfSpec{})
		tr.ELF("dynamic", elfSpec{Interp: "/lib/ld.so"})
		tr.ELF("lib/ld.so", elfSpec{Type: 3})
	}
	for _, tt := range []struct {
		name  string
		takes map[string]host.Handler
		argv  string
		want  Verdict
		says  string
		asked string
	}{
		{"native", nil, "/native", Native, "", "/native"},
		{"a loader", nil, "/dynamic", Native, "", "/dynamic"},
		{"a script", nil, "/script", Native, "", "/script /native"},
		{"foreign", nil, "/foreign", ExecFormatError, "linux/s390x", "/foreign"},
		{"taken", map[string]host.Handler{"/foreign": held}, "/foreign", Emulated, "/usr/bin/qemu", "/foreign /usr/bin/qemu"},
		{"taken, and the emulator is the image's", map[string]host.Handler{"/foreign": {Name: "q", Interpreter: "/bin/qemu"}}, "/foreign", Emulated, "/bin/qemu", "/foreign /bin/qemu"},
		{"taken, and it is nowhere", map[string]host.Handler{"/foreign": {Name: "q", Interpreter: "/nowhere"}}, "/foreign", NotFound, "handler \"q\"", "/foreign"},
		{"native, and taken", map[string]host.Handler{"/native": held}, "/native", Emulated, "/usr/bin/qemu", "/native /usr/bin/qemu"},
		{"a script, and its interpreter taken", map[string]host.Handler{"/native": held}, "/script", Emulated, "/usr/bin/qemu", "/script /native /usr/bin/qemu"},
		{"not known", map[string]host.Handler{"/foreign": {Unsure: "nobody knows"}}, "/foreign", Unknown, "nobody knows", "/foreign"},
		{"nothing there", nil, "/absent", NotFound, "", ""},
	} {
		k := &kernel{facts: host.Facts{Platform: lin("amd64", "v1")}, takes: tt.takes}
		r := checkIn(t, build, run(tt.argv), k)
		if r.Verdict != tt.want || !strings.Contains(r.Reason, tt.says) {
			t.Errorf("%s: %s: %s; want %s and %q", tt.name, r.Verdict, r.Reason, tt.want, tt.says)
		}
		if got := strings.Join(k.asked, " "); got != tt.asked {
			t.Errorf("%s: it was asked about %q, not %q", tt.name, got, tt.asked)
		}
		if slices.ContainsFunc(k.heads, func(n int) bool { return n != headSize }) {
			t.Errorf("%s: it was shown %v bytes, not what a kernel looks at", tt.name, k.heads)
		}
	}
}

// TestHostIsAskedFromAfar: a guess about an image that is not here asks about
// the platform that it claims, once.
func TestHostIsAskedFromAfar(t *testing.T) {
	p := lin("s390x", "")
	k := &kernel{facts: host.Facts{Platform: lin("amd64", "v3")}}
	if r := RemoteGuess(p, k); r.Verdict != ExecFormatError {
		t.Errorf("no handler: %s", r.Verdict)
	}
	k.takes = map[string]host.Handler{"linux/s390x": {Interpreter: "/usr/bin/qemu", Flags: "F"}}
	if r := RemoteGuess(p, k); r.Verdict != Emulated || r.Emulator != "/usr/bin/qemu" {
		t.Errorf("a handler: %s by %q", r.Verdict, r.Emulator)
	}
	if !slices.Equal(k.asked, []string{"linux/s390x", "linux/s390x"}) {
		t.Errorf("it was asked about %q", k.asked)
	}
}
