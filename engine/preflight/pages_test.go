package preflight

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"github.com/mpull/mpull/engine/host"
	"github.com/mpull/mpull/integration/kernelcases"
	"github.com/mpull/mpull/integration/testenv"
)

// twoSegments is a program of one segment of code, and a second one at an
// address, of a length in memory, with flags.
func twoSegments(addr, size uint64, flags uint32) []byte {
	return elfSpec{Phnum: 3, Edit: func(h []byte) {
		o := binary.LittleEndian
		for i := range 3 {
			ph := h[64+56*i:]
			switch {
			case o.Uint32(ph) == kernelcases.PTLoad:
				o.PutUint32(ph[4:], 5) // read and execute
			case i == 1:
				o.PutUint32(ph, kernelcases.PTLoad)
				o.PutUint32(ph[4:], flags)
				o.PutUint64(ph[8:], addr&0xfff)
				o.PutUint64(ph[16:], addr)
				o.PutUint64(ph[32:], min(size, 16))
				o.PutUint64(ph[40:], size)
				o.PutUint64(ph[48:], 4096)
			default:
				o.PutUint32(ph, ptGNUStack)
				o.PutUint32(ph[4:], 6)
			}
		}
	}, Pad: 4096}.Bytes()
}

// TestSharedPage compares with what becomes of the program: the kernel starts
// it, and it dies at its first instruction.
func TestSharedPage(t *testing.T) {
	testenv.Root(t)
	machine := host.Local()
	if machine.Facts().Platform.Architecture != "amd64" {
		t.Skip("the programs of this test are for amd64")
	}
	for _, tt := range []struct {
		name string
		file []byte
	}{
		{"data on the page of code", twoSegments(0x400800, 16, 6)},
		{"read-only data on the page of code", twoSegments(0x400800, 16, 4)},
		{"code on the page of code", twoSegments(0x400800, 16, 7)},
		{"data on another page", twoSegments(0x402800, 16, 6)},
		{"data that reaches into no other page", twoSegments(0x401000, 16, 6)},
	} {
		tr := tree{Root: t.TempDir()}
		tr.File("p", tt.file, 0o755)
		root, err := OpenDir(tr.Root)
		must(err)
		r := Check(t.Context(), root, run("/p"), machine)
		_ = root.Close()
		cmd := exec.Command("/p")
		cmd.Dir, cmd.SysProcAttr = "/", &syscall.SysProcAttr{Chroot: tr.Root}
		var exit *exec.ExitError
		if err := cmd.Run(); err != nil && !errors.As(err, &exit) {
			t.Fatal(err)
		}
		code := cmd.ProcessState.ExitCode()
		if ws := cmd.ProcessState.Sys().(syscall.WaitStatus); ws.Signaled() {
			code = 128 + int(ws.Signal())
		}
		if r.ExitCode != code {
			t.Errorf("%s: predicted %s %d: %s; it ended with %d", tt.name, r.Verdict, r.ExitCode, r.Reason, code)
		}
	}
}

// TestLargePages checks programs that were linked for smaller pages than the
// kernel's.
func TestLargePages(t *testing.T) {
	for _, tt := range []struct {
		page int
		file []byte
		want Verdict
	}{
		{4096, twoSegments(0x402800, 16, 6), Native},
		{16384, twoSegments(0x404800, 16, 6), Unknown},
		{65536, twoSegments(0x410800, 16, 6), Unknown},
		{65536, elfSpec{}.Bytes(), Native}, // of one segment
		{65536, twoSegments(0x402800, 16, 6), ExecFormatError},
	} {
		machine := host.Facts{Platform: lin("amd64", "v1"), PageSize: tt.page}
		r := checkIn(t, func(tr tree) { tr.File("p", tt.file, 0o755) }, run("/p"), machine)
		if r.Verdict != tt.want || tt.want == Unknown && !strings.Contains(r.Hint, fmt.Sprintf("max-page-size=%d", tt.page)) {
			t.Errorf("pages of %d: %s %s, want %s; hint %q", tt.page, r.Verdict, r.Reason, tt.want, r.Hint)
		}
	}
}
