package registry

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/mpull/mpull/engine/children"
)

// HelperError says that a credential helper did not answer.
type HelperError struct {
	Name string // docker-credential-...
	Wait time.Duration
}

func (e *HelperError) Error() string {
	return fmt.Sprintf("the credential helper %s did not answer for %s: is what it asks locked?", e.Name, e.Wait)
}

// helperPoll is how often helpers are looked for once they have to end.
const helperPoll = 50 * time.Millisecond

// EndHelpers ends the credential helpers that run longer than limit when ctx
// ends, with all that they started, until the function that it returns is
// called, and never after that. The image library starts them, waits for them without an end, and
// hands out no handle; they are the children of this process by their name. One
// that has only just been started belongs to somebody else's request.
func EndHelpers(ctx context.Context, limit time.Duration) (stop func()) {
	done, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		select {
		case <-done:
			return
		case <-ctx.Done():
		}
		tick := time.NewTicker(helperPoll)
		defer tick.Stop()
		for {
			least := time.Duration(0)
			if errors.As(context.Cause(ctx), new(*HelperError)) {
				least = limit - limit/10
			}
			for _, h := range helpers(least) {
				killTree(h.pid)
			}
			select {
			case <-done:
				return
			case <-tick.C:
			}
		}
	}()
	return func() {
		close(done)
		<-ended // the caller's ctx may end next, and then a helper is another question's
	}
}

// Hung returns the credential helper that has run for as long as limit, nil when
// there is none; left is what one that runs still has of it, 0 without one.
func Hung(limit time.Duration) (left time.Duration, hung error) {
	for _, h := range helpers(0) {
		if h.age >= limit-limit/10 {
			return 0, &HelperError{h.name, limit}
		}
		left = max(left, limit-h.age)
	}
	return left, nil
}

// helper is a credential helper that runs.
type helper struct {
	pid  int
	name string
	age  time.Duration // that it has run
}

// helpers lists the credential helpers among the children of this process that
// have run for so long.
func helpers(least time.Duration) (found []helper) {
	for _, pid := range children.Of(os.Getpid()) {
		if name, age := helperName(pid), age(pid); name != "" && age >= least {
			found = append(found, helper{pid, name, age})
		}
	}
	return found
}

// helperName is the name of the helper that a process is, "" when it is none.
// One that is a script is the argument of its interpreter.
func helperName(pid int) string {
	data, _ := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid)) // nothing of one that has ended
	words := strings.Split(string(data), "\x00")
	for _, w := range words[:min(len(words), 3)] {
		if name := filepath.Base(w); strings.HasPrefix(name, "docker-credential-") {
			return name
		}
	}
	return ""
}

// killTree ends a process and all that it started, which may hold its output
// open.
func killTree(pid int) {
	below := children.Of(pid)
	_ = unix.Kill(pid, unix.SIGKILL) // it may have ended meanwhile
	for _, child := range below {
		killTree(child)
	}
}

// ticks of the clock in a second, in which proc_pid_stat(5) counts: 100 for all
// programs, on every architecture.
const ticks = 100

// age is how long a process has run.
func age(pid int) time.Duration {
	data, _ := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	const started = 19 // of the fields behind the name
	f := strings.Fields(string(data[strings.LastIndexByte(string(data), ')')+1:]))
	var now unix.Timespec
	if len(f) <= started || unix.ClockGettime(unix.CLOCK_BOOTTIME, &now) != nil {
		return 0
	}
	since, err := strconv.ParseInt(f[started], 10, 64)
	if err != nil {
		return 0
	}
	return time.Duration(now.Nano()) - time.Duration(since)*time.Second/ticks
}
