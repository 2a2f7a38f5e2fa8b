package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/mpull/mpull/integration/testenv"
)

const module = "github.com/mpull/mpull"

// screen is how many lines of a failed test are shown.
const screen = 36

// event is a line of go test -json; see go doc test2json.
type event struct {
	Action     string
	Package    string
	ImportPath string // of build-output and build-fail
	Test       string
	Elapsed    float64
	Output     string
	// FailedBuild is the ImportPath without which a package has no test.
	FailedBuild string
}

// outcome is what is known of a test, or of a package, whose test is "".
type outcome struct {
	output   []string
	children bool // it has sub-tests
	failed   bool // one of them failed
}

// report gathers events.
type report struct {
	out     io.Writer
	flags   string // of the command that repeats a test
	running map[[2]string]*outcome
	skips   map[string][]string // by reason: who
	more    []string            // who ran only some cases, as lines of moreFile
	passed  int
	failed  int
	skipped int
}

func newReport(out io.Writer, flags string) *report {
	return &report{out: out, flags: flags, running: map[[2]string]*outcome{}, skips: map[string][]string{}}
}

// read takes all events, and writes what the tests print to log.
func (r *report) read(in *bufio.Reader, log io.Writer) error {
	for {
		line, err := in.ReadString('\n')
		if line != "" {
			var e event
			if json.Unmarshal([]byte(line), &e) != nil {
				e = event{Action: "output", Output: line}
				fmt.Fprint(r.out, line) // go itself speaks
			}
			if _, err := io.WriteString(log, e.Output); err != nil {
				return err
			}
			r.take(e)
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

func (r *report) of(pkg, test string) *outcome {
	key := [2]string{pkg, test}
	if r.running[key] == nil {
		r.running[key] = &outcome{}
	}
	return r.running[key]
}

func (r *report) take(e event) {
	switch e.Action {
	case "build-output":
		o := r.of(e.ImportPath, "")
		o.output = append(o.output, e.Output)
	case "build-fail":
		r.show(e.ImportPath, "does not build", r.of(e.ImportPath, "").output, "")
	case "output":
		r.note(e)
		o := r.of(e.Package, e.Test)
		o.output = append(o.output, e.Output)
	case "run":
		if parent, ok := parentOf(e.Test); ok {
			r.of(e.Package, parent).children = true
		}
	case "pass", "fail", "skip":
		if e.Test == "" {
			r.endPackage(e)
		} else {
			r.endTest(e)
		}
	}
}

// note remembers a test that says it ran only some of its cases.
func (r *report) note(e event) {
	if !strings.HasSuffix(strings.TrimSpace(e.Output), testenv.SomeCases) {
		return
	}
	test, _, _ := strings.Cut(e.Test, "/")
	if line := folder(e.Package) + " " + test + "\n"; !slices.Contains(r.more, line) {
		r.more = append(r.more, line)
	}
}

// leave writes down for -more who ran only some cases.
func (r *report) leave() error {
	return os.WriteFile(moreFile, []byte(strings.Join(r.more, "")), 0o644)
}

// endTest counts a test; one that is made of others counts by them, unless it
// failed itself.
func (r *report) endTest(e event) {
	o := r.of(e.Package, e.Test)
	delete(r.running, [2]string{e.Package, e.Test})
	switch e.Action {
	case "skip":
		if !o.children {
			r.skipped++
			why := reason(o.output)
			r.skips[why] = append(r.skips[why], folder(e.Package)+" "+e.Test)
		}
	case "pass":
		if !o.children {
			r.passed++
		}
	case "fail":
		for parent, ok := parentOf(e.Test); ok; parent, ok = parentOf(parent) {
			r.of(e.Package, parent).failed = true
		}
		r.of(e.Package, "").failed = true
		if own := said(o.output); !o.failed || len(own) > 0 {
			r.failed++
			r.show(e.Package, e.Test+" failed", own, repeat(e.Package, e.Test, r.flags))
		}
	}
}

// endPackage prints its line. One that failed without a test that did has
// something to tell of its own: a panic, a time-out, a failed TestMain.
func (r *report) endPackage(e event) {
	o := r.of(e.Package, "")
	delete(r.running, [2]string{e.Package, ""})
	if e.Action == "skip" {
		return // no test files
	}
	word := map[string]string{"pass": "ok  ", "fail": "FAIL"}[e.Action]
	fmt.Fprintf(r.out, "%s  %s  %.1fs\n", word, folder(e.Package), e.Elapsed)
	if e.Action == "fail" && !o.failed {
		r.failed++
		if e.FailedBuild != "" {
			return // shown already
		}
		output := said(o.output)
		for key, cut := range r.running { // tests that a panic or a time-out ended
			if key[0] == e.Package {
				output = append(output, said(cut.output)...)
			}
		}
		r.show(e.Package, "the package failed", output, repeat(e.Package, "", r.flags))
	}
}

// show prints a failure in one screen: its head and its end.
func (r *report) show(pkg, what string, lines []string, command string) {
	fmt.Fprintf(r.out, "\n--- %s: %s\n", folder(pkg), what)
	head := lines
	var tail []string
	if len(lines) > screen {
		head, tail = lines[:screen/2], lines[len(lines)-screen/2:]
	}
	for _, l := range head {
		r.line(l)
	}
	if tail != nil {
		fmt.Fprintf(r.out, "    ... %d lines more in %s ...\n", len(lines)-screen, logFile)
	}
	for _, l := range tail {
		r.line(l)
	}
	if command != "" {
		fmt.Fprintf(r.out, "repeat it:  %s\n", command)
	}
	fmt.Fprintln(r.out)
}

// line prints a line of a test; a very long one fills no screen.
func (r *report) line(text string) {
	const most = 800
	text = strings.TrimRight(text, "\n")
	if len(text) > most {
		text = text[:most] + "..."
	}
	fmt.Fprintln(r.out, text)
}

// sum prints the last lines.
func (r *report) sum(took time.Duration) {
	if r.skipped > 0 {
		fmt.Fprintf(r.out, "\nskipped:\n")
	}
	reasons := make([]string, 0, len(r.skips))
	for why := range r.skips {
		reasons = append(reasons, why)
	}
	slices.Sort(reasons)
	for _, why := range reasons {
		fmt.Fprintf(r.out, "  %s\n", why)
		for _, who := range r.skips[why] {
			fmt.Fprintf(r.out, "      %s\n", who)
		}
	}
	fmt.Fprintf(r.out, "\n%d passed, %d failed, %d skipped in %s\n", r.passed, r.failed, r.skipped, took.Round(time.Second))
}

// said is what a test printed without go test's own marks.
func said(output []string) []string {
	return slices.DeleteFunc(slices.Clone(output), func(l string) bool {
		l = strings.TrimSpace(l)
		return strings.HasPrefix(l, "=== ") || strings.HasPrefix(l, "--- ") || l == "FAIL" || l == "PASS" || l == "" ||
			strings.HasPrefix(l, "FAIL\t") || strings.HasPrefix(l, "exit status ")
	})
}

// reason is what a skipped test said last, without the place. A script prints
// its log behind that, from testscript's own file.
func reason(output []string) string {
	place := regexp.MustCompile(`^\s*[\w-]+\.go:\d+: `)
	for _, l := range slices.Backward(output) {
		if place.MatchString(l) && !strings.HasPrefix(strings.TrimSpace(l), "testscript.go:") {
			return strings.TrimSpace(place.ReplaceAllString(l, ""))
		}
	}
	return "no reason given"
}

// folder is a package as the command line names it.
func folder(pkg string) string {
	pkg, _, _ = strings.Cut(pkg, " ") // "a [a.test]" is the package built for its test
	if rest, ok := strings.CutPrefix(pkg, module); ok {
		return "." + rest
	}
	return pkg
}

func quoteMeta(s string) string { return regexp.QuoteMeta(s) }

// parentOf is the test that a sub-test belongs to.
func parentOf(test string) (parent string, ok bool) {
	i := strings.LastIndexByte(test, '/')
	if i < 0 {
		return "", false
	}
	return test[:i], true
}
