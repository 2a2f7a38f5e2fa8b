package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// tool is a program that does the work of a row.
type tool struct {
	name string
	pull func(s place, ref string) []string
	list func(s place) []string // nil where the tool cannot
	gc   func(s place) []string
	use  func(s place, ref, platform string) []string
	look func(s place, ref string) []string // will it start?
	cold func(s place, ref string) []string // in place of pull, for what fills no store
	save func(s place, ref, to string) []string
	// daemon starts what the tool talks to, if anything.
	daemon func(ctx context.Context, s place) (stop func() error, err error)
}

// place is a store of one tool.
type place struct {
	ground
	root, run, dir string
}

func (s place) flags() []string {
	return append([]string{"--root", s.root, "--runroot", s.run}, s.ground.flags()...)
}

// tools returns mpull, the plain library path, the floor, and the peers that
// are installed; those that are not are named.
func tools(mpull, self, policy string, peers bool) []tool {
	all := []tool{{
		name: "mpull",
		pull: func(s place, ref string) []string {
			return append(append([]string{mpull, "--policy-file", policy}, s.flags()...), "pull", "-q", "--tls-verify=false", ref)
		},
		list: func(s place) []string {
			return append(append([]string{mpull}, s.flags()...), "images", "-a")
		},
		gc: func(s place) []string {
			return append(append([]string{mpull}, s.flags()...), "prune", "-f")
		},
		use: func(s place, ref, platform string) []string {
			return append(append([]string{mpull}, s.flags()...), "use", "--platform", platform, ref)
		},
		look: func(s place, ref string) []string {
			return append(append([]string{mpull}, s.flags()...), "check", ref)
		},
		save: func(s place, ref, to string) []string {
			return append(append([]string{mpull}, s.flags()...), "save", "-q", "--format", "oci-archive", "-o", to, ref)
		},
	}, {
		name: "plain",
		pull: func(s place, ref string) []string {
			return append([]string{self, plainWord, s.root, s.run, ref, s.driver}, s.options...)
		},
	}, {
		name: "floor",
		cold: func(s place, ref string) []string { return []string{self, floorWord, s.root, ref} },
	}}
	if !peers {
		return all
	}
	if path := peer("podman"); path != "" {
		all = append(all, tool{
			name: "podman",
			pull: func(s place, ref string) []string {
				return append(append([]string{path}, s.flags()...), "pull", "-q", "--signature-policy", policy, "--tls-verify=false", ref)
			},
			list: func(s place) []string {
				return append(append([]string{path}, s.flags()...), "images", "-a")
			},
			gc: func(s place) []string {
				return append(append([]string{path}, s.flags()...), "image", "prune", "-f")
			},
			save: func(s place, ref, to string) []string {
				return append(append([]string{path}, s.flags()...), "save", "-q", "--format", "oci-archive", "-o", to, ref)
			},
		})
	}
	if path := peer("skopeo"); path != "" {
		all = append(all, tool{
			name: "skopeo",
			pull: func(s place, ref string) []string {
				source, name := "docker://"+ref, ref
				if fromLayout(ref) {
					source, name = ref, "localhost/bench:1"
				}
				store := s.driver + "@" + s.root + "+" + s.run
				if len(s.options) > 0 {
					store += ":" + strings.Join(s.options, ",")
				}
				return []string{path, "--policy", policy, "copy", "-q", "--src-tls-verify=false", source, "containers-storage:[" + store + "]" + name}
			},
		})
	}
	if t, ok := containerd(); ok {
		all = append(all, t)
	}
	return all
}

func peer(name string) string {
	path, err := exec.LookPath(name)
	if err != nil {
		fmt.Printf("skipped: %s is not installed\n", name)
		return ""
	}
	return path
}

// measurement is one run of a command.
type measurement struct {
	wall time.Duration
	cpu  time.Duration
	rss  int64 // KiB, of the largest process
	came int64 // bytes that the registry answered
}

// measureWord makes this program run one command and print what it took. A
// child inherits the peak memory of the process that starts it: started from
// the one that serves the images, every command would seem to need gigabytes.
const measureWord = "measure"

// measure runs a command to its end; what it prints is shown when it fails.
func measure(ctx context.Context, argv, env []string) (measurement, error) {
	self, err := os.Executable()
	if err != nil {
		return measurement{}, err
	}
	cmd := exec.CommandContext(ctx, self, append([]string{measureWord}, argv...)...)
	cmd.Env = append(os.Environ(), env...)
	var text strings.Builder
	cmd.Stderr = &text
	out, err := cmd.Output()
	if err != nil {
		return measurement{}, fmt.Errorf("%v: %w: %s", argv, err, text.String())
	}
	var wall, cpu, rss int64
	if _, err := fmt.Sscan(string(out), &wall, &cpu, &rss); err != nil {
		return measurement{}, err
	}
	return measurement{wall: time.Duration(wall), cpu: time.Duration(cpu), rss: rss}, nil
}

// measureChild runs the command and prints nanoseconds of wall and of CPU time
// and the peak memory in KiB. Nothing runs beside the command: no goroutine
// reads what it prints.
func measureChild(argv []string) int {
	cmd := exec.Command(argv[0], argv[1:]...)
	cmd.Stderr = os.Stderr
	var err error
	if cmd.SysProcAttr, err = credential(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	start := time.Now()
	err = cmd.Run()
	wall := time.Since(start)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_CHILDREN, &usage); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	cpu := cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()
	fmt.Println(wall.Nanoseconds(), cpu.Nanoseconds(), usage.Maxrss)
	return 0
}

// newPlace makes an empty store directory.
func newPlace(dir string, on ground) (place, error) {
	d, err := os.MkdirTemp(dir, "store-")
	if err == nil && on.account != nil {
		err = on.account.own(d)
	}
	return place{ground: on, root: filepath.Join(d, "root"), run: filepath.Join(d, "run"), dir: d}, err
}

// remove unmounts what the store's driver left mounted and deletes it.
func (s place) remove() error {
	err := syscall.Unmount(filepath.Join(s.root, s.driver), 0)
	if errors.Is(err, syscall.EINVAL) || errors.Is(err, syscall.ENOENT) || errors.Is(err, syscall.EPERM) {
		err = nil
	}
	return errors.Join(err, os.RemoveAll(s.dir))
}
