package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/mpull/mpull/store"
	"github.com/mpull/mpull/store/query"
)

func TestExitCode(t *testing.T) {
	unknown := &query.UnknownError{Input: "x"}
	for _, tt := range []struct {
		err  error
		want int
	}{
		{nil, 0},
		{unknown, 1},
		{fmt.Errorf("pulling: %w", unknown), 1},
		{&query.NotHereError{}, 1},
		{asFailure(unknown), 125}, // podman's tag and untag
		{fmt.Errorf("image: %w", store.ErrInUse), 2},
		{errors.New("registry"), 125},
		{usagef("no"), 125},
		{store.ErrReadOnly, 125},
		{&codeError{7}, 7},
		{context.Canceled, 130},
		{errors.Join(&signalError{unix.SIGINT}, errors.New("copying")), 130},
		{&signalError{unix.SIGTERM}, 143},
		{&signalError{unix.SIGHUP}, 129},
	} {
		if got := exitCode(tt.err); got != tt.want {
			t.Errorf("exitCode(%v) = %d, want %d", tt.err, got, tt.want)
		}
	}
}

func TestReport(t *testing.T) {
	for _, tt := range []struct {
		err  error
		want string
	}{
		{errors.Join(errors.New("one\nline"), errors.New("\x1b[31mtwo")), "Error: one; line; \\x1b[31mtwo\n"},
		{fmt.Errorf("pulling x: %w", &signalError{unix.SIGTERM}), "Error: pulling x: stopped by SIGTERM\n"},
		{usagef("bad flag"), "Error: bad flag\nHint: see mpull --help\n"},
		{fmt.Errorf("writing: %w", unix.ENOSPC), "Hint: mpull prune shows what can be freed\n"},
		{fmt.Errorf("x: %w", json.Unmarshal([]byte(`"/app"`), new([]string))), "Error: x: json: cannot unmarshal string into Go value of type []string\n"},
		{fmt.Errorf("x: %w", configOf(`{"config":{"Entrypoint":"/app"}}`)), "Hint: the image's config is none that an engine takes: build it again, with Entrypoint as a list where it is a command, such as [\"/app\", \"--flag\"]\n"},
		{&query.UnknownError{Input: "x"}, "Hint: mpull images --all lists what is here\n"},
		{&query.UnknownError{Input: "x", Held: []store.Image{{ID: strings.Repeat("ab", 32)}}}, "mpull restore abababababab gives it back\n"},
		{fmt.Errorf("x: %w", store.ErrMayNotMount), "Hint: start mpull with that capability, or as an ordinary user, who has user namespaces\n"},
		{fmt.Errorf("x: %w", &store.ClosedError{Err: unix.EACCES}), "Error: x: permission denied\nHint: name another store with --root and --runroot\n"},
		{fmt.Errorf("x: %w", store.ErrReadOnly), "Hint: name another store with --root and --runroot\n"},
	} {
		var b bytes.Buffer
		report(&streams{err: escaper{&b}}, tt.err)
		if !strings.HasPrefix(b.String(), "Error: ") || !strings.HasSuffix(b.String(), tt.want) {
			t.Errorf("report(%v) = %q, want %q", tt.err, b.String(), tt.want)
		}
	}
	var b bytes.Buffer
	report(&streams{err: &b}, errors.Join(&codeError{1}, errors.New("said already")))
	if b.Len() != 0 {
		t.Errorf("an error that has been reported is reported again: %q", &b)
	}
}

// TestRun goes through main's own door without a store.
func TestRun(t *testing.T) {
	for _, tt := range []struct {
		args     string
		code     int
		out, err string
	}{
		{"version", 0, "mpull ", ""},
		{"--help", 0, "mpull help COMMAND", ""},
		{"help all", 0, "Exit codes:", ""},
		{"tag --help", 0, "mpull tag", ""},
		{"version extra", 125, "", "usage: mpull version"},
		{"pull --platform linux/arm64 --os linux x", 125, "", "not both"},
		{"pull --policy often x", 125, "", "always, missing, newer or never"},
		{"--log-level loud version", 125, "", "unknown --log-level"},
		{"images --filter x=y", 125, "", "unknown filter"},
	} {
		var out, errs bytes.Buffer
		s := &streams{in: strings.NewReader(""), out: escaper{&out}, err: escaper{&errs}, rawOut: &out, rawErr: &errs}
		code := run(t.Context(), append([]string{"mpull"}, strings.Fields(tt.args)...), s)
		if code != tt.code || !strings.Contains(out.String(), tt.out) || !strings.Contains(errs.String(), tt.err) {
			t.Errorf("mpull %s = %d\nout %s\nerr %s", tt.args, code, &out, &errs)
		}
	}
}

// configOf is the error of reading a config.
func configOf(text string) error {
	var c struct {
		Config struct{ Entrypoint []string } `json:"config"`
	}
	return json.Unmarshal([]byte(text), &c)
}

// told is what a user reads of a mistake on the command line: the error and
// what to type instead.
func told(err error) string {
	var usage *usageError
	if !errors.As(err, &usage) {
		return ""
	}
	return usage.text + "; " + usage.next
}
