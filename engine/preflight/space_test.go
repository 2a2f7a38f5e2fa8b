package preflight

import (
	"context"
	"encoding/binary"
	"os"
	"strconv"
	"strings"
	"testing"

	"github.com/mpull/mpull/engine/host"
	"github.com/mpull/mpull/integration/kernelcases"
)

// TestSpace is about machines that are not this one: limits on the stack,
// random bits that are not known, address spaces that are not.
func TestSpace(t *testing.T) {
	t.Parallel()
	const ld = "/lib/ld.so"
	with := func(change func(*host.Facts)) host.Facts {
		h := host.Facts{
			Platform: lin("amd64", "v1"), Compat: []host.Compat{host.CompatIA32},
			MmapMinAddr: 4096, MmapRndBits: 28, MmapRndCompatBits: 8,
		}
		change(&h)
		return h
	}
	usual := with(func(*host.Facts) {})
	unlimited := with(func(h *host.Facts) { h.StackLimit = host.UnlimitedStack })
	large := with(func(h *host.Facts) { h.StackLimit = 1 << 30 })
	user := with(func(h *host.Facts) { h.MmapRndBits, h.MmapRndCompatBits = 0, 0 })
	legacy := with(func(h *host.Facts) { h.LegacyLayout = true })
	still := with(func(h *host.Facts) { h.NoRandom = true })
	arm64 := host.Facts{Platform: lin("arm64", "v8"), PageSize: 4096, MmapMinAddr: 32768}
	arm := host.Facts{Platform: lin("arm", "v7"), PageSize: 4096, MmapMinAddr: 32768}
	riscv := host.Facts{Platform: lin("riscv64", ""), PageSize: 4096, MmapMinAddr: 4096}
	for _, c := range []struct {
		name       string
		host       host.Facts
		arch       string
		main       uint16 // ELF type
		end, ldEnd uint64 // where the program and its loader end; 0: in the first page
		want       Verdict
	}{
		{"beside a pie", usual, "386", 3, 0, 0xa0000000, Native},
		{"more than beside a pie", usual, "386", 3, 0, 0xa9aa0000, ExecFormatError},
		{"as much as is beside a pie at most", usual, "386", 3, 0, 0xa9600000, Unknown},
		{"with a fixed program", usual, "386", 2, 0, 0xa9aa0000, Native},
		{"both small enough", usual, "386", 3, 0x40000000, 0x40000000, Native},
		{"both too large", usual, "386", 3, 0x60000000, 0x60000000, ExecFormatError},
		{"in the hole of a pie", usual, "386", 3, 0x60000000, 0x58000000, Native},
		{"below a pie", usual, "amd64", 3, 0, 0x555500000000, Native},
		{"below a pie that is far up", usual, "amd64", 3, 0, 0x565500000000, Unknown},
		{"not below a pie", usual, "amd64", 3, 0, 0x600000000000, ExecFormatError},
		{"not below a pie, with more random bits", user, "amd64", 3, 0, 0x600000000000, Unknown},
		{"not below any pie", user, "amd64", 3, 0, 0x6d0000000000, ExecFormatError},
		{"below, without chance", still, "amd64", 3, 0, 0x565500000000, ExecFormatError},
		{"without chance", still, "386", 3, 0, 0xa9600000, Native},
		{"unlimited, below", unlimited, "amd64", 3, 0, 0x400000000000, ExecFormatError},
		{"unlimited, between", unlimited, "amd64", 3, 0, 0x280000000000, Native},
		{"unlimited, fixed program", unlimited, "386", 2, 0, 0xa0000000, Native},
		{"unlimited, too large", unlimited, "386", 2, 0, 0xb0000000, ExecFormatError},
		{"1 GiB, fixed program", large, "386", 2, 0, 0xb0000000, Native},
		{"1 GiB, too large", large, "386", 2, 0, 0xd0000000, ExecFormatError},
		{"usual, fixed program", usual, "386", 2, 0, 0xd0000000, Native},
		{"from the bottom up", legacy, "amd64", 2, 0, 0x500000000000, Native},
		{"from the bottom up, too large", legacy, "amd64", 2, 0, 0x600000000000, ExecFormatError},
		{"arm64", arm64, "arm64", 3, 0, 1 << 30, Native},
		{"arm64, large", arm64, "arm64", 3, 0, 1 << 40, Unknown},
		{"arm64, large program", arm64, "arm64", 2, 1 << 40, 0, Unknown},
		{"riscv64", riscv, "riscv64", 3, 1 << 24, 1 << 24, Native},
		{"riscv64, large", riscv, "riscv64", 3, 1 << 38, 0, Unknown},
		{"arm", arm, "arm", 3, 0, 1 << 24, Native},
		{"arm, large", arm, "arm", 3, 0, 0x60000000, Unknown},
	} {
		files := kernelcases.Tree{Root: t.TempDir()}
		elf := func(typ uint16, interp string, end uint64) elfSpec {
			s := elfSpec{Arch: c.arch, Type: typ, Interp: interp}
			if end == 0 {
				return s
			}
			if typ == 2 {
				end -= 0x400000
			}
			return kernelcases.Span(s, end)
		}
		files.ELF("p", elf(c.main, ld, c.end))
		files.ELF("lib/ld.so", elf(3, "", c.ldEnd))
		root, err := OpenDir(files.Root)
		if err != nil {
			t.Fatal(err)
		}
		got := Check(context.Background(), root, run("/p"), c.host)
		if got.Verdict != c.want {
			t.Errorf("%s: %s (%s), want %s", c.name, got.Verdict, got.Reason, c.want)
		}
		if got.Verdict == Unknown && !strings.Contains(got.Reason, "depends on chance") && !strings.Contains(got.Reason, "address space reaches") {
			t.Errorf("%s: it does not say why: %s", c.name, got.Reason)
		}
		if err := root.Close(); err != nil {
			t.Error(err)
		}
	}
}

