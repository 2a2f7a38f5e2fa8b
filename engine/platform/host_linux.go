package platform

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"
)

// binfmtDir is where binfmt_misc is mounted.
const binfmtDir = "/proc/sys/fs/binfmt_misc"

// LocalHost reads the facts of this machine, in about a millisecond. On amd64
// it executes a program of its own, 96 bytes of 386 code, to see whether that
// runs. Facts that cannot be read are left out; Binfmt.Unread says when the
// handlers are not known, Binfmt.Hidden that they are not to be seen.
func LocalHost() Host {
	var u unix.Utsname
	_ = unix.Uname(&u)
	machine := unix.ByteSliceToString(u.Machine[:])
	h := Host{
		Platform:          local(machine),
		PageSize:          os.Getpagesize(),
		Kernel:            unix.ByteSliceToString(u.Release[:]),
		ProtectedSymlinks: strings.TrimSpace(readHead("/proc/sys/fs/protected_symlinks", 16)) == "1",
		MmapMinAddr:       readNumber("/proc/sys/vm/mmap_min_addr"),
		MaxMapping:        maxMapping(),
		StackLimit:        stackLimit(),
		MmapRndBits:       int(readNumber("/proc/sys/vm/mmap_rnd_bits")),
		MmapRndCompatBits: int(readNumber("/proc/sys/vm/mmap_rnd_compat_bits")),
		Emulators:         localEmulators(),
		Binfmt:            ReadBinfmt(binfmtDir),
	}
	h.NoRandom, h.LegacyLayout = layout()
	if p := programOn(h.Platform, runtime.GOARCH, machine, localCPU); p != h.Platform {
		h.Program = p
	}
	h.Binfmt.Hidden, h.Binfmt.local, h.Binfmt.nested, h.Binfmt.answers = hidden(h.Binfmt), true, nested(), &sync.Map{}
	switch h.Platform.Architecture {
	case "amd64":
		h.Compat, h.FiveLevels = x86Compat(h.Binfmt), hasAll(localCPU()["flags"], "la57")
	case "arm64":
		if hasAArch32() {
			h.Compat = []Compat{CompatAArch32}
		}
	}
	return h
}

// Local reads what is wanted on this machine, Host.Wants, without the time that
// the other facts of a Host take.
func Local() Platform {
	var u unix.Utsname
	_ = unix.Uname(&u)
	machine := unix.ByteSliceToString(u.Machine[:])
	return programOn(local(machine), runtime.GOARCH, machine, localCPU)
}

// local is the platform of a kernel that calls its machine so.
func local(machine string) Platform {
	p := Platform{OS: "linux", Architecture: runtime.GOARCH}
	switch {
	case machine == "x86_64":
		// A 386 build of this program asks the same kernel.
		p.Architecture, p.Variant = "amd64", amd64Level()
	case machine == "aarch64":
		p.Architecture, p.Variant = "arm64", arm64Level(localCPU()["Features"])
	case runtime.GOARCH == "arm":
		p.Variant = armLevel(localCPU(), machine)
	}
	return p
}

// localCPU reads what the kernel says of the first processor.
func localCPU() cpuFacts { return parseCPUInfo(readHead("/proc/cpuinfo", 4096)) }

// readNumber reads a sysctl that is a number; 0 when it cannot be read.
func readNumber(path string) uint64 {
	n, _ := strconv.ParseUint(strings.TrimSpace(readHead(path, 32)), 10, 64)
	return n
}

// maxMapping is the largest private writable mapping that the kernel grants:
// with vm.overcommit_memory=0 all memory and swap (__vm_enough_memory of
// mm/util.c), otherwise not known here.
func maxMapping() uint64 {
	var si unix.Sysinfo_t
	if readHead("/proc/sys/vm/overcommit_memory", 1) != "0" || unix.Sysinfo(&si) != nil {
		return 0
	}
	return (uint64(si.Totalram) + uint64(si.Totalswap)) * uint64(si.Unit) //nolint:unconvert // narrower on 32 bits
}

// stackLimit is the limit that a program which this process starts inherits.
func stackLimit() StackLimit {
	var l unix.Rlimit
	if unix.Getrlimit(unix.RLIMIT_STACK, &l) != nil {
		return 0
	}
	return StackLimit(max(l.Cur, 1))
}

