//go:build linux

package main

import (
	"fmt"
	"os"
	"os/signal"
	"slices"
	"strconv"
	"syscall"

	"go.podman.io/storage/pkg/unshare"
	"golang.org/x/sys/unix"
)

// takeSignals returns the signals to pass on to the program in the container:
// from now on they no longer end the command's context. handed brings those that
// the process outside a user namespace got. typed says that the program gets from
// the terminal itself what is typed there (Ctrl-C): then mpull ignores it.
func (p *program) takeSignals(handed <-chan os.Signal, typed bool) <-chan os.Signal {
	passed, dropped := make(chan os.Signal, 64), make(chan os.Signal, 1)
	signal.Notify(passed, unix.SIGHUP, unix.SIGTERM, unix.SIGUSR1, unix.SIGUSR2, unix.SIGALRM)
	keyboard := passed
	if typed {
		keyboard = dropped
	}
	signal.Notify(keyboard, unix.SIGINT, unix.SIGQUIT)
	p.release()
	if handed != nil {
		go func() {
			for s := range handed {
				if s != unix.SIGQUIT || !typed {
					passed <- s
				}
			}
		}()
	}
	return passed
}

// outside tells whether this process is an ordinary user's, which will start
// itself again in a user namespace.
func outside() bool { return unshare.IsRootless() && os.Geteuid() != 0 }

// handVar names the descriptor from which the process in the user namespace
// reads, a byte each, the signals that the process outside got.
const handVar = "MPULL_SIGNALS_FD"

// handed lists the signals that package unshare does not pass into the user
// namespace.
func handed() []os.Signal {
	return []os.Signal{unix.SIGQUIT, unix.SIGUSR1, unix.SIGUSR2, unix.SIGALRM}
}

// handSignalsIn makes the process outside hand on the signals of handed,
// through a pipe that the process in the user namespace inherits: only package
// unshare knows which one that is. Those that come before it reads wait there.
func handSignalsIn() error {
	var ends [2]int
	if err := unix.Pipe2(ends[:], unix.O_CLOEXEC); err != nil {
		return fmt.Errorf("making a pipe for signals: %w", err)
	}
	if _, err := unix.FcntlInt(uintptr(ends[0]), unix.F_SETFD, 0); err != nil {
		return fmt.Errorf("keeping the pipe for signals open: %w", err)
	}
	if err := os.Setenv(handVar, strconv.Itoa(ends[0])); err != nil {
		return err
	}
	signals := make(chan os.Signal, 64)
	signal.Notify(signals, handed()...)
	go func() {
		for s := range signals {
			if n, ok := s.(syscall.Signal); ok {
				_, _ = unix.Write(ends[1], []byte{byte(n)}) // nobody reads any more: the program has ended
			}
		}
	}()
	return nil
}

// handedSignals reads the other end of that pipe; nil when there is none.
func handedSignals() <-chan os.Signal {
	fd, err := strconv.Atoi(os.Getenv(handVar))
	if err != nil || !unshare.IsRootless() || outside() {
		return nil
	}
	_ = os.Unsetenv(handVar)
	unix.CloseOnExec(fd)
	pipe, signals := os.NewFile(uintptr(fd), "signals"), make(chan os.Signal)
	if pipe == nil {
		return nil
	}
	go func() {
		defer close(signals)
		for b := make([]byte, 1); ; {
			if _, err := pipe.Read(b); err != nil {
				return
			}
			if s := syscall.Signal(b[0]); slices.Contains(handed(), os.Signal(s)) {
				signals <- s
			}
		}
	}()
	return signals
}
