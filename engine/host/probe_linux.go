package host

import (
	"errors"
	"os"
	"runtime"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// askKernel finds a handler that is not to be seen, for ELF programs of another
// architecture, by having the kernel execute one that has a header and nothing
// to load. Only its identification is taken from head. It is traced: an
// emulator that starts for it is stopped before its first instruction.
func askKernel(head []byte) (Handler, bool) {
	if !asks(head) {
		return Handler{}, false
	}
	h := Handler{Name: "hidden", Enabled: true}
	exe, err := execute(emptyProgram(head))
	h.started, h.Opened = exe.path, exe.file
	switch {
	case errors.Is(err, syscall.ENOEXEC):
		return Handler{}, false
	case errors.Is(err, syscall.ENOENT):
		h.Unsure = "a binfmt_misc handler that is not to be seen from here takes it, and looks for its emulator inside the image"
	case err != nil:
		h.Unsure = "the handlers of binfmt_misc in force here are not known (" + err.Error() + ")"
	case !exe.held:
		h.Unsure = "a binfmt_misc handler that is not to be seen from here takes it; whether its emulator must be in the image is not known"
	default:
		h.Interpreter, h.Flags = exe.path, "F"
	}
	return h, true
}

// started is what the kernel started for a program.
type started struct {
	path string
	held bool // another file than lies there for this process: one that a handler holds open (flag F)
	file *OpenedFile
}

// execute has the kernel execute a program from memory, and ends what it starts
// before that runs.
func execute(program []byte) (exe started, err error) {
	if err := traceable(); err != nil {
		return exe, err
	}
	runtime.LockOSThread() // which traces
	defer runtime.UnlockOSThread()
	pid, err := start("probe", program, true)
	if err != nil {
		return exe, err
	}
	_, _ = wait(pid)
	link := "/proc/" + strconv.Itoa(pid) + "/exe"
	info, statErr := os.Stat(link)
	path, linkErr := os.Readlink(link)
	if statErr == nil && linkErr == nil {
		exe.path = strings.TrimSuffix(path, " (deleted)")
		here, err := os.Stat(exe.path)
		exe.held = err != nil || !os.SameFile(info, here)
		exe.file = readOpened(link)
	}
	_ = syscall.Kill(pid, syscall.SIGKILL)
	_, _ = wait(pid)
	return exe, nil
}

// traceable says what keeps this process from tracing, as far as that shows
// before a child is started. Emulators such as qemu-user have no ptrace, and a
// child that ends for that reason may hang in them for ever.
func traceable() error {
	if err := syscall.PtraceDetach(-1); !errors.Is(err, syscall.ESRCH) { // no process has this ID
		return err
	}
	return nil
}

// wait returns when a child has ended, or stopped if it is traced.
func wait(pid int) (ws syscall.WaitStatus, err error) {
	for {
		if _, err = syscall.Wait4(pid, &ws, 0, nil); !errors.Is(err, syscall.EINTR) {
			return ws, err
		}
	}
}

// start executes a program from memory, where no name on any disk leads to it.
func start(name string, program []byte, traced bool) (pid int, err error) {
	fd, err := unix.MemfdCreate(name, unix.MFD_CLOEXEC)
	if err != nil {
		return 0, err
	}
	defer unix.Close(fd)
	if _, err := unix.Write(fd, program); err != nil {
		return 0, err
	}
	return syscall.ForkExec("/proc/self/fd/"+strconv.Itoa(fd), []string{name}, &syscall.ProcAttr{Env: []string{}, Sys: &syscall.SysProcAttr{Ptrace: traced}})
}
