package preflight

import (
	"fmt"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/mpull/mpull/engine/host"
	"github.com/mpull/mpull/engine/platform"
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
	case unix.ENOENT:
		k.res.Verdict, k.res.ExitCode = NotFound, exitNotFound
	case errNoLibrary, errNoSymbol:
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
	k.res.Steps = append(k.res.Steps, fmt.Sprintf(format, args...))
}

func quote(s string) string {
	if len(s) > 128 {
		s = s[:128] + "..."
	}
	return strconv.Quote(s)
}

// machineOf cuts a platform's text down to os/arch.
func machineOf(p string) string {
	parts := strings.SplitN(p, "/", 3)
	return strings.Join(parts[:min(2, len(parts))], "/")
}

func machineName(p string) string {
	_, arch, _ := strings.Cut(machineOf(p), "/")
	return arch
}

// sameMachine compares a claimed platform with what a file's header shows. A
// level is compared on arm only, where attributes of the file tell it: a file
// for a lower level is no lie.
func sameMachine(claimed, actual string) bool {
	if machineOf(claimed) != machineOf(actual) {
		return false
	}
	c, a := variantOf(claimed), variantOf(actual)
	return c == "" || a == "" || machineName(claimed) != "arm" || a <= c
}

func variantOf(p string) string {
	if parts := strings.SplitN(p, "/", 3); len(parts) == 3 {
		return parts[2]
	}
	return ""
}

// Certainty says what a Result of RemoteGuess rests on.
type Certainty string

// The degrees of certainty.
const (
	// Likely: the claim decides when the image tells the truth.
	Likely Certainty = "likely"
	// Unsure: the claim alone does not decide.
	Unsure Certainty = "unsure"
)

// RemoteGuess says what to expect of an image whose files are not here, from
// the platform that its config or index claims. It cannot see scripts, missing
// files, permissions or lies, and says in Certainty how far to trust it.
func RemoteGuess(claimed platform.Platform, on Host) Result {
	facts := on.Facts()
	r := Result{Host: facts.Platform.String(), Platform: Platforms{Claimed: claim(claimed)}, Certainty: Likely}
	h, _ := on.Handler(claimed)
	handler, held := h.Interpreter, h.InAnyImage()
	switch {
	case claimed.OS == "" || claimed.Architecture == "":
		r.Verdict, r.ExitCode, r.Certainty = Unknown, exitEngine, Unsure
		r.Reason = "the image does not say its platform"
	case held:
		r.Verdict, r.Emulator = Emulated, handler
		r.Reason = "a binfmt_misc handler takes programs for " + claim(claimed)
	case handler != "":
		r.Verdict, r.ExitCode, r.Emulator, r.Certainty = NotFound, exitNotFound, handler, Unsure
		r.Reason = "the handler for " + claim(claimed) + " looks for " + quote(handler) + " inside the image, where it rarely is"
		r.Hint = "register the handler with flag F"
		if h.Has('F') {
			r.Reason = "the emulator for " + claim(claimed) + ", " + quote(handler) + ", looks for its loader inside the image, where it rarely is"
			r.Hint = "register a static emulator (Debian, Ubuntu: qemu-user-static)"
		}
	case facts.Native(claimed):
		r.Verdict, r.Reason = Native, "the host runs "+claim(claimed)+" itself"
	case facts.Binfmt.Unread != "":
		r.Verdict, r.ExitCode, r.Certainty = Unknown, exitEngine, Unsure
		r.Reason = "the binfmt_misc handlers cannot be read: " + facts.Binfmt.Unread
	case h.Unsure != "":
		r.Verdict, r.ExitCode, r.Certainty = Unknown, exitEngine, Unsure
		r.Reason = h.Unsure
	case facts.Binfmt.Hidden && !sameArchitecture(claimed, facts):
		r.Verdict, r.ExitCode, r.Certainty = Unknown, exitEngine, Unsure
		r.Reason = "the host's handlers were not to be seen when its facts were read"
	case sameArchitecture(claimed, facts):
		r.Verdict, r.ExitCode, r.Certainty = IllegalInstruction, exitIllegal, Unsure
		r.Reason = "the image asks for " + claim(claimed) + ", the CPU has " + facts.Platform.String()
	case claimed.OS != facts.Platform.OS:
		r.Verdict, r.ExitCode = ExecFormatError, exitCannotInvoke
		r.Reason = "the image is for " + claimed.OS + ", and this machine runs " + facts.Platform.OS
		r.Hint = "start it on a machine with " + claimed.OS
	default:
		r.Verdict, r.ExitCode = ExecFormatError, exitCannotInvoke
		r.Reason = "the host has neither CPU nor handler for " + claim(claimed)
		r.Hint = "pull the image for " + machineOf(facts.Platform.String()) + ", or register an emulator"
	}
	return r
}

// sameArchitecture reports whether only the level keeps p from being native.
func sameArchitecture(p platform.Platform, f host.Facts) bool {
	p.Variant = ""
	return f.Native(p)
}
