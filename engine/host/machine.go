package host

import (
	"runtime"
	"slices"
	"sync"

	"github.com/mpull/mpull/engine/platform"
)

// A Machine is this one: its facts, and its kernel to ask. Make it with [Local].
type Machine struct {
	facts   Facts
	hidden  bool     // it may have handlers that are not to be seen
	nested  bool     // the handlers to be seen need not be those in force
	answers sync.Map // what the kernel answered, by program: a Handler, or nil for none
}

// Facts returns what was read of this machine.
func (m *Machine) Facts() Facts { return m.facts }

// Match is that of the facts. Where files cannot tell, because handlers are not to
// be seen, are those of another user namespace, or hold their interpreter open, the
// kernel is asked about ELF programs of other architectures, in two milliseconds.
func (m *Machine) Match(head []byte, path string) (Handler, bool) {
	if m.hidden {
		return m.ask(head)
	}
	h, found := m.facts.Match(head, path)
	return m.confirm(head, h, found)
}

// Handler is that of the facts, by [Machine.Match].
func (m *Machine) Handler(p platform.Platform) (Handler, bool) {
	heads := elfHeads(p)
	if m.hidden && len(heads) > 1 {
		heads = heads[:1] // emulators take both kinds; to ask is dear
	}
	return m.facts.handler(heads, p, m.Match)
}

// Portable returns the facts for another machine, where this kernel cannot be
// asked: handlers of which the kernel says something else than their files, for
// any architecture known, are left out as hidden.
func (m *Machine) Portable() Facts {
	f := m.facts
	f.Binfmt.Handlers = slices.Clone(f.Binfmt.Handlers)
	for _, a := range elfArches {
		head := a.head(ELFTypeExec)
		seen, found := f.Match(head, "")
		asked, taken := m.Match(head, "")
		if found != taken || seen.Interpreter != asked.Interpreter {
			f.Binfmt.Handlers, f.Binfmt.Hidden = nil, true
			return f
		}
		if at := slices.IndexFunc(f.Binfmt.Handlers, func(e Handler) bool { return found && e.Name == seen.Name }); at >= 0 {
			f.Binfmt.Handlers[at].Opened = asked.Opened
		}
	}
	return f
}

// confirm asks the kernel what the files say of a program: whether a handler
// takes it, and what that one holds open, which may no longer lie at its path.
func (m *Machine) confirm(head []byte, seen Handler, found bool) (Handler, bool) {
	if seen.Extension != "" {
		return seen, found // it goes by the name of a file, and a program in memory has none
	}
	if !asks(head) || !found && !m.nested || found && !m.nested && !seen.Has('F') {
		return seen, found
	}
	asked, taken := m.ask(head)
	switch {
	case !taken:
		return Handler{}, false
	case asked.Has('F') && found && seen.Has('F') && asked.Interpreter == seen.Interpreter:
		seen.Opened = asked.Opened
		return seen, true
	case found && asked.Unsure != "" && (asked.started == "" || asked.started == seen.Interpreter):
		if seen.Has('F') && asked.Opened != nil {
			seen.Opened = asked.Opened
		}
		return seen, true // nothing speaks against it
	}
	return asked, true
}

// ask is askKernel, once for each kind of program.
func (m *Machine) ask(head []byte) (Handler, bool) {
	key := string(emptyProgram(head))
	answer, asked := m.answers.Load(key)
	if !asked {
		if h, taken := askKernel(head); taken {
			answer = h
		}
		m.answers.Store(key, answer)
	}
	h, taken := answer.(Handler)
	return h, taken
}

// asks reports whether the kernel can be asked about such a program: ELF of
// another architecture, which it does not start by itself.
func asks(head []byte) bool {
	p, ok := ELFPlatform(head)
	return ok && p.Architecture != runtime.GOARCH && p.Architecture != "386" && p.Architecture != "amd64p32"
}

// emptyProgram is an ELF header with the identification, type and machine of another.
func emptyProgram(head []byte) []byte {
	b := make([]byte, 64)
	copy(b, head[:20])
	ELFOrder(b).PutUint32(b[20:], 1) // e_version
	return b
}
