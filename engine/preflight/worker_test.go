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
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

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

// answer is a case's outcome on both sides.
type answer struct {
	Name     string
	Kernel   kernelcases.Seen
	Want     string
	WantCode int
	Got      Result
}

// worked is what a worker reports: the answers of each state.
type worked struct {
	States map[string][]answer
	Order  map[string]string // facts about match order, for TestMatchOrder
	// Hidden has verdicts about programs for arm64 where binfmt_misc is not to be seen.
	Hidden map[string][]Verdict
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
	misc := filepath.Join(base, "misc")
	must(unix.Mount("tmpfs", base, "tmpfs", 0, "mode=755"))
	must(os.Mkdir(misc, 0o755))
	must(kernelcases.MountBinfmt(misc))
	matchOrder(misc, out.Order)
	out.Overlay = overlayFacts(filepath.Join(base, "overlay"))
	out.Hidden = hiddenHandlers(base, misc)
	plain := map[string]string{}
	for _, st := range kernelcases.States() {
		kernelcases.ClearHandlers(misc)
		emu := filepath.Join(base, "emu")
		st.Register(misc, emu)
		host := platform.LocalHost()
		host.Binfmt = platform.ReadBinfmt(misc)
		cases := append(kernelcases.All(), randomCases()...)
		if st.Name == "none" && os.Getenv("PREFLIGHT_SHORT") == "" {
			cases = slices.Concat(cases, kernelcases.Mutated(), kernelcases.Segments(), kernelcases.Placement())
		}
		for i, c := range cases {
			t := kernelcases.Tree{Root: filepath.Join(base, st.Name, fmt.Sprint(i))}
			a := oneCase(t, c, host)
			key := fmt.Sprint(c.Name, i)
			if st.Name == "none" {
				plain[key] = a.Kernel.Exe
			}
			a.Want, a.WantCode = a.Kernel.Want(st.Name != "none" && a.Kernel.Exe != plain[key], c.Deep())
			out.States[st.Name] = append(out.States[st.Name], a)
		}
	}
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
		host := platform.LocalHost()
		data, err := json.Marshal(host.Portable())
		must(err)
		elsewhere, err := platform.ReadHost(bytes.NewReader(data))
		must(err)
		t := kernelcases.Tree{Root: filepath.Join(base, "hidden")}
		t.ELF("bin/prog", elfSpec{Arch: "arm64"})
		t.ELF("bin/native", elfSpec{})
		root, err := OpenDir(t.Root, IDMaps{})
		must(err)
		foreign := platform.Platform{OS: "linux", Architecture: "arm64"}
		for _, h := range []platform.Host{host, elsewhere} {
			verdicts[c.name] = append(verdicts[c.name], Check(context.Background(), root, run("/bin/prog"), h).Verdict,
				RemoteGuess(foreign, h).Verdict, Check(context.Background(), root, run("/bin/native"), h).Verdict)
		}
		must(root.Close())
	}
	kernelcases.ClearHandlers(misc)
	return verdicts
}

// randomCases are few, always the same; PREFLIGHT_RANDOM=SEED,N makes others.
func randomCases() []kernelcases.Case {
	seed, n := uint64(1), 200
	if v := os.Getenv("PREFLIGHT_RANDOM"); v != "" {
		_, err := fmt.Sscanf(v, "%d,%d", &seed, &n)
		must(err)
	}
	return kernelcases.Random(seed, n)
}

// oneCase builds the root, asks the kernel, and asks Check. Its file goes
// away so that memory stays small.
func oneCase(t kernelcases.Tree, c kernelcases.Case, host platform.Host) (a answer) {
	a.Name = c.Name
	must(os.MkdirAll(t.Root, 0o755))
	defer os.RemoveAll(t.Root)
	t.File("etc/passwd", []byte(kernelcases.Passwd), 0o644)
	t.File("etc/group", []byte(kernelcases.Group), 0o644)
	c.Build(t)
	root, err := OpenDir(t.Root, IDMaps{})
	must(err)
	defer root.Close()
	a.Got = Check(context.Background(), root, commandOf(c.Command), host)
	a.Kernel, err = kernelcases.Ask(c.Attempt(t.Root))
	must(err)
	a.Kernel.Exe = strings.TrimPrefix(a.Kernel.Exe, t.Root)
	a.Got.Steps = nil
	return a
}

// runWorker starts the worker in its namespaces, or skips the test.
func runWorker(t *testing.T) worked {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("asking the kernel as several users needs root, for a user namespace with more than one ID")
	}
	cmd := exec.Command("/proc/self/exe")
	cmd.Env = append(os.Environ(), workerVar+"=1", "PREFLIGHT_DIR="+t.TempDir())
	if testing.Short() {
		cmd.Env = append(cmd.Env, "PREFLIGHT_SHORT=1")
	}
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
	for _, h := range platform.ReadBinfmt(misc).Handlers {
		names = append(names, h.Name)
	}
	facts["read"] = strings.Join(names, " ")
	facts["want"] = "never b k a z m"
}
