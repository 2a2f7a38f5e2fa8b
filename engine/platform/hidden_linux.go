package platform

import (
	"errors"
	"os"
	"runtime"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// hidden reports whether the kernel may have handlers that are not to be seen:
// binfmt_misc is part of it, and not mounted at its usual place. So it is in
// containers, whose files the host's handlers take all the same.
func hidden(b Binfmt) bool {
	_, err := os.Stat(binfmtDir + "/status")
	return b.Unread == "" && errors.Is(err, os.ErrNotExist) && strings.Contains(readHead("/proc/filesystems", 65536), "\tbinfmt_misc\n")
}

// askKernel finds a handler that is not to be seen, for ELF programs of another
// architecture, by having the kernel execute one that has a header and nothing
// to load. Only its identification is taken from head. It is traced: an
// emulator that starts for it is stopped before its first instruction.
func askKernel(head []byte) (Handler, bool) {
	p, ok := ELFPlatform(head)
	if !ok || p.Architecture == runtime.GOARCH || p.Architecture == "386" || p.Architecture == "amd64p32" {
		return Handler{}, false
	}
	h := Handler{Name: "hidden", Enabled: true}
	exe, err := execute(emptyProgram(head))
	switch {
	case errors.Is(err, syscall.ENOEXEC):
		return Handler{}, false
	case errors.Is(err, syscall.ENOENT):
		h.Unsure = "a binfmt_misc handler that is not to be seen from here takes it, and looks for its emulator inside the image"
	case err != nil:
		h.Unsure = "binfmt_misc is not mounted here, so its handlers are not known (" + err.Error() + ")"
	case exe == "":
		h.Unsure = "a binfmt_misc handler that is not to be seen from here takes it; whether its emulator must be in the image is not known"
	default:
		h.Interpreter, h.Flags = exe, "F"
	}
	return h, true
}

// emptyProgram is an ELF header with the identification, type and machine of another.
func emptyProgram(head []byte) []byte {
	b := make([]byte, 64)
	copy(b, head[:20])
	if b[5] == 2 {
		b[23] = 1 // e_version
	} else {
		b[20] = 1
	}
	return b
}

// execute has the kernel execute a program from memory, and ends it before it
// runs. It returns the path of what was started for it when that is another file
// than lies there for this process: one that a handler holds open (flag F).
func execute(program []byte) (exe string, err error) {
	fd, err := unix.MemfdCreate("probe", unix.MFD_CLOEXEC)
	if err != nil {
		return "", err
	}
	defer unix.Close(fd)
	if _, err := unix.Write(fd, program); err != nil {
		return "", err
	}
	runtime.LockOSThread() // which traces
	defer runtime.UnlockOSThread()
	pid, err := syscall.ForkExec("/proc/self/fd/"+strconv.Itoa(fd), []string{"probe"},
		&syscall.ProcAttr{Env: []string{}, Sys: &syscall.SysProcAttr{Ptrace: true}})
	if err != nil {
		return "", err
	}
	wait(pid)
	link := "/proc/" + strconv.Itoa(pid) + "/exe"
	started, statErr := os.Stat(link)
	path, linkErr := os.Readlink(link)
	if statErr == nil && linkErr == nil {
		path = strings.TrimSuffix(path, " (deleted)")
		if here, err := os.Stat(path); err != nil || !os.SameFile(started, here) {
			exe = path
		}
	}
	_ = syscall.Kill(pid, syscall.SIGKILL)
	wait(pid)
	return exe, nil
}

// wait returns when a traced child has stopped or ended.
func wait(pid int) {
	for {
		if _, err := syscall.Wait4(pid, nil, 0, nil); !errors.Is(err, syscall.EINTR) {
			return
		}
	}
}
