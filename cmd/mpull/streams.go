package main

import (
	"io"
	"os"
	"strings"

	"golang.org/x/term"
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

	release func() // makes signals no longer end the command's context
}

func systemStreams() *streams {
	s := &streams{
		in: os.Stdin, out: escaper{os.Stdout}, err: escaper{os.Stderr}, rawOut: os.Stdout, rawErr: os.Stderr,
		inTerminal:  term.IsTerminal(int(os.Stdin.Fd())),
		outTerminal: term.IsTerminal(int(os.Stdout.Fd())),
		errTerminal: term.IsTerminal(int(os.Stderr.Fd())),
	}
	if s.outTerminal {
		if w, _, err := term.GetSize(int(os.Stdout.Fd())); err == nil {
			s.width = w
		}
	}
	return s
}

// escaper is the last line of defence: whatever text reaches a stream, no
// control character but newline and tab does.
type escaper struct{ w io.Writer }

func (e escaper) Write(p []byte) (int, error) {
	var b strings.Builder
	b.Grow(len(p))
	escapeTo(&b, string(p), "\n\t")
	if _, err := io.WriteString(e.w, b.String()); err != nil {
		return 0, err
	}
	return len(p), nil
}
