package host

import (
	"errors"
	"runtime"
	"syscall"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"
)

// TestNoChildWithoutTracing asks about a program where ptrace does not exist,
// as in emulators, on a thread that may start nothing: the answer is the error
// of ptrace, so no child was tried.
func TestNoChildWithoutTracing(t *testing.T) {
	asked := make(chan error)
	go func() {
		runtime.LockOSThread() // for good: the thread ends with its filter
		if err := refuse(map[uint32]syscall.Errno{
			unix.SYS_PTRACE: unix.ENOSYS, unix.SYS_CLONE: unix.EPERM, unix.SYS_CLONE3: unix.EPERM,
		}); err != nil {
			asked <- err
			return
		}
		_, err := execute(make([]byte, 64))
		asked <- err
	}()
	if err := <-asked; errors.Is(err, errNoFilter) {
		t.Skip(err)
	} else if !errors.Is(err, unix.ENOSYS) {
		t.Errorf("without ptrace: %v, want %v", err, unix.ENOSYS)
	}
}

var errNoFilter = errors.New("this machine takes no seccomp filter")

// refuse has the calls of this thread fail with an error each.
func refuse(calls map[uint32]syscall.Errno) error {
	const load, equal, answer = unix.BPF_LD | unix.BPF_W | unix.BPF_ABS, unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, unix.BPF_RET | unix.BPF_K
	program := []unix.SockFilter{{Code: load}} // the number is the first word of struct seccomp_data
	for call, errno := range calls {
		program = append(program, unix.SockFilter{Code: equal, Jf: 1, K: call},
			unix.SockFilter{Code: answer, K: unix.SECCOMP_RET_ERRNO | uint32(errno)})
	}
	program = append(program, unix.SockFilter{Code: answer, K: unix.SECCOMP_RET_ALLOW})
	filter := unix.SockFprog{Len: uint16(len(program)), Filter: &program[0]}
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return errNoFilter
	}
	if err := unix.Prctl(unix.PR_SET_SECCOMP, unix.SECCOMP_MODE_FILTER, uintptr(unsafe.Pointer(&filter)), 0, 0); err != nil {
		return errNoFilter
	}
	return nil
}
