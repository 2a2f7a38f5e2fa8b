//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"strings"

	"github.com/sirupsen/logrus"
	"golang.org/x/sys/unix"

	"github.com/mpull/mpull/engine"
	"github.com/mpull/mpull/store"
	"github.com/mpull/mpull/store/query"
)

// Exit codes of every command.
const (
	exitOK          = 0
	exitNo          = 1   // no such image, or the answer is no
	exitInUse       = 2   // a container or a mount uses the image
	exitFailed      = 125 // mpull, registry or store failed, or bad usage
	exitInterrupted = 130 // SIGINT; SIGTERM ends with 143
)

// usageError is a mistake on the command line.
type usageError struct {
	text string
	next string // what to type instead; "" means the command's help
}

func (e *usageError) Error() string { return e.text }

func usagef(format string, args ...any) error {
	return &usageError{text: fmt.Sprintf(format, args...)}
}

// instead is usagef with what to type instead.
func instead(next, format string, args ...any) error {
	return &usageError{text: fmt.Sprintf(format, args...), next: next}
}

// seeHelp makes a mistake on the command line that has no better hint lead to
// the help of the command.
func seeHelp(err error, path []string) error {
	if usage, ok := errors.AsType[*usageError](err); ok && usage.next == "" {
		usage.next = "see " + strings.Join(append([]string{"mpull"}, path...), " ") + " --help"
	}
	return err
}

// codeError is an error that has been reported already, or has nothing to
// report, and carries its exit code.
type codeError struct{ code int }

func (e *codeError) Error() string { return fmt.Sprintf("exit code %d", e.code) }

// failure is the error of a command that ends with 125 whatever went wrong, as
// podman's command of that name does.
type failure struct{ error }

func (e *failure) Unwrap() error { return e.error }

func asFailure(err error) error {
	if err == nil {
		return nil
	}
	return &failure{err}
}

// signalError is the cause of a context that a signal ended.
type signalError struct{ signal unix.Signal }

func (e *signalError) Error() string { return "stopped by " + unix.SignalName(e.signal) }

// crashError is a panic: a fault of mpull's own.
type crashError struct{ value any }

func (e *crashError) Error() string {
	return fmt.Sprintf("mpull failed by a fault of its own: %v", e.value)
}

// guarded calls f and returns a panic of it as an error; the trace goes to the
// log of level debug.
func guarded(f func() error) (err error) {
	defer func() {
		if v := recover(); v != nil {
			err = &crashError{v}
			logrus.Debugf("%v\n%s", err, debug.Stack())
		}
	}()
	return f()
}

// exitCode maps an error to the code that the program ends with.
func exitCode(err error) int {
	var coded *codeError
	var sig *signalError
	var refused *engine.RefusedError
	switch {
	case err == nil:
		return exitOK
	case errors.As(err, new(*lostError)):
		return exitFailed
	case errors.As(err, &sig):
		return 128 + int(sig.signal)
	case errors.As(err, &refused):
		return refused.Result.ExitCode
	case errors.As(err, &coded):
		return coded.code
	case errors.Is(err, context.Canceled):
		return exitInterrupted
	case errors.As(err, new(*failure)):
		return exitFailed
	case errors.As(err, new(*query.UnknownError)), errors.As(err, new(*query.NotHereError)), errors.As(err, new(*engine.NothingLostError)):
		return exitNo
	case errors.Is(err, store.ErrInUse):
		return exitInUse
	}
	return exitFailed
}

// report prints an error as one line, and a hint as another. What an error
// says about causes stays in it; line breaks inside become separators.
func report(s *streams, err error) {
	if errors.As(err, new(*codeError)) {
		return
	}
	if s.events != nil && !errors.As(err, new(*lostError)) { // whom an event would tell that
		s.events.failed(err)
		return
	}
	fmt.Fprintf(s.err, "Error: %s\n", oneLine(s.secrets.Strike(err.Error())))
	if h := hint(err); h != "" {
		fmt.Fprintf(s.err, "Hint: %s\n", oneLine(h))
	}
}

// maxLine bounds an error line: some errors of the libraries quote a whole
// document.
const maxLine = 2000

func oneLine(s string) string {
	if len(s) > maxLine {
		s = s[:maxLine/2] + " [...] " + s[len(s)-maxLine/2:]
	}
	lines := strings.FieldsFunc(s, func(r rune) bool { return r == '\n' || r == '\r' })
	for i := range lines {
		lines[i] = strings.TrimSpace(lines[i])
	}
	return escape(strings.Join(lines, "; "))
}
