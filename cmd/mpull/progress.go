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

func (p *program) progressFlag() cli.Flag {
	return &cli.StringFlag{Name: "progress", Value: string(progressAuto), Destination: (*string)(&p.progress),
		Usage: "`HOW` to show progress on standard error: auto, plain, json (one event a line; see docs/events.md) or none"}
}

// applyProgress makes --progress count. From then on, with json, all that goes to
// standard error is events.
func (p *program) applyProgress() error {
	switch p.progress {
	case progressPlain, progressNone:
	case progressAuto:
		if !p.errTerminal || os.Getenv("TERM") == "dumb" {
			p.progress = progressPlain
		}
	case progressJSON:
		p.events = newEventWriter(striker{p.rawErr, p.secrets})
		logrus.SetOutput(noteWriter{p.events})
	default:
		return usagef("unknown --progress %q: use auto, plain, json or none", p.progress)
	}
	return nil
}

// noteWriter turns each message of a library into an event.
type noteWriter struct{ events *eventWriter }

func (n noteWriter) Write(text []byte) (int, error) {
	n.events.note(strings.TrimSpace(string(text)))
	return len(text), nil
}

// tellMoves is the event listener of commands that move names but show no other
// progress: it tells what lost a name, and notes.
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
