package preflight

import (
	"context"

	"github.com/mpull/mpull/engine/host"
	"github.com/mpull/mpull/engine/platform"
)

// A Verdict is what is predicted for a command.
type Verdict string

// The verdicts. Their exit codes are those of Result.ExitCode.
const (
	Native             Verdict = "native"              // the kernel starts the program itself: 0
	Emulated           Verdict = "emulated"            // a binfmt_misc handler starts another program for it: 0
	ExecFormatError    Verdict = "exec-format-error"   // ENOEXEC, ELIBBAD, or killed while being loaded: 126, 139
	NotFound           Verdict = "not-found"           // ENOENT, a library or its symbol: 127; ENOTDIR, ENAMETOOLONG, ELOOP of links: 126; a library's version: 1
	PermissionDenied   Verdict = "permission-denied"   // EACCES: 126
	IllegalInstruction Verdict = "illegal-instruction" // needs a higher CPU level: 132, or 127 when the loader refuses
	Unknown            Verdict = "unknown"             // cannot be known, or the engine refuses before exec: 125
)

// Exit codes of the shell's and the container engines' convention.
const (
	exitOK           = 0
	exitLoader       = 1   // of glibc's loader
	exitEngine       = 125 // nothing was executed
	exitCannotInvoke = 126
	exitNotFound     = 127
	exitIllegal      = 128 + 4  // SIGILL
	exitSegv         = 128 + 11 // SIGSEGV
)

// A Result is the answer of Check. Its JSON form is that of `check --format
// json`; Image and ID are the caller's to fill.
type Result struct {
	Image     string    `json:"image,omitempty"`
	ID        string    `json:"id,omitempty"`
	Platform  Platforms `json:"platform"`
	Host      string    `json:"host"`               // platform of the host, with its level
	Command   []string  `json:"command"`            // argv that would be executed
	File      string    `json:"file,omitempty"`     // path in the image of the file that is executed, links resolved
	Verdict   Verdict   `json:"verdict"`            //
	ExitCode  int       `json:"exitCode"`           // what `run` ends with at this point; 0 means that it starts
	Reason    string    `json:"reason"`             // one line
	Emulator  string    `json:"emulator,omitempty"` // interpreter of the handler that took the file
	Hint      string    `json:"hint,omitempty"`     // a way out, one line
	Note      string    `json:"note,omitempty"`     // what else is to be known of the image, one line
	DataOnly  bool      `json:"dataOnly,omitempty"` // it names no command: it is there for its files
	Steps     []string  `json:"steps,omitempty"`    // what was looked at, in order
	Certainty Certainty `json:"certainty,omitempty"`
}

// A Host is the machine to predict for. [host.Facts] are one that reads and
// executes nothing; [host.Machine] asks the kernel it stands for.
type Host interface {
	// Facts are what decides besides handlers.
	Facts() host.Facts
	// Match returns the handler of binfmt_misc that takes a file, started by the
	// name path, whose first 256 bytes are head.
	Match(head []byte, path string) (host.Handler, bool)
	// Handler returns the one that takes programs for p.
	Handler(p platform.Platform) (host.Handler, bool)
}

// Check predicts what happens when cmd is started on a host in a container with
// the root filesystem root. It reads files of root, asks on, and nothing else. A
// ctx that ends makes the verdict Unknown.
func Check(ctx context.Context, root RootFS, cmd Command, on Host) Result {
	k := newCheck(ctx, root, cmd, on)
	k.run()
	return k.res
}

// Actual returns what Platforms.Actual of Check is, and looks at no libraries.
func Actual(ctx context.Context, root RootFS, cmd Command, on Host) string {
	k := newCheck(ctx, root, cmd, on)
	k.alone = true
	k.run()
	return k.res.Platform.Actual
}

func newCheck(ctx context.Context, root RootFS, cmd Command, on Host) *check {
	k := &check{ctx: ctx, on: on, host: on.Facts(), cmd: cmd}
	k.res = Result{
		Host:     k.host.Platform.String(),
		Platform: Platforms{Claimed: claim(cmd.Claimed), Index: otherClaim(cmd.Claimed, cmd.Index)},
		Command:  cmd.Argv(),
	}
	k.runtime = &walker{root: root, cred: rootCred(), protectedSymlink: k.host.ProtectedSymlinks, cache: map[string]cached{}}
	return k
}

