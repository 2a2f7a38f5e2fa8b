package container

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"github.com/mpull/mpull/engine/children"
)

// deadly tells whether a signal has to end a container without the help of the
// program in it. The program is the first process of its PID namespace, to which
// the kernel delivers only signals that it has a handler for
// (pid_namespaces(7)), and so is the runtime, under Init, while it has none
// yet. A signal that would be lost so does what it does to any other program:
// it ends it. One that the program ignores is ignored.
func deadly(runtime int, s syscall.Signal) bool {
	program := firstProcess(runtime)
	if program == 0 {
		return true // it is not started yet
	}
	lost, ok := defaulted(program, s)
	return ok && lost
}

// firstProcess finds the program of a container: the process below the runtime
// that is the first of a namespace of its own and is no longer the runtime
// itself; 0 when there is none yet.
func firstProcess(runtime int) int {
	outer := len(namespaceIDs(runtime))
	for _, child := range children.Of(runtime) {
		ids := namespaceIDs(child)
		if len(ids) > outer && ids[len(ids)-1] == "1" && !sameProgram(runtime, child) {
			return child
		}
		if found := firstProcess(child); found != 0 {
			return found
		}
	}
	return 0
}

// statusOf returns a line of /proc/PID/status, split.
func statusOf(pid int, key string) []string {
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return nil
	}
	for line := range bytes.Lines(data) {
		if rest, ok := bytes.CutPrefix(line, []byte(key+":")); ok {
			return strings.Fields(string(rest))
		}
	}
	return nil
}

// namespaceIDs are the IDs of a process in each PID namespace that it is in.
func namespaceIDs(pid int) []string { return statusOf(pid, "NSpid") }

// sameProgram tells whether a process still is what the runtime starts by
// itself: its own program, under this or another path, or a copy of it in memory
// (the runtimes' guard against CVE-2019-5736). What cannot be seen is taken for
// that.
func sameProgram(runtime, child int) bool {
	link := fmt.Sprintf("/proc/%d/exe", child)
	one, err := os.Stat(fmt.Sprintf("/proc/%d/exe", runtime))
	other, otherErr := os.Stat(link)
	if err != nil || otherErr != nil || os.SameFile(one, other) {
		return true
	}
	path, err := os.Readlink(link)
	return err != nil || strings.HasPrefix(path, "/memfd:")
}

// defaulted tells whether a process does with a signal what a process does by
// default: it has no handler for it, does not ignore it, and does not keep it
// back to wait for it (sigwait(3), signalfd(2)).
func defaulted(pid int, s syscall.Signal) (yes, ok bool) {
	for _, key := range []string{"SigCgt", "SigIgn", "SigBlk"} {
		f := statusOf(pid, key)
		if len(f) != 1 {
			return false, false
		}
		mask, err := strconv.ParseUint(f[0], 16, 64)
		if err != nil {
			return false, false
		}
		if mask>>(uint(s)-1)&1 == 1 {
			return false, true
		}
	}
	return !waitsForSignals(pid), true
}

// waitsForSignals tells whether a process is in sigwait(3), in which the kernel
// shows none of the signals that are waited for as blocked.
func waitsForSignals(pid int) bool {
	tasks, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/wchan", pid)) // fails for a wrong pattern alone
	return slices.ContainsFunc(tasks, func(path string) bool {
		where, err := os.ReadFile(path)
		return err == nil && bytes.Contains(where, []byte("sigtimedwait"))
	})
}
