package preflight

import (
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/mpull/mpull/engine/host"
	"github.com/mpull/mpull/engine/platform"
	"github.com/mpull/mpull/integration/kernelcases"
	"github.com/mpull/mpull/integration/testenv"
)

// workerVar of the environment makes this program the worker in namespaces of
// its own that builds root filesystems and asks the kernel.
const workerVar = "PREFLIGHT_WORKER"

func TestMain(m *testing.M) {
	kernelcases.Main()
	if os.Getenv(workerVar) != "" {
		workerMain()
		return
	}
	testenv.Main(m)
}

type (
	tree    = kernelcases.Tree
	elfSpec = kernelcases.ELF
)

func must(err error) {
	if err != nil {
		panic(err)
	}
}

func run(argv ...string) Command { return Command{Entrypoint: argv} }

func commandOf(c kernelcases.Command) Command {
	return Command{Entrypoint: c.Entrypoint, Cmd: c.Cmd, Args: c.Args, Env: c.Env, WorkingDir: c.WorkingDir, User: c.User}
}

// answer is what the kernel and Check say of a case.
type answer struct {
	Name    string
	Deep    bool
	Kernel  kernelcases.Seen
	Differs bool // from what the kernel starts without handlers
	Chance  bool // may decide
	Got     Result
}

// A job is what one worker does.
type job struct {
	name  string // of the subtest
	state string // of binfmt_misc; "" asks for the facts
	stack host.StackLimit
	cases func() []kernelcases.Case
}

// jobs are the facts, the matrix in each state of binfmt_misc, and under other
// limits on the stack, which move what the kernel maps.
func jobs() []job {
	all := func() []kernelcases.Case {
		if testing.Short() {
			return usual()
		}
		return slices.Concat(usual(), kernelcases.Mutated(), kernelcases.Segments(), kernelcases.Placement(), kernelcases.SetID(), spanCases())
	}
	js := []job{{name: "facts"}, {"none", "none", host.UsualStack, all}}
	if !testing.Short() {
		js = append(js, job{"none, unlimited stack", "none", host.UnlimitedStack, all})
		for _, gib := range []host.StackLimit{1, 3, 8, 64} {
			js = append(js, job{fmt.Sprintf("none, stack of %d GiB", gib), "none", gib << 30, func() []kernelcases.Case {
				return slices.Concat(kernelcases.Placement(), kernelcases.SetID(), spanCases())
			}})
		}
	}
	for _, st := range kernelcases.States()[1:] {
		js = append(js, job{st.Name, st.Name, host.UsualStack, usual})
	}
	return js
}

func usual() []kernelcases.Case { return append(kernelcases.All(), kernelcases.Random(random())...) }

func spanCases() []kernelcases.Case {
	return append(kernelcases.Spans(), kernelcases.RandomSpans(random())...)
}

// random is the seed of random cases and their number: few, always the same.
// PREFLIGHT_RANDOM=SEED,N makes others.
func random() (seed uint64, n int) {
	seed, n = 1, 200
	if v := os.Getenv("PREFLIGHT_RANDOM"); v != "" {
		_, err := fmt.Sscanf(v, "%d,%d", &seed, &n)
		must(err)
	}
	return seed, n
}

// worked is what a worker reports.
type worked struct {
	Answers []answer
	Order   map[string]string // facts about match order
	// Hidden has verdicts about programs for arm64 where binfmt_misc is not to be seen.
	Hidden map[string][]Verdict
	// Overlay says where Layers and a mounted overlay differ.
	Overlay string
	Err     string
}

// workerMain runs in user and mount namespaces of its own and prints JSON.
func workerMain() {
	runtime.LockOSThread()
	flag.Parse() // what testing.Short reads
	out := worked{Order: map[string]string{}}
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
	misc := filepath.Join(base, "misc")
	must(unix.Mount("tmpfs", base, "tmpfs", 0, "mode=755"))
	must(os.Mkdir(misc, 0o755))
	must(kernelcases.MountBinfmt(misc))
	at := slices.IndexFunc(jobs(), func(j job) bool { return j.name == os.Getenv(workerVar) })
	j := jobs()[at]
	if j.state == "" {
		matchOrder(misc, out.Order)
		out.Overlay = overlayFacts(filepath.Join(base, "overlay"))
		out.Hidden = hiddenHandlers(base, misc)
		return
	}
	must(limitStack(j.stack))
	for _, st := range kernelcases.States() {
		if st.Name == j.state {
			st.Register(misc, filepath.Join(base, "emu"))
		}
	}
	machine := host.Local().Facts()
	machine.Binfmt = host.ReadBinfmt(misc)
	only := regexp.MustCompile(os.Getenv("PREFLIGHT_ONLY"))
	for i, c := range j.cases() {
		if only.MatchString(slug(c.Name)) {
			out.Answers = append(out.Answers, oneCase(kernelcases.Tree{Root: filepath.Join(base, fmt.Sprint("root", i))}, c, machine, misc))
		}
	}
}

// limitStack sets the limit that the programs of this process inherit.
func limitStack(n host.StackLimit) error {
	l := unix.Rlimit{}
	if err := unix.Getrlimit(unix.RLIMIT_STACK, &l); err != nil {
		return err
	}
	l.Cur = uint64(n)
	return unix.Setrlimit(unix.RLIMIT_STACK, &l)
}

