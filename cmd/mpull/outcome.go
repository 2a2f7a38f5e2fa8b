//go:build linux

package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"runtime/debug"
	"sync"

	"github.com/sirupsen/logrus"
)

// sink is standard output. It remembers that something could not be written,
// whether the command that printed it looked or not, and fails the same way from
// then on: a command may look at any of its writes.
type sink struct {
	w    io.Writer
	mu   sync.Mutex
	lost error
}

func (s *sink) Write(p []byte) (int, error) {
	n, err := s.w.Write(p)
	if err != nil {
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.lost == nil {
			s.lost = err
		}
		err = s.lost
	}
	return n, err
}

// lostError says that what a command printed did not arrive.
type lostError struct{ error }

func (e *lostError) Error() string {
	cause := e.error
	var path *os.PathError
	if errors.As(cause, &path) {
		cause = path.Err
	}
	return fmt.Sprintf("writing to standard output: %v", cause)
}

func (e *lostError) Unwrap() error { return e.error }

// outcome is the error that a command ends with: its own, or that what it
// printed was lost. A command that merely answered no, or failed by what was
// lost, has nothing else to tell.
func (s *streams) outcome(err error) error {
	out, ok := s.rawOut.(*sink)
	if !ok {
		return err
	}
	out.mu.Lock()
	defer out.mu.Unlock()
	var coded *codeError
	switch {
	case out.lost == nil:
		return err
	case err == nil, errors.As(err, &coded), errors.Is(err, out.lost):
		return &lostError{out.lost}
	}
	return err
}

// crashError is a panic: a fault of mpull's own.
type crashError struct {
	value any
	stack []byte
}

func (e *crashError) Error() string {
	return fmt.Sprintf("mpull failed by a fault of its own: %v", e.value)
}

// guarded calls f and returns a panic of it as an error; the trace goes to the
// log of level debug.
func guarded(f func() error) (err error) {
	defer func() {
		if v := recover(); v != nil {
			crash := &crashError{v, debug.Stack()}
			logrus.Debugf("%v\n%s", crash, crash.stack)
			err = crash
		}
	}()
	return f()
}
