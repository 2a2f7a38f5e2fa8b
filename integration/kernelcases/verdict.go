package kernelcases

import (
	"strings"
	"syscall"
)

// A Case is one question to the kernel.
type Case struct {
	Name  string
	Build func(Tree)
	Command
}

// A Command is what an image's config and the user ask to start.
type Command struct {
	Entrypoint, Cmd, Args []string
	Env                   []string
	WorkingDir, User      string
}

// Run is a command without anything else.
func Run(argv ...string) Command { return Command{Entrypoint: argv} }

// Argv returns the arguments of execve.
func (c Command) Argv() []string {
	rest := c.Cmd
	if len(c.Args) > 0 {
		rest = c.Args
	}
	return append(append([]string{}, c.Entrypoint...), rest...)
}

// Path is the PATH in force: the last one, or the engines' default.
func (c Command) Path() string {
	path := "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
	for _, e := range c.Env {
		if v, ok := strings.CutPrefix(e, "PATH="); ok {
			path = v
		}
	}
	return path
}

// Deep reports whether the chain of interpreters never ends or exceeds five
// hops; a handler counts as one.
func (c Case) Deep() bool {
	for _, p := range []string{"script self", "nested 5 arm64", "nested 6", "nested 7", "nested 8", "EMUD", "script to EMUD", "native taken over by itself", "emulator itself", "script random"} {
		if strings.HasPrefix(c.Name, p) {
			return true
		}
	}
	return false
}

// ByChance reports whether the kernel may decide the case by chance, under one
// limit on the stack or another. All others are far from what is random, as
// long as addresses have the usual number of random bits.
func (c Case) ByChance() bool {
	for _, p := range []string{
		"random ", "pie byte 28 is 0x80", "pie byte 28 is 0xff", "pie byte 29 is 0x1", "pie random 24", // entry points
		"interp loader 3 entry 0x10000000000", "interp loader byte 28 is 0xff",
		"segment exec vaddr 0x7ffffff00000", "segment exec second at 0x7ffffff00000", "segment exec second only memory at 0x7ffffff00000",
		"span amd64 to 0x565500000000, loader of a pie",
	} {
		if strings.HasPrefix(c.Name, p) {
			return true
		}
	}
	return false
}

// Passwd and Group are the accounts of every root.
const (
	Passwd = "root:x:0:0::/root:/bin/sh\napp:x:1000:1000::/:/bin/sh\nother:x:1001:1001::/:/bin/sh\n"
	Group  = "root:x:0:\napp:x:1000:\nother:x:1001:\ntools:x:2000:app\n"
)

// Attempt resolves the users of the fixed accounts above by hand.
func (c Command) Attempt(root string) Attempt {
	a := Attempt{Root: root, Dir: "/", Argv: c.Argv(), Env: c.Env, Path: c.Path(), Groups: []int{}}
	if c.WorkingDir != "" {
		a.Dir = c.WorkingDir
	}
	ids := map[string]Attempt{
		"": {}, "root": {}, "0": {}, "0:0": {},
		"app":       {UID: 1000, GID: 1000, Groups: []int{2000}},
		"1000":      {UID: 1000, GID: 1000, Groups: []int{2000}},
		"other":     {UID: 1001, GID: 1001},
		"4321":      {UID: 4321},
		"4321:2000": {UID: 4321, GID: 2000},
		"app:tools": {UID: 1000, GID: 2000},
		"app:1001":  {UID: 1000, GID: 1001},
		"0:1000":    {GID: 1000},
	}
	u, ok := ids[c.User]
	if !ok {
		panic("no user " + c.User)
	}
	a.UID, a.GID = u.UID, u.GID
	a.Groups = append(a.Groups, u.Groups...)
	return a
}

// Want is the table: what the kernel did, as mpull's verdict and exit code.
// differs says that another program was loaded than without handlers, deep
// that ELOOP is about interpreters and not about links.
func (s Seen) Want(differs, deep bool) (verdict string, code int) {
	switch e := syscall.Errno(s.Errno); {
	case s.Exe != "" && differs:
		return "emulated", 0
	case s.Exe != "":
		return "native", 0
	case s.Sig == int(syscall.SIGSEGV):
		return "exec-format-error", 139
	case e == syscall.ENOEXEC, e == syscall.ELIBBAD, e == syscall.EIO, e == syscall.EINVAL:
		return "exec-format-error", 126
	case deep && e == syscall.ELOOP:
		return "exec-format-error", 126
	case e == syscall.ENOENT:
		return "not-found", 127
	case e == syscall.ENOTDIR, e == syscall.ENAMETOOLONG, e == syscall.ELOOP:
		return "not-found", 126
	case e == syscall.EACCES:
		return "permission-denied", 126
	}
	return "unknown", 125
}