// TestSpaceOfKernels is about what kernels do in ways of their own: page tables
// of five levels, alignment before Linux 6.10, limits that set-ID bits lower.
func TestSpaceOfKernels(t *testing.T) {
	t.Parallel()
	machine := host.Facts{
		Platform: lin("amd64", "v1"), Compat: []host.Compat{host.CompatIA32}, Kernel: "6.18.1",
		MmapMinAddr: 4096, MmapRndBits: 28, MmapRndCompatBits: 8,
	}
	five, old, stack := machine, machine, machine
	five.FiveLevels, old.Kernel, stack.StackLimit = true, "6.1.0-18-amd64", 3<<30
	// Whoever runs this owns the files, be it the first user, whose number is often 1000.
	owner, other := strconv.Itoa(os.Geteuid()), strconv.Itoa(max(os.Geteuid(), os.Getegid())+1)
	high := elfSpec{Type: 2, Vaddr: 1 << 48}
	aligned := elfSpec{Type: 3, Edit: func(b []byte) { binary.LittleEndian.PutUint64(b[64+48:], 1<<46) }}
	large := elfSpec{Arch: "386", Type: 3, Edit: func(b []byte) { binary.LittleEndian.PutUint32(b[52+20:], 0xd0000000) }}
	for _, c := range []struct {
		name string
		host host.Facts
		prog elfSpec
		mode uint32
		user string
		want Verdict
		says string
	}{
		{"above 47 bits", machine, high, 0o755, "", ExecFormatError, "outside the address space"},
		{"above 47 bits of 57", five, high, 0o755, "", Unknown, "five levels"},
		{"nothing above 47 bits", five, elfSpec{}, 0o755, "", Native, ""},
		{"aligned", machine, aligned, 0o755, "", Native, ""},
		{"aligned, by an old kernel", old, aligned, 0o755, "", Native, ""},
		{"large", machine, large, 0o755, other, Native, ""},
		{"large beside a large stack", stack, large, 0o755, other, ExecFormatError, ""},
		{"large with a set-user-ID bit", stack, large, 0o4755, other, Unknown, "set-user-ID"},
		{"large with a set-user-ID bit that changes nothing", stack, large, 0o4755, owner, ExecFormatError, ""},
		{"large with a set-group-ID bit", stack, large, 0o2755, other + ":" + other, Unknown, "set-group-ID"},
		{"small with a set-user-ID bit", stack, elfSpec{}, 0o4755, other, Native, ""},
	} {
		files := kernelcases.Tree{Root: t.TempDir()}
		files.File("p", c.prog.Bytes(), c.mode)
		root, err := OpenDir(files.Root)
		if err != nil {
			t.Fatal(err)
		}
		got := Check(t.Context(), root, Command{Cmd: []string{"/p"}, User: c.user}, c.host)
		if err := root.Close(); err != nil || got.Verdict != c.want || !strings.Contains(got.Reason, c.says) {
			t.Errorf("%s: %v, %s (%s), want %s", c.name, err, got.Verdict, got.Reason, c.want)
		}
	}
}