// layout reads two ways to lay out an address space that sysctls switch on for
// all programs, and personalities for those that inherit them.
func layout() (noRandom, legacy bool) {
	const query, noRandomize, compatLayout = 0xffffffff, 0x0040000, 0x0200000
	p, _, errno := unix.RawSyscall(unix.SYS_PERSONALITY, query, 0, 0)
	if errno != 0 {
		p = 0
	}
	noRandom = strings.TrimSpace(readHead("/proc/sys/kernel/randomize_va_space", 16)) == "0" || p&noRandomize != 0
	return noRandom, readNumber("/proc/sys/vm/legacy_va_layout") != 0 || p&compatLayout != 0
}

// readHead reads at most n bytes of a file of /proc, or "".
func readHead(path string, n int64) string {
	f, err := os.Open(path)
	if err != nil {
		return ""
	}
	defer f.Close()
	data, _ := io.ReadAll(io.LimitReader(f, n))
	return string(data)
}

// ReadBinfmt reads the handlers of the binfmt_misc mounted at dir.
//
// Their order is the order of the directory entries, unsorted. A registered
// handler is put at the head of the list that the kernel walks (list_add in
// bm_register_write), and under the same lock its new directory entry is put
// at the head of the children of the directory (d_alloc), which
// dcache_readdir walks from the head. Nothing renames or moves entries, and
// look-ups of absent names leave none behind. Times are too coarse to tell
// the order, and inode numbers are handed out per CPU.
func ReadBinfmt(dir string) Binfmt {
	status, err := os.ReadFile(filepath.Join(dir, "status"))
	if errors.Is(err, fs.ErrNotExist) {
		return Binfmt{}
	}
	b := Binfmt{Enabled: string(bytes.TrimSpace(status)) == "enabled"}
	if err != nil {
		return Binfmt{Unread: err.Error()}
	}
	d, err := os.Open(dir)
	if err != nil {
		return Binfmt{Unread: err.Error()}
	}
	defer d.Close()
	names, err := d.Readdirnames(-1)
	if err != nil {
		return Binfmt{Unread: err.Error()}
	}
	for _, name := range names {
		if name == "status" || name == "register" {
			continue
		}
		e, err := readHandler(dir, name)
		if errors.Is(err, fs.ErrNotExist) {
			continue // removed meanwhile
		}
		if err != nil {
			b.Unread = err.Error()
			continue
		}
		b.Handlers = append(b.Handlers, e)
	}
	return b
}

func readHandler(dir, name string) (Handler, error) {
	text, err := os.ReadFile(filepath.Join(dir, name))
	if err != nil {
		return Handler{}, err
	}
	e, err := ParseHandler(name, text)
	if err == nil && e.Has('F') {
		e.Opened = readOpened(e.Interpreter)
	}
	return e, err
}

// readOpened reads the beginning of an interpreter that the kernel opened when
// the handler was registered. The path is that of the registering process; a
// file that is not there, or is no regular file, tells nothing.
func readOpened(path string) *OpenedFile {
	f, err := os.OpenFile(path, os.O_RDONLY|unix.O_NONBLOCK|unix.O_NOCTTY, 0)
	if err != nil {
		return nil
	}
	defer f.Close()
	st, err := f.Stat()
	if err != nil || !st.Mode().IsRegular() {
		return nil
	}
	head := make([]byte, maxOpenedHead)
	n, err := io.ReadFull(f, head)
	if err != nil && !errors.Is(err, io.ErrUnexpectedEOF) && !errors.Is(err, io.EOF) {
		return nil
	}
	return &OpenedFile{Size: st.Size(), Head: trimHead(head[:n])}
}

// trimHead keeps what a kernel reads of a program without a loader: its
// header and program headers. Other files keep all.
func trimHead(head []byte) []byte {
	end, interp, whole := programHeaders(head)
	if !whole || interp {
		return head
	}
	return slices.Clone(head[:max(end, headSize)])
}

// x86Compat finds what an amd64 kernel runs besides its own.
func x86Compat(handlers Binfmt) []Compat {
	var c []Compat
	if hasIA32(handlers) {
		c = append(c, CompatIA32)
	}
	// A kernel without the x32 system calls answers ENOSYS to all of them.
	const x32GetPID = 0x40000000 + 39
	if runtime.GOARCH == "amd64" {
		if _, _, errno := unix.RawSyscall(x32GetPID, 0, 0, 0); errno == 0 {
			c = append(c, CompatX32)
		}
	}
	return c
}