// slug is a case's name as the name of a subtest.
func slug(name string) string {
	return strings.Map(func(r rune) rune {
		if r < 128 && (r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '.' || r == '-') {
			return r
		}
		return '_'
	}, name)
}

// hiddenHandlers asks what is known of handlers that another mount namespace
// sees: by check of the files, by the platform alone, and by check elsewhere.
func hiddenHandlers(base, misc string) map[string][]Verdict {
	const usual = "/proc/sys/fs/binfmt_misc"
	must(unix.Mount("tmpfs", usual, "tmpfs", 0, "mode=755"))
	defer func() { must(unix.Unmount(usual, unix.MNT_DETACH)) }()
	emulator := filepath.Join(base, "emulator")
	verdicts := map[string][]Verdict{}
	line := ":qemu-arm64:M::" + kernelcases.Magic("arm64") + ":" + emulator + ":"
	for _, c := range []struct {
		name, line string
		kept       bool // the emulator lies where the handler names it
	}{{"none", "", false}, {"held", line + "F", false}, {"held, and here", line + "F", true}, {"in the image", line, false}, {"here", line, true}} {
		kernelcases.ClearHandlers(misc)
		must(os.WriteFile(emulator, elfSpec{}.Bytes(), 0o755))
		if c.line != "" {
			kernelcases.Register(misc, c.line)
		}
		if !c.kept {
			must(os.Remove(emulator))
		}
		machine := host.Local()
		data, err := json.Marshal(machine.Portable())
		must(err)
		elsewhere, err := host.Read(bytes.NewReader(data))
		must(err)
		t := kernelcases.Tree{Root: filepath.Join(base, "hidden")}
		t.ELF("bin/prog", elfSpec{Arch: "arm64"})
		t.ELF("bin/native", elfSpec{})
		root, err := OpenDir(t.Root)
		must(err)
		foreign := platform.Platform{OS: "linux", Architecture: "arm64"}
		for _, h := range []Host{machine, elsewhere} {
			verdicts[c.name] = append(verdicts[c.name], Check(context.Background(), root, run("/bin/prog"), h).Verdict,
				RemoteGuess(foreign, h).Verdict, Check(context.Background(), root, run("/bin/native"), h).Verdict)
		}
		must(root.Close())
	}
	kernelcases.ClearHandlers(misc)
	return verdicts
}

// oneCase builds the root, asks the kernel, and asks Check. Its file goes
// away so that memory stays small.
func oneCase(t kernelcases.Tree, c kernelcases.Case, machine host.Facts, misc string) (a answer) {
	a.Name, a.Deep = c.Name, c.Deep()
	a.Chance = c.ByChance() || machine.MmapRndBits != 28 || machine.MmapRndCompatBits != 8
	must(os.MkdirAll(t.Root, 0o755))
	defer os.RemoveAll(t.Root)
	t.File("etc/passwd", []byte(kernelcases.Passwd), 0o644)
	t.File("etc/group", []byte(kernelcases.Group), 0o644)
	c.Build(t)
	root, err := OpenDir(t.Root)
	must(err)
	defer root.Close()
	a.Got = Check(context.Background(), root, commandOf(c.Command), machine)
	a.Kernel, err = kernelcases.Ask(c.Attempt(t.Root))
	must(err)
	if a.Kernel.Exe != "" && machine.Binfmt.Enabled && len(machine.Binfmt.Handlers) > 0 {
		kernelcases.Switch(misc, false)
		plain, err := kernelcases.Ask(c.Attempt(t.Root))
		must(err)
		kernelcases.Switch(misc, true)
		a.Differs = plain.Exe != a.Kernel.Exe
	}
	a.Kernel.Exe = strings.TrimPrefix(a.Kernel.Exe, t.Root)
	a.Got.Steps = nil
	return a
}

// runWorker starts a worker in its namespaces, for a job and those of its
// cases whose slug matches; or skips the test.
func runWorker(t *testing.T, name, only string) worked {
	t.Helper()
	testenv.Root(t)
	cmd := exec.Command("/proc/self/exe", "-test.short="+fmt.Sprint(testing.Short()))
	cmd.Env = append(os.Environ(), workerVar+"="+name, "PREFLIGHT_DIR="+t.TempDir(), "PREFLIGHT_ONLY="+only)
	kernelcases.Isolate(cmd)
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

// matchOrder registers handlers that all take the same bytes, in an order that
// no sorting gives, removes and adds again, and records the order read.
func matchOrder(misc string, facts map[string]string) {
	kernelcases.ClearHandlers(misc)
	for _, n := range []string{"m", "b", "z", "a", "k"} {
		kernelcases.Register(misc, ":"+n+":M::ORDR::/bin/"+n+":")
	}
	must(os.WriteFile(filepath.Join(misc, "b"), []byte("-1"), 0))
	_, err := os.Stat(filepath.Join(misc, "never"))
	if !os.IsNotExist(err) {
		panic(fs.ErrExist)
	}
	kernelcases.Register(misc, ":b:M::ORDR::/bin/b:")
	kernelcases.Register(misc, ":never:M::ORDR::/bin/never:")
	var names []string
	for _, h := range host.ReadBinfmt(misc).Handlers {
		names = append(names, h.Name)
	}
	facts["read"] = strings.Join(names, " ")
	facts["want"] = "never b k a z m"
}
