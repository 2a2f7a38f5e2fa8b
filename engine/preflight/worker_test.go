package preflight

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/mpull/mpull/engine/platform"
)

// tree builds the root filesystem of one case.
type tree struct{ root string }

func (t tree) at(name string) string { return filepath.Join(t.root, name) }

func must(err error) {
	if err != nil {
		panic(err)
	}
}

// file writes a file with mode and, when given, uid and gid; directories on
// the way are made.
func (t tree) file(name string, data []byte, mode uint32, owner ...int) {
	must(os.MkdirAll(filepath.Dir(t.at(name)), 0o755))
	must(os.WriteFile(t.at(name), data, 0o600))
	t.own(name, mode, owner...)
}

func (t tree) own(name string, mode uint32, owner ...int) {
	if len(owner) == 2 {
		must(os.Chown(t.at(name), owner[0], owner[1]))
	}
	must(unix.Chmod(t.at(name), mode))
}

func (t tree) text(name, text string) { t.file(name, []byte(text), 0o755) }

func (t tree) elf(name string, s elfSpec) { t.file(name, s.bytes(), 0o755) }

func (t tree) link(name, target string) {
	must(os.MkdirAll(filepath.Dir(t.at(name)), 0o755))
	must(os.Symlink(target, t.at(name)))
}

func (t tree) dir(name string, mode uint32, owner ...int) {
	must(os.MkdirAll(t.at(name), 0o755))
	t.own(name, mode, owner...)
}

func (t tree) fifo(name string) { must(unix.Mkfifo(t.at(name), 0o777)) }

func (t tree) device(name string) {
	t.file(name, nil, 0o777)
	must(unix.Mount("/dev/null", t.at(name), "", unix.MS_BIND, ""))
}

// kcase is one question to the kernel.
type kcase struct {
	name  string
	build func(tree)
	cmd   Command
}

// answer is a case's outcome on both sides.
type answer struct {
	Name     string
	Kernel   seen
	Want     Verdict
	WantCode int
	Got      Result
	Skipped  string
}

// worked is what a worker reports: the answers of each state.
type worked struct {
	States map[string][]answer
	Order  map[string]string // facts about match order, for TestMatchOrder
	// Overlay says where Layers and a mounted overlay differ.
	Overlay string
	Err     string
}

// workerMain runs in user and mount namespaces of its own and prints JSON.
func workerMain() {
	runtime.LockOSThread()
	out := worked{States: map[string][]answer{}, Order: map[string]string{}}
	func() {
		defer func() {
			if e := recover(); e != nil {
				buf := make([]byte, 4096)
				out.Err = fmt.Sprintf("%v\n%s", e, buf[:runtime.Stack(buf, false)])
			}
		}()
		work(&out)
	}()
	must(json.NewEncoder(os.Stdout).Encode(out))
}

func work(out *worked) {
	base := os.Getenv("PREFLIGHT_DIR")
	must(unix.Mount("none", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""))
	must(unix.Mount("tmpfs", base, "tmpfs", 0, "mode=755"))
	misc := filepath.Join(base, "misc")
	must(os.Mkdir(misc, 0o755))
	must(unix.Mount("binfmt_misc", misc, "binfmt_misc", 0, ""))
	matchOrder(misc, out.Order)
	out.Overlay = overlayFacts(filepath.Join(base, "overlay"))
	plain := map[string]string{}
	for _, st := range states() {
		clearHandlers(misc)
		emu := filepath.Join(base, "emu")
		st.register(misc, emu)
		host := platform.LocalHost()
		host.Binfmt = platform.ReadBinfmt(misc)
		cases := kernelCases()
		if st.name == "none" && os.Getenv("PREFLIGHT_SHORT") == "" {
			cases = append(append(cases, mutatedCases()...), segmentCases()...)
		}
		for i, c := range cases {
			t := tree{filepath.Join(base, st.name, fmt.Sprint(i))}
			a := oneCase(t, c, host)
			key := fmt.Sprint(c.name, i)
			if st.name == "none" {
				plain[key] = a.Kernel.Exe
			}
			a.Want, a.WantCode = verdictOf(a.Kernel, st.name != "none" && a.Kernel.Exe != plain[key], isDeep(c.name))
			out.States[st.name] = append(out.States[st.name], a)
		}
	}
}

// oneCase builds the root, asks the kernel, and asks Check. Its file goes
// away so that memory stays small.
func oneCase(t tree, c kcase, host platform.Host) (a answer) {
	a.Name = c.name
	must(os.MkdirAll(t.root, 0o755))
	defer os.RemoveAll(t.root)
	t.file("etc/passwd", []byte(passwdText), 0o644)
	t.file("etc/group", []byte(groupText), 0o644)
	c.build(t)
	root, err := OpenDir(t.root, IDMaps{})
	must(err)
	defer root.Close()
	a.Got = Check(context.Background(), root, c.cmd, host)
	a.Kernel, err = ask(attemptOf(t, c.cmd))
	must(err)
	a.Kernel.Exe = strings.TrimPrefix(a.Kernel.Exe, t.root)
	a.Got.Steps = nil
	return a
}