// hasIA32 reports whether 386 programs run. Only trying it tells: besides the
// build and the command line, virtual machines turn the support off. Where the
// trial is not possible, the sysctl abi.vsyscall32 shows the support and
// ia32_emulation= on the kernel's command line switches it.
func hasIA32(handlers Binfmt) bool {
	if runs, known := tryIA32(handlers); known {
		return runs
	}
	if _, err := os.Stat("/proc/sys/abi/vsyscall32"); err != nil {
		return false
	}
	on, said := ia32Switch(readHead("/proc/cmdline", 65536))
	return on || !said
}

// ia32Exit is the status with which the program of the trial ends.
const ia32Exit = 86

// ia32Program is a 386 program that only exits. Its machine is EM_486, which
// kernels take like EM_386 and handlers for emulators do not name.
func ia32Program() []byte {
	code := []byte{0xbb, ia32Exit, 0, 0, 0, 0xb8, 1, 0, 0, 0, 0xcd, 0x80} // exit(86)
	const base, start = 0x400000, 52 + 32
	o := binary.LittleEndian
	b := make([]byte, start, start+len(code))
	copy(b, "\x7fELF\x01\x01\x01")
	o.PutUint16(b[16:], ELFTypeExec)
	o.PutUint16(b[18:], machine486)
	o.PutUint32(b[20:], 1)
	o.PutUint32(b[24:], base+start)
	for at, v := range map[int]uint16{28: 52, 40: 52, 42: 32, 44: 1} {
		o.PutUint16(b[at:], v)
	}
	size := uint32(start + len(code))
	for i, v := range []uint32{1, 0, base, base, size, size, 5, 4096} { // PT_LOAD, readable and executable
		o.PutUint32(b[52+4*i:], v)
	}
	return append(b, code...)
}

// tryIA32 executes ia32Program from memory. It reports known false when that
// is not allowed here or a handler would take the program.
func tryIA32(handlers Binfmt) (runs, known bool) {
	program := ia32Program()
	if _, taken := handlers.Match(program, ""); taken {
		return false, false
	}
	fd, err := unix.MemfdCreate("ia32", unix.MFD_CLOEXEC)
	if err != nil {
		return false, false
	}
	defer unix.Close(fd)
	if _, err := unix.Write(fd, program); err != nil {
		return false, false
	}
	pid, err := syscall.ForkExec("/proc/self/fd/"+strconv.Itoa(fd), []string{"ia32"}, &syscall.ProcAttr{Env: []string{}})
	if err != nil {
		return false, errors.Is(err, syscall.ENOEXEC)
	}
	var ws syscall.WaitStatus
	for {
		_, err = syscall.Wait4(pid, &ws, 0, nil)
		if !errors.Is(err, syscall.EINTR) {
			break
		}
	}
	return ws.Exited() && ws.ExitStatus() == ia32Exit, err == nil
}

// ia32Switch finds ia32_emulation= on a kernel command line; the kernel reads
// its value with kstrtobool.
func ia32Switch(cmdline string) (on, said bool) {
	for _, word := range strings.Fields(cmdline) {
		value, ok := strings.CutPrefix(word, "ia32_emulation=")
		if !ok {
			continue
		}
		switch strings.ToLower(value) {
		case "0", "n", "no", "f", "false", "off":
			on, said = false, true
		case "1", "y", "yes", "t", "true", "on":
			on, said = true, true
		}
	}
	return on, said
}

// hasAArch32 asks an arm64 kernel for the personality of 32-bit programs,
// which it refuses when the CPU has no 32-bit EL0, and then looks whether
// /proc/cpuinfo lists features for them, which it does with CONFIG_COMPAT.
// The personality belongs to the thread and is put back.
func hasAArch32() bool {
	const perLinux, perLinux32, query = 0x0, 0x8, 0xffffffff
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	old, _, errno := unix.RawSyscall(unix.SYS_PERSONALITY, query, 0, 0)
	if errno != 0 {
		return false
	}
	if _, _, errno := unix.RawSyscall(unix.SYS_PERSONALITY, perLinux32, 0, 0); errno != 0 {
		return false
	}
	defer func() {
		if _, _, errno := unix.RawSyscall(unix.SYS_PERSONALITY, old, 0, 0); errno != 0 {
			_, _, _ = unix.RawSyscall(unix.SYS_PERSONALITY, perLinux, 0, 0)
		}
	}()
	return hasAll(parseCPUInfo(readHead("/proc/cpuinfo", 4096))["Features"], "thumb")
}
