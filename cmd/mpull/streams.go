//go:build linux

package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"

	"golang.org/x/term"

	"github.com/mpull/mpull/engine/registry"
)

// streams are where a command reads and writes. out carries data only, err all
// else. Both escape what could steer a terminal; raw does not, for documents
// that must come out byte for byte.
type streams struct {
	in     io.Reader
	out    io.Writer
	err    io.Writer
	rawOut io.Writer // out without escaping
	rawErr io.Writer // err without escaping, for progress bars

	inTerminal  bool
	outTerminal bool
	errTerminal bool
	width       int // columns of the terminal; 0 when out is none

	events  *eventWriter      // set by --progress json: then nothing else goes to err
	secrets *registry.Secrets // never printed to err, nor as the text of an error
	release func()            // makes signals no longer end the command's context
	told    chan os.Signal    // has the signal that ended it, for the process inside a user namespace
}

func systemStreams() *streams {
	s := &streams{
		secrets: &registry.Secrets{}, told: make(chan os.Signal, 1),
		in: os.Stdin, rawOut: &sink{w: os.Stdout}, rawErr: os.Stderr,
		inTerminal:  term.IsTerminal(int(os.Stdin.Fd())),
		outTerminal: term.IsTerminal(int(os.Stdout.Fd())),
		errTerminal: term.IsTerminal(int(os.Stderr.Fd())),
	}
	s.width = columns(os.Stdout)
	s.out = display{escaper{s.rawOut}, s.width}
	s.err = display{escaper{striker{os.Stderr, s.secrets}}, columns(os.Stderr)}
	return s
}

// columns is the width of the terminal that f is, 0 when it is none.
func columns(f *os.File) int {
	w, _, err := term.GetSize(int(f.Fd()))
	if err != nil {
		return 0
	}
	return w
}

// escaper is the last line of defence: whatever text reaches a stream, no
// control character but newline and tab does.
type escaper struct{ w io.Writer }

// striker leaves out secrets, which come back in what registries answer.
type striker struct {
	w       io.Writer
	secrets *registry.Secrets
}

func (s striker) Write(p []byte) (int, error) {
	if _, err := io.WriteString(s.w, s.secrets.Strike(string(p))); err != nil {
		return 0, err
	}
	return len(p), nil
}

// display is an escaper that knows how wide it is.
type display struct {
	escaper
	columns int // 0 when it is no terminal
}

// width tells a table how wide it may be.
func (d display) width() int { return d.columns }

func (e escaper) Write(p []byte) (int, error) {
	var b strings.Builder
	b.Grow(len(p))
	escapeTo(&b, string(p), "\n\t")
	if _, err := io.WriteString(e.w, b.String()); err != nil {
		return 0, err
	}
	return len(p), nil
}

// sink is standard output. It remembers the first write that failed, since
// commands do not look at each of their writes, and fails all later ones likewise:
// outcome tells of it.
type sink struct {
	w    io.Writer
	mu   sync.Mutex
	lost error
}

func (s *sink) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.lost != nil {
		return 0, s.lost
	}
	n, err := s.w.Write(p)
	s.lost = err
	return n, err
}

// lostError says that what a command printed did not arrive.
type lostError struct{ error }

func (e *lostError) Error() string {
	cause := e.error
	if path, ok := errors.AsType[*os.PathError](cause); ok {
		cause = path.Err
	}
	return fmt.Sprintf("writing to standard output: %v", cause)
}

func (e *lostError) Unwrap() error { return e.error }

// outcome is the error that a command ends with: its own, or a lostError where
// what it printed did not arrive and it has no other failure to tell.
func (s *streams) outcome(err error) error {
	out, ok := s.rawOut.(*sink)
	if !ok {
		return err
	}
	out.mu.Lock()
	defer out.mu.Unlock()
	switch {
	case out.lost == nil:
		return err
	case err == nil, errors.As(err, new(*codeError)), errors.Is(err, out.lost):
		return &lostError{out.lost}
	}
	return err
}