const (
	passwdText = "root:x:0:0::/root:/bin/sh\napp:x:1000:1000::/:/bin/sh\nother:x:1001:1001::/:/bin/sh\n"
	groupText  = "root:x:0:\napp:x:1000:\nother:x:1001:\ntools:x:2000:app\n"
)

// attemptOf resolves the users of the fixed accounts above by hand.
func attemptOf(t tree, c Command) attempt {
	a := attempt{Root: t.root, Dir: "/", Argv: c.Argv(), Env: c.Env, Path: c.path(), Groups: []int{}}
	if c.WorkingDir != "" {
		a.Dir = c.WorkingDir
	}
	ids := map[string]attempt{
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

// verdictOf is the table: what the kernel did, as a verdict and an exit code.
func verdictOf(s seen, differs, deep bool) (Verdict, int) {
	switch e := syscall.Errno(s.Errno); {
	case s.Exe != "" && differs:
		return Emulated, 0
	case s.Exe != "":
		return Native, 0
	case s.Sig == int(syscall.SIGSEGV):
		return ExecFormatError, 139
	case e == syscall.ENOEXEC, e == syscall.ELIBBAD, e == syscall.EIO, e == syscall.EINVAL:
		return ExecFormatError, 126
	case deep && e == syscall.ELOOP:
		return ExecFormatError, 126
	case e == syscall.ENOENT:
		return NotFound, 127
	case e == syscall.ENOTDIR, e == syscall.ENAMETOOLONG, e == syscall.ELOOP:
		return NotFound, 126
	case e == syscall.EACCES:
		return PermissionDenied, 126
	}
	return Unknown, 125
}

// runWorker starts the worker in its namespaces, or skips the test.
func runWorker(t *testing.T) worked {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("asking the kernel as several users needs root, for a user namespace with more than one ID")
	}
	cmd := exec.Command("/proc/self/exe")
	cmd.Env = append(os.Environ(), roleVar+"=worker", "PREFLIGHT_DIR="+t.TempDir())
	if testing.Short() {
		cmd.Env = append(cmd.Env, "PREFLIGHT_SHORT=1")
	}
	ids := []syscall.SysProcIDMap{{ContainerID: 0, HostID: 0, Size: 65536}}
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags:                 syscall.CLONE_NEWUSER | syscall.CLONE_NEWNS,
		UidMappings:                ids,
		GidMappings:                ids,
		GidMappingsEnableSetgroups: true,
		Credential:                 &syscall.Credential{},
		Pdeathsig:                  syscall.SIGKILL,
	}
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Start(); err != nil {
		t.Skipf("no user namespace here: %v", err)
	}
	err := cmd.Wait()
	var w worked
	if jerr := json.Unmarshal(stdout.Bytes(), &w); jerr != nil {
		t.Fatalf("worker: %v: %v: %s %s", err, jerr, stdout.Bytes(), stderr.Bytes())
	}
	if strings.Contains(w.Err, unix.ENODEV.Error()) || strings.Contains(w.Err, unix.EPERM.Error()) {
		t.Skipf("binfmt_misc in a user namespace needs Linux 6.7: %s", w.Err)
	}
	if w.Err != "" {
		t.Fatalf("worker: %s", w.Err)
	}
	return w
}

func clearHandlers(misc string) {
	must(os.WriteFile(filepath.Join(misc, "status"), []byte("-1"), 0))
}

func register(misc, line string) {
	if err := os.WriteFile(filepath.Join(misc, "register"), []byte(line), 0); err != nil {
		panic(fmt.Sprintf("registering %q: %v", line, err))
	}
}

// matchOrder registers handlers that all take the same bytes, in an order that
// no sorting gives, removes and adds again, and records the order read.
func matchOrder(misc string, facts map[string]string) {
	clearHandlers(misc)
	for _, n := range []string{"m", "b", "z", "a", "k"} {
		register(misc, ":"+n+":M::ORDR::/bin/"+n+":")
	}
	must(os.WriteFile(filepath.Join(misc, "b"), []byte("-1"), 0))
	_, err := os.Stat(filepath.Join(misc, "never"))
	if !os.IsNotExist(err) {
		panic(fs.ErrExist)
	}
	register(misc, ":b:M::ORDR::/bin/b:")
	register(misc, ":never:M::ORDR::/bin/never:")
	var names []string
	for _, h := range platform.ReadBinfmt(misc).Handlers {
		names = append(names, h.Name)
	}
	facts["read"] = strings.Join(names, " ")
	facts["want"] = "never b k a z m"
}
