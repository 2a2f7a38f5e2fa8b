package host

import (
	"bytes"
	"debug/elf"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// proc reads a file of /proc, or skips the test.
func proc(t *testing.T, path string) string {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("/proc", path))
	if err != nil {
		t.Skip("this machine does not say: ", err)
	}
	return strings.TrimSpace(string(data))
}

// TestLocalIsThisMachine holds the facts against what the kernel says of the same
// in other places.
func TestLocalIsThisMachine(t *testing.T) {
	f := Local().Facts()
	number := func(path string) (n uint64) {
		_, _ = fmt.Sscan(proc(t, path), &n)
		return n
	}
	t.Run("links", func(t *testing.T) {
		if want := proc(t, "sys/fs/protected_symlinks") == "1"; f.ProtectedSymlinks != want {
			t.Errorf("protected = %t", f.ProtectedSymlinks)
		}
	})
	t.Run("addresses", func(t *testing.T) {
		if want := number("sys/vm/mmap_min_addr"); f.MmapMinAddr != want {
			t.Errorf("from %d, not %d", f.MmapMinAddr, want)
		}
		personality := uint64(0)
		_, _ = fmt.Sscanf(proc(t, "self/personality"), "%x", &personality)
		if want := number("sys/kernel/randomize_va_space") == 0 || personality&0x0040000 != 0; f.NoRandom != want {
			t.Errorf("nothing at random = %t", f.NoRandom)
		}
		if want := number("sys/vm/legacy_va_layout") != 0 || personality&0x0200000 != 0; f.LegacyLayout != want {
			t.Errorf("from the bottom up = %t", f.LegacyLayout)
		}
	})
	t.Run("memory", func(t *testing.T) {
		if strconv.IntSize == 32 {
			t.Skip("sysinfo(2) gives a program of 32 bits rounded figures, and under qemu-user those that fit")
		}
		if number("sys/vm/overcommit_memory") != 0 {
			if f.MaxMapping != 0 {
				t.Errorf("%d bytes, where there is no bound", f.MaxMapping)
			}
			return
		}
		total := uint64(0)
		for line := range strings.Lines(proc(t, "meminfo")) {
			var key string
			var kib uint64
			if _, err := fmt.Sscan(line, &key, &kib); err == nil && (key == "MemTotal:" || key == "SwapTotal:") {
				total += kib << 10
			}
		}
		if f.MaxMapping != total {
			t.Errorf("%d bytes, not %d", f.MaxMapping, total)
		}
	})
	t.Run("stack", func(t *testing.T) {
		for line := range strings.Lines(proc(t, "self/limits")) {
			if rest, ok := strings.CutPrefix(line, "Max stack size"); ok {
				want := UnlimitedStack
				_, _ = fmt.Sscan(rest, (*uint64)(&want)) // "unlimited" is no number
				if f.StackLimit != want {
					t.Errorf("%d bytes, not %d", f.StackLimit, want)
				}
			}
		}
	})
	t.Run("names", func(t *testing.T) {
		if want := proc(t, "sys/kernel/osrelease"); f.Kernel != want {
			t.Errorf("kernel %s, not %s", f.Kernel, want)
		}
		if f.Platform.Architecture == runtime.GOARCH && f.Program.Complete() {
			t.Errorf("a program of the kernel's own architecture is for %s", f.Program)
		}
	})
	t.Run("namespace", func(t *testing.T) {
		// The table of IDs does not tell: a namespace may map them all.
		if own, err := os.Readlink("/proc/self/ns/user"); err != nil || nested() != (own != "user:[4026531837]") {
			t.Errorf("in a user namespace = %t, which is %s, %v", nested(), own, err)
		}
	})
}

// TestLocalEmulators lists QEMU's emulators of programs, and no other of its
// files.
func TestLocalEmulators(t *testing.T) {
	listed := localEmulators()
	for _, file := range listed {
		if _, err := os.Stat(file); err != nil || !strings.HasPrefix(file, "/usr/bin/qemu-") || strings.Contains(file, "system") || strings.Contains(file, "img") {
			t.Errorf("%s: %v", file, err)
		}
	}
	for _, file := range []string{"/usr/bin/qemu-arm", "/usr/bin/qemu-s390x-static", "/usr/bin/qemu-aarch64-static"} {
		if _, err := os.Stat(file); (err == nil) != slices.Contains(listed, file) {
			t.Errorf("%s is listed = %t", file, err != nil)
		}
	}
}

// TestIA32Program is a program that a 386 kernel starts: its one segment has all
// of the file, and the entry lies in it.
func TestIA32Program(t *testing.T) {
	program := ia32Program()
	f, err := elf.NewFile(bytes.NewReader(program))
	if err != nil {
		t.Fatal(err)
	}
	p := f.Progs[0]
	if f.Class != elf.ELFCLASS32 || f.Type != elf.ET_EXEC || f.Machine != elf.EM_486 || len(f.Progs) != 1 ||
		p.Type != elf.PT_LOAD || p.Off != 0 || p.Filesz != uint64(len(program)) || p.Memsz != p.Filesz || p.Flags != elf.PF_R|elf.PF_X ||
		p.Vaddr%4096 != 0 || p.Align != 4096 || f.Entry <= p.Vaddr || f.Entry >= p.Vaddr+p.Filesz {
		t.Errorf("%+v, %+v", f.FileHeader, p.ProgHeader)
	}
}

// TestTryIA32 tells of 386 programs what starting one from a file shows, and asks
// nothing where a handler would start it.
func TestTryIA32(t *testing.T) {
	if runtime.GOARCH != "amd64" {
		t.Skip("this is for amd64")
	}
	handler := Handler{Name: "all", Enabled: true, Interpreter: "/i", Magic: HexBytes("\x7fELF")}
	if runs, known := tryIA32(Binfmt{Enabled: true, Handlers: []Handler{handler}}); runs || known {
		t.Errorf("with a handler for all: %t, %t", runs, known)
	}
	path := filepath.Join(t.TempDir(), "ia32")
	if err := os.WriteFile(path, ia32Program(), 0o700); err != nil {
		t.Fatal(err)
	}
	err := exec.Command(path).Run()
	var exit *exec.ExitError
	if err == nil || !errors.As(err, &exit) && !errors.Is(err, unix.ENOEXEC) {
		t.Skip("the temporary directory lets no program start: ", err)
	}
	want := exit != nil && exit.ExitCode() == ia32Exit
	if runs, known := tryIA32(Binfmt{}); runs != want || !known {
		t.Errorf("386 programs run = %t, known = %t; from a file they run = %t", runs, known, want)
	}
	if got := Local().Facts(); len(got.Binfmt.Handlers) == 0 && got.Has(CompatIA32) != want {
		t.Errorf("the facts say %v", got.Compat)
	}
	pid, _, errno := unix.RawSyscall(0x40000000+unix.SYS_GETPID, 0, 0, 0)
	if want := errno == 0 && int(pid) == os.Getpid(); Local().Facts().Has(CompatX32) != want {
		t.Errorf("x32 = %t", !want)
	}
}
