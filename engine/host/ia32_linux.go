package host

import (
	"encoding/binary"
	"errors"
	"os"
	"runtime"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

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
	copy(b, elfArch{class: ELFClass32, data: 1, machine: machine486}.head(ELFTypeExec)[:52])
	o.PutUint32(b[24:], base+start)
	o.PutUint32(b[28:], 52) // one program header
	o.PutUint16(b[44:], 1)
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
	pid, err := start("ia32", program, false)
	if err != nil {
		return false, errors.Is(err, syscall.ENOEXEC)
	}
	ws, err := wait(pid)
	return ws.Exited() && ws.ExitStatus() == ia32Exit, err == nil
}

// ia32Switch finds ia32_emulation= on a kernel command line; the kernel reads
// its value with kstrtobool.
func ia32Switch(cmdline string) (on, said bool) {
	for word := range strings.FieldsSeq(cmdline) {
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
