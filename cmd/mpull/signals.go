//go:build linux

package main

import (
	"context"
	"os"
	"os/signal"
	"time"

	"golang.org/x/sys/unix"

	"github.com/mpull/mpull/store/waits"
)

// How long a command that was told to stop may clean up. What it has not done by
// then the next command finds, as after a kill.
const (
	stopTime = 5 * time.Second
	// lockTime is the time for a command that waits for a lock of another process:
	// it has begun nothing that would need cleaning up.
	lockTime = 300 * time.Millisecond
	stopPoll = 100 * time.Millisecond
	// sameTime is how long a signal that comes again counts as the first: in a
	// user namespace Ctrl-C comes from the terminal and from the process outside.
	sameTime = 250 * time.Millisecond
	// innerTime is added for the process outside a user namespace, so that the
	// one inside, which gets the signal too, ends first.
	innerTime = 2 * time.Second
)

// stopSignals ask a program to end. One that was started with one of them
// ignored (nohup) goes on ignoring it.
func stopSignals() (all []os.Signal) {
	for _, s := range []os.Signal{unix.SIGINT, unix.SIGTERM, unix.SIGHUP} {
		if !signal.Ignored(s) {
			all = append(all, s)
		}
	}
	return all
}

// cancelOnSignal makes SIGINT, SIGTERM and SIGHUP end the context, so that
// what was begun is cleaned up. A second one ends the program at once. So does the
// end of that time (outlast): a library that waits does not look at the context.
func cancelOnSignal(s *streams, cancel context.CancelCauseFunc, ended <-chan struct{}) (stop func()) {
	signals := make(chan os.Signal, 2)
	if all := stopSignals(); len(all) > 0 { // none would mean all
		signal.Notify(signals, all...)
	}
	go func() {
		sig, ok := (<-signals).(unix.Signal)
		if !ok {
			return // the channel is closed
		}
		cancel(&signalError{sig})
		select {
		case s.told <- sig:
		default:
		}
		time.AfterFunc(sameTime, func() { signal.Reset(stopSignals()...) })
		outlast(s, sig, ended)
	}()
	return func() {
		signal.Stop(signals)
		close(signals)
	}
}

// outlast ends the program when it does not end by itself.
func outlast(s *streams, sig unix.Signal, ended <-chan struct{}) {
	limit := time.Now().Add(stopTime)
	if outside() {
		limit = limit.Add(innerTime)
	}
	tick := time.NewTicker(stopPoll)
	defer tick.Stop()
	var waiting time.Duration
	for {
		select {
		case <-ended:
			return
		case now := <-tick.C:
			lock, ok := waits.OfThis()
			if waiting += stopPoll; !ok {
				waiting = 0
			}
			if waiting < lockTime && now.Before(limit) {
				continue
			}
			err := error(&signalError{sig})
			if ok {
				err = &waitingError{err, lock}
			}
			report(s, err)
			os.Exit(exitCode(err))
		}
	}
}

// waitingError is a signal that came while a lock was waited for.
type waitingError struct {
	error
	lock waits.Lock
}

func (e *waitingError) Error() string { return e.error.Error() + " while " + e.lock.String() }

func (e *waitingError) Unwrap() error { return e.error }

// patience is how long a command waits for another without a word.
const patience = 2 * time.Second

// tellWaits says whom the command waits for, when that takes long.
func tellWaits(s *streams, ended <-chan struct{}) {
	tick := time.NewTicker(patience / 2)
	defer tick.Stop()
	var last waits.Lock
	told := false
	for {
		select {
		case <-ended:
			return
		case <-tick.C:
			lock, ok := waits.OfThis()
			switch {
			case !ok:
				last = waits.Lock{}
			case lock != last:
				last, told = lock, false
			case !told:
				told = true
				s.note(lock.String())
			}
		}
	}
}

// note tells people something, or a program by an event.
func (s *streams) note(text string) {
	if s.events != nil {
		s.events.note(text)
		return
	}
	_, _ = s.err.Write([]byte(escape(text) + "\n"))
}
