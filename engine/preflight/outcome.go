package preflight

import (
	"fmt"
	"strconv"

	"golang.org/x/sys/unix"
)

// What execve cannot return stands for ends that have no errno of their own.
const (
	// errTooDeep is ELOOP from more than five interpreters in a row, which
	// is a matter of format, not of links.
	errTooDeep = unix.Errno(1<<16 + iota)
	// errKilled is a process killed with SIGSEGV after its old image was
	// thrown away: execve has no process left to return to.
	errKilled
	// errNoLibrary is a library that the program's loader does not find: it
	// says so and ends with 127.
	errNoLibrary
	// errNoVersion is a library without a version of symbols that is asked for:
	// glibc's loader says so and ends with 1.
	errNoVersion
	// errNoSymbol is a symbol that no library of a program has: its loader says
	// so and ends with 127.
	errNoSymbol
)

// fail turns a fault into verdict, exit code, reason and hint.
func (k *check) fail(f *fault) {
	k.res.Reason = f.Error()
	if os := k.cmd.Claimed.OS; os != "" && os != k.host.Platform.OS && f.errno != 0 && k.res.Platform.Actual == "" {
		k.step("%s", k.res.Reason)
		k.res.Reason = "the image is for " + os + ", and this machine runs " + k.host.Platform.OS
		k.res.Hint = "start it on a machine with " + os
		if os == "wasi" {
			k.res.Hint = "start it with a runtime for WebAssembly, or register one as binfmt_misc handler of .wasm files"
		}
	}
	if k.res.Hint == "" {
		k.res.Hint = k.wayOut(f)
	}
	switch f.errno {
	case 0:
		k.refuse(f.Error(), k.res.Hint)
	case unix.ENOENT, errNoLibrary, errNoSymbol:
		k.res.Verdict, k.res.ExitCode = NotFound, exitNotFound
	case errNoVersion:
		k.res.Verdict, k.res.ExitCode = NotFound, exitLoader
	case unix.ENOTDIR, unix.ENAMETOOLONG, unix.ELOOP:
		k.res.Verdict, k.res.ExitCode = NotFound, exitCannotInvoke
	case unix.EACCES:
		k.res.Verdict, k.res.ExitCode = PermissionDenied, exitCannotInvoke
	case errKilled:
		k.res.Verdict, k.res.ExitCode = ExecFormatError, exitSegv
	case unix.ENOEXEC, unix.ELIBBAD, unix.EIO, unix.EINVAL, errTooDeep:
		k.res.Verdict, k.res.ExitCode = ExecFormatError, exitCannotInvoke
	default:
		k.refuse(f.Error(), "")
	}
}

func (k *check) step(format string, args ...any) {
	if k.alone {
		return // nobody reads them
	}
	k.res.Steps = append(k.res.Steps, fmt.Sprintf(format, args...))
}

func quote(s string) string {
	if len(s) > 128 {
		s = s[:128] + "..."
	}
	return strconv.Quote(s)
}
