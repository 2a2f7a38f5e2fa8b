//go:build linux

package main

import (
	"io"
	"os"
	"strings"

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
