//go:build linux

package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/mpull/mpull/engine"
	"github.com/mpull/mpull/engine/platform"
	"github.com/mpull/mpull/engine/registry"
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
type usageError struct{ text string }

func (e *usageError) Error() string { return e.text }

func usagef(format string, args ...any) error {
	return &usageError{fmt.Sprintf(format, args...)}
}

// codeError is an error that has been reported already, or has nothing to
// report, and carries its exit code.
type codeError struct{ code int }

func (e *codeError) Error() string { return fmt.Sprintf("exit code %d", e.code) }

// failure is an error of a command for which podman's exit code is 125 whatever
// went wrong.
type failure struct{ error }

func (e *failure) Unwrap() error { return e.error }

func asFailure(err error) error {
	if err == nil {
		return nil
	}
	return &failure{err}
}

// signalError is the cause of a context that a signal ended.
type signalError struct{ signal os.Signal }

func (e *signalError) Error() string {
	if s, ok := e.signal.(unix.Signal); ok {
		return "stopped by " + unix.SignalName(s)
	}
	return "stopped by " + e.signal.String()
}

// exitCode maps an error to the code that the program ends with.
func exitCode(err error) int {
	var coded *codeError
	var failed *failure
	var sig *signalError
	var unknown *query.UnknownError
	var notHere *query.NotHereError
	var refused *engine.RefusedError
	var lost *lostError
	switch {
	case err == nil:
		return exitOK
	case errors.As(err, &lost):
		return exitFailed
	case errors.As(err, &sig):
		if s, ok := sig.signal.(unix.Signal); ok {
			return 128 + int(s)
		}
		return exitInterrupted
	case errors.As(err, &refused):
		return refused.Result.ExitCode
	case errors.As(err, &coded):
		return coded.code
	case errors.Is(err, context.Canceled):
		return exitInterrupted
	case errors.As(err, &failed):
		return exitFailed
	case errors.As(err, &unknown), errors.As(err, &notHere):
		return exitNo
	case errors.Is(err, store.ErrInUse):
		return exitInUse
	}
	return exitFailed
}

// hint says what to do next about an error, "" when there is nothing to add.
func hint(err error) string {
	var unknown *query.UnknownError
	var notFound *platform.NotFoundError
	var usage *usageError
	var refused *engine.RefusedError
	var led *registry.RefusedError
	var notLocked *engine.NotLockedError
	var crashed *crashError
	var isList *engine.ManifestListError
	var artifact *registry.NotImageError
	var unproven *engine.UnprovenError
	var absentPlatforms *engine.AbsentPlatformsError
	var noList *json.UnmarshalTypeError
	var contradiction *store.ContradictionError
	var interrupted *engine.InterruptedError
	var elsewhere *store.ElsewhereError
	switch {
	case errors.As(err, &interrupted):
		return size(interrupted.Kept) + " kept; run it again to go on"
	case errors.As(err, new(*signalError)):
		return "" // whatever else went wrong came of that
	case errors.As(err, &notLocked):
		return "mpull lock FILE IMAGE locks more names and platforms"
	case errors.As(err, &refused):
		return refusalHint(refused)
	case errors.As(err, &usage):
		return "see mpull --help"
	case errors.As(err, &isList):
		if isList.Here != "" {
			return fmt.Sprintf("name one of its images by its ID, such as %.12s", isList.Here)
		}
		return "pull one of its images by its digest: mpull pull REPOSITORY@DIGEST"
	case errors.As(err, &artifact):
		if registry.IsWasm(artifact.Type) {
			return "mpull pulls images, whose layers are tar archives; a WebAssembly module as an artifact is for wkg, oras or a container runtime that knows it"
		}
		return "mpull platforms lists what there is; artifacts are pulled with oras or with the tool that they are for"
	case errors.As(err, &unproven):
		if len(unproven.Actual) > 0 {
			return "it is taken for " + unproven.Actual[0] + ", or without a platform: mpull pull --platform " + unproven.Actual[0] + " ..."
		}
		return "without a platform it is pulled as it is; mpull check then tells whether it starts"
	case errors.As(err, &absentPlatforms):
		return "--skip-missing makes that a warning"
	case errors.As(err, &unknown):
		if len(unknown.Held) > 0 {
			img := unknown.Held[0]
			if img.IsList {
				return fmt.Sprintf("a manifest list once had that name: mpull restore %.12s gives it back", img.ID)
			}
			return fmt.Sprintf("an image of %s once had that name: mpull restore %.12s gives it back", orNone(img.Platform()), img.ID)
		}
		return "mpull images --all lists what is here"
	case errors.As(err, &notFound):
		return notFound.Hint
	case errors.As(err, &contradiction):
		return "mpull doctor says what it is; nothing was removed"
	case errors.As(err, &noList) && strings.HasPrefix(noList.Field, "config."):
		return "the image's config is none that an engine takes: build it again, with " + strings.TrimPrefix(noList.Field, "config.") + ` as a list where it is a command, such as ["/app", "--flag"]`
	case errors.As(err, &elsewhere):
		if elsewhere.Shared {
			return "each machine that reads it has containers of its own: put another store in its place, or remove images by name with mpull rmi"
		}
		return fmt.Sprintf("mpull --root %s --runroot %s --imagestore %s sees both", elsewhere.Root, elsewhere.RunRoot, elsewhere.Images)
	case errors.As(err, new(*engine.GuardedError)):
		return "pull it without moving the name: mpull pull --no-tag ..., and use the image by its digest; or leave out --guard-tags"
	case errors.As(err, new(*engine.PinnedError)):
		return "take it out of pinned_images or pause_image there, or use --force"
	case errors.Is(err, store.ErrMayNotMount):
		return "start mpull with that capability, or as an ordinary user, who has user namespaces"
	case errors.Is(err, store.ErrReadOnly):
		return "name another store with --root and --runroot"
	case errors.As(err, &led):
		return led.Next
	case errors.As(err, new(*lostError)):
		return ""
	case errors.As(err, &crashed):
		return "please report it, with what --log-level debug shows"
	case errors.Is(err, unix.ENOSPC):
		return fullHint(err)
	}
	return ""
}

// fullHint names the disk that is full, where the error does.
func fullHint(err error) string {
	var path *os.PathError
	var written *os.SyscallError
	var space *engine.SpaceError
	if errors.As(err, &space) && space.What == engine.SpaceOfArchive {
		return "write it to another disk"
	}
	if errors.As(err, &path) && filepath.IsAbs(path.Path) && !errors.As(err, &written) {
		return fmt.Sprintf("the disk of %s is full; where that is the store's, mpull prune shows what can be freed", filepath.Dir(path.Path))
	}
	return "mpull prune shows what can be freed"
}

// report prints an error as one line, and a hint as another. What an error
// says about causes stays in it; line breaks inside become separators.
func report(s *streams, err error) {
	var coded *codeError
	if errors.As(err, &coded) {
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
