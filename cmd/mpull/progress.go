//go:build linux

package main

import (
	"os"
	"strings"

	"github.com/sirupsen/logrus"
	"github.com/urfave/cli/v2"

	"github.com/mpull/mpull/engine"
)

// progressMode is how a command shows what it is doing.
type progressMode string

// Progress modes.
const (
	progressAuto  progressMode = "auto"  // bars on a terminal, else plain
	progressPlain progressMode = "plain" // lines
	progressJSON  progressMode = "json"  // one event a line, for programs
	progressNone  progressMode = "none"  // nothing but what needs the user's attention
)

func progressFlag(to *string) cli.Flag {
	return &cli.StringFlag{Name: "progress", Value: string(progressAuto), Destination: to,
		Usage: "`HOW` to show progress on standard error: auto, plain, json (one event a line; see docs/events.md) or none"}
}

// progress reads the value of --progress. From then on, with json, all that goes
// to standard error is events.
func (p *program) progress(how string) (progressMode, error) {
	switch mode := progressMode(how); mode {
	case progressPlain, progressNone:
		return mode, nil
	case progressAuto:
		if p.errTerminal && os.Getenv("TERM") != "dumb" {
			return mode, nil
		}
		return progressPlain, nil
	case progressJSON:
		p.events = newEventWriter(striker{p.rawErr, p.secrets})
		logrus.SetOutput(noteWriter{p.events})
		return mode, nil
	default:
		return "", usagef("unknown --progress %q: use auto, plain, json or none", mode)
	}
}

// noteWriter turns each message of a library into an event.
type noteWriter struct{ events *eventWriter }

func (n noteWriter) Write(text []byte) (int, error) {
	n.events.write("note", noteBody{strings.TrimSpace(string(text))})
	return len(text), nil
}

// listen returns the event listener of a command that moves names but shows no
// other progress.
func (p *program) listen(how string) (func(engine.Event), error) {
	if _, err := p.progress(how); err != nil {
		return nil, err
	}
	return p.tellMoves, nil
}

// tellMoves tells what lost a name, and notes.
func (p *program) tellMoves(ev engine.Event) {
	switch {
	case p.events != nil:
		p.events.event(ev)
	case ev.Moved != nil:
		tellMoved(p.streams, ev.Moved)
	default:
		p.tellNotes(ev)
	}
}