// check is one prediction in progress.
type check struct {
	ctx     context.Context //nolint:containedctx // lives for one call of Check
	on      Host
	host    host.Facts // of on
	cmd     Command
	runtime *walker // with the runtime's privileges
	user    *walker // as the container's user
	cwd     string
	passed  string // a file of PATH that is not executable
	dir     string // a directory of PATH that has the name of the command
	dead    *fault // a link of PATH with its name, that leads to nothing
	last    loaded // the last execve
	alone   bool   // libraries are not looked at
	held    bool   // the emulator is a file that the kernel holds open
	res     Result
}

// run goes through what the runtime does, then through execve.
func (k *check) run() {
	argv := k.res.Command
	k.res.DataOnly = len(argv) == 0 && k.cmd.Bad == ""
	if why, hint := k.cmd.refused(); why != "" {
		k.refuse(why, hint)
		return
	}
	c, err := rootCred(), error(nil)
	if !k.alone || k.cmd.User != "" { // root may search every directory, whatever its groups
		c, err = k.runtime.lookupUser(k.cmd.User)
	}
	if err != nil {
		k.refuse("user "+quote(k.cmd.User)+": "+err.Error(), "choose a user of the image's /etc/passwd, or a numeric one")
		return
	}
	k.step("user %q is uid %d, gid %d, groups %v", k.cmd.User, c.uid, c.gid, c.groups)
	k.user = k.runtime.as(c)
	if f := k.chdir(); f != nil {
		k.fail(f)
		return
	}
	name, f := k.search(argv[0])
	if f != nil {
		k.fail(f)
		return
	}
	k.judge(name)
}

// judge asks the kernel's rules, and for a file that a handler takes, whether
// the outcome differs without handlers.
func (k *check) judge(name string) {
	l := k.load(name, true)
	k.last = l
	k.res.File = l.file
	k.res.Platform.Actual = l.actual
	k.res.Emulator, k.held = l.emulator, l.held
	k.res.Steps = append(k.res.Steps, l.steps...)
	switch {
	case l.fault != nil:
		k.fail(l.fault)
	case l.emulator == "":
		k.native(l)
	default:
		k.emulated(name, l)
	}
}

// emulated decides between Emulated and Native for a file that starts through
// a handler: it is native when the same program would run without handlers.
func (k *check) emulated(name string, l loaded) {
	plain := k.load(name, false)
	if plain.fault == nil && plain.program == l.program {
		k.res.Emulator = ""
		k.native(l)
		return
	}
	k.res.Verdict = Emulated
	k.res.Reason = "a binfmt_misc handler starts " + quote(l.emulator) + " for it"
	if l.guess != "" {
		k.res.Reason += " (" + l.guess + ")"
	}
	if l.foreign == "" {
		return
	}
	if _, f := k.open(l.foreign); f != nil {
		k.res.Hint = "the emulator will not get far: the program's loader " + quote(l.foreign) + " is not in the image"
	}
}

// native is the end for a program that execve starts; the CPU's level is left.
func (k *check) native(l loaded) {
	if l.level != nil {
		if l.level.unknown {
			k.refuse(l.level.reason, "")
			return
		}
		k.res.Verdict, k.res.ExitCode = IllegalInstruction, l.level.exit
		k.res.Reason = l.level.reason
		k.res.Hint = "use an image built for a lower level of this architecture"
		return
	}
	k.res.Verdict = Native
	k.res.Reason = "the kernel runs " + quote(l.program.path) + " itself"
	switch k.res.Hint = l.odd; {
	case l.windows:
		k.res.Hint = "it may end at once: " + carriage(l.first)
	case l.short != "":
		k.res.Hint = "it may end at once: " + l.short
	default:
		if hint := k.hintWrapped(l); hint != "" {
			k.res.Hint = "it may end at once: " + hint
		}
	}
	c, own := k.cmd.Claimed, k.host.Platform
	if !l.levelled && c.Architecture == own.Architecture && c.Level() > own.Level() && own.Level() > 0 {
		k.res.Hint = "the image says it is for " + c.String() + ", more than the CPU's " + own.Variant +
			"; its program does not say what it needs, and may meet an illegal instruction"
	}
}

// refuse ends with Unknown: nothing would be executed, or it cannot be known.
func (k *check) refuse(reason, hint string) {
	k.res.Verdict, k.res.ExitCode, k.res.Reason, k.res.Hint = Unknown, exitEngine, reason, hint
}
