package main

import (
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/mpull/mpull/integration/testimage"
	"github.com/mpull/mpull/integration/testregistry"
)

// long is a name that no terminal of 80 columns has room for.
const long = "team/quite-a-long-name-for-a-repository-of-an-embedded-product/firmware-builder:2026.11"

// pages writes what the real binary shows on a terminal: docs/terminal.md, and
// docs/story.svg, a picture of README's story. A test holds that they are what
// comes out here, but for what differs from run to run.
func pages(binary, dir string) (err error) {
	registry := testregistry.New()
	defer registry.Close()
	if err := stockPages(registry); err != nil {
		return err
	}
	d, err := newDemonstration(binary, registry.Host, nil)
	if err != nil {
		return err
	}
	defer func() {
		if cleanErr := d.clean(); err == nil {
			err = cleanErr
		}
	}()
	text, err := d.terminalPage(registry)
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(dir, "terminal.md"), []byte(text), 0o644); err != nil {
		return err
	}
	if _, err := d.command("rmi", "--all").Output(); err != nil {
		return err
	}
	picture, err := d.storyPicture()
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, "story.svg"), []byte(picture), 0o644)
}

func stockPages(registry *testregistry.Registry) error {
	if err := stockStory(registry); err != nil {
		return err
	}
	img, err := testimage.Image(testimage.Spec{Seed: 1, Layers: 4, Files: 40, FileSize: 320 << 10})
	if err != nil {
		return err
	}
	return registry.PushImage(long, img)
}

// terminalPage is docs/terminal.md.
func (d *demonstration) terminalPage(registry *testregistry.Registry) (string, error) {
	var b strings.Builder
	b.WriteString(pageHead)
	tables := []string{
		"mpull images --digests", "mpull images --dangling", "mpull images --tree", "mpull df --verbose", "mpull why alpine:3.15", "mpull prune --dry-run",
	}
	narrow, err := d.terminal(80, 60)
	if err != nil {
		return "", err
	}
	defer narrow.close()
	b.WriteString("\n## 80 columns\n\nDuring a pull:\n\n")
	gate := newGate()
	registry.Wrap(gate.around)
	defer registry.Wrap(nil)
	if err := narrow.typed("mpull " + long); err != nil {
		return "", err
	}
	shot, err := narrow.until(func(screen string) bool {
		return strings.Count(screen, "[====>") == 5 // four layers and the total
	})
	gate.open()
	if err != nil {
		return "", err
	}
	b.WriteString(indented(shot))
	b.WriteString("\nDone, and other platforms of another image:\n\n")
	if _, err := narrow.prompt(); err != nil {
		return "", err
	}
	registry.Wrap(nil)
	for _, line := range []string{"mpull alpine:3.15", "mpull --platform linux/arm/v7 --platform linux/s390x alpine:3.15"} {
		if shot, err = narrow.run(line); err != nil {
			return "", err
		}
	}
	b.WriteString(indented(shot))
	b.WriteString("\nTables:\n\n")
	if err := narrow.tables(&b, tables); err != nil {
		return "", err
	}
	wide, err := d.terminal(200, 60)
	if err != nil {
		return "", err
	}
	defer wide.close()
	b.WriteString("\n## 200 columns\n\n")
	if err := wide.tables(&b, tables); err != nil {
		return "", err
	}
	return b.String(), nil
}

const pageHead = `# mpull on a terminal

What the real binary shows, with a registry in memory and a new store; ` + "`make generate`" + ` captures it anew, with tmux.
mpull uses no colors, so ` + "`NO_COLOR`" + ` changes nothing.

Progress goes to standard error, image IDs to standard output. ` + "`--progress`" + ` chooses ` + "`auto`" + ` (bars on a terminal that is not
` + "`TERM=dumb`, else plain), `plain` (one line for each layer when it is done), `json` (docs/events.md) or `none`" + `. A bar has
what came, what there is, the speed and the time left; a finished layer becomes one line with its size, time and mean speed;
below, while several layers come, stands the total. Bars are never wider than 78 columns: a terminal that is made narrower
does not wrap them.

Tables fit the terminal: digests shrink to twelve digits, then the widest columns are cut, names at their front, as their
ends tell them apart, or in the middle where only both ends do; short IDs, platforms, ages and sizes never. In a pipe, and with
` + "`--no-trunc`" + `, nothing is cut.
`

// indented is a text as a block of a page.
func indented(text string) string {
	var b strings.Builder
	for _, line := range strings.Split(strings.TrimRight(text, "\n"), "\n") {
		b.WriteString(strings.TrimRight("    "+line, " ") + "\n")
	}
	return b.String()
}

// gate lets a quarter of each large answer through until it is opened.
type gate struct{ opened chan struct{} }

func newGate() *gate { return &gate{make(chan struct{})} }

func (g *gate) open() { close(g.opened) }

func (g *gate) around(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r.Header.Del("Range") // a layer that comes slowly, here or on a busy machine, is not to come over several connections
		next.ServeHTTP(&gated{ResponseWriter: w, gate: g}, r)
	})
}

const (
	throughGate = 3_500_000 // bars tell of blocks of 256 KiB, and may not of the last: with it and without they look the same
	gateStep    = 64 << 10
	gatePace    = 20 * time.Millisecond // bars follow what comes evenly, not one burst
)

type gated struct {
	http.ResponseWriter
	gate    *gate
	written int
	once    sync.Once
}

// Write lets the rest of a large answer wait.
func (g *gated) Write(p []byte) (int, error) {
	first, n := min(len(p), max(throughGate-g.written, 0)), 0
	for n < first {
		written, err := g.ResponseWriter.Write(p[n:min(n+gateStep, first)])
		n += written
		g.written += written
		if err != nil {
			return n, err
		}
		if g.written >= gateStep {
			_ = http.NewResponseController(g.ResponseWriter).Flush()
			time.Sleep(gatePace) //nolint:forbidigo // a pace, not a wait
		}
	}
	if first == len(p) {
		return n, nil
	}
	g.once.Do(func() {
		_ = http.NewResponseController(g.ResponseWriter).Flush()
		<-g.gate.opened
	})
	more, err := g.ResponseWriter.Write(p[first:])
	g.written += more
	return n + more, err
}

// terminal is a shell in a terminal of a size, held by a tmux of its own.
type terminal struct {
	socket string
	env    []string
}

func (d *demonstration) terminal(columns, lines int) (*terminal, error) {
	// The binary under the name that a user types, with this machine's policy.
	bin := filepath.Join(d.dir, "bin")
	if err := os.MkdirAll(bin, 0o755); err != nil {
		return nil, err
	}
	const script = "#!/bin/sh\nexec \"$STORY_MPULL\" --policy-file \"$STORY_POLICY\" \"$@\"\n"
	if err := os.WriteFile(filepath.Join(bin, "mpull"), []byte(script), 0o755); err != nil {
		return nil, err
	}
	t := &terminal{socket: filepath.Join(d.dir, fmt.Sprintf("tmux-%d", columns))}
	t.env = append(d.env, "PATH="+bin+":"+os.Getenv("PATH"), "PROMPT_COMMAND=", "LC_ALL=C.UTF-8", "TZ=UTC", "TMUX=",
		"STORY_MPULL="+d.binary, "STORY_POLICY="+filepath.Join(d.dir, "policy.json"))
	err := t.tmux("-f", "/dev/null", "new-session", "-d", "-x", fmt.Sprint(columns), "-y", fmt.Sprint(lines), "env PS1='$ ' bash --norc --noprofile")
	if err != nil {
		return nil, err
	}
	_, err = t.prompt()
	return t, err
}

func (t *terminal) tmux(args ...string) error {
	cmd := exec.Command("tmux", append([]string{"-u", "-S", t.socket}, args...)...)
	cmd.Env = t.env
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("tmux %s: %w: %s", args[0], err, out)
	}
	return nil
}

func (t *terminal) close() { _ = t.tmux("kill-server") }

func (t *terminal) typed(line string) error {
	if err := t.tmux("send-keys", "-l", line); err != nil {
		return err
	}
	return t.tmux("send-keys", "Enter")
}

// run types a line and returns the screen when the shell is back.
func (t *terminal) run(line string) (string, error) {
	// The line is there before its prompt is: what was typed is seen first, also
	// where it was typed before.
	times := func(screen string) int {
		return strings.Count(strings.ReplaceAll(screen, "\n", ""), "$ "+line)
	}
	before, err := t.prompt()
	if err != nil {
		return "", err
	}
	if err := t.typed(line); err != nil {
		return "", err
	}
	return t.until(func(screen string) bool { return times(screen) > times(before) && atPrompt(screen) })
}

func atPrompt(screen string) bool {
	return strings.HasSuffix("\n"+strings.TrimRight(screen, "\n"), "\n$")
}

func (t *terminal) prompt() (string, error) {
	return t.until(atPrompt)
}

// tables shows what commands print, each on a screen of its own.
func (t *terminal) tables(b *strings.Builder, lines []string) error {
	for _, line := range lines {
		// An empty screen does not tell whether it was cleared.
		if _, err := t.run(":"); err != nil {
			return err
		}
		if err := t.typed("clear"); err != nil {
			return err
		}
		if _, err := t.until(func(screen string) bool { return strings.TrimSpace(screen) == "$" }); err != nil {
			return err
		}
		shot, err := t.run(line)
		if err != nil {
			return err
		}
		b.WriteString(indented(strings.TrimSuffix(strings.TrimRight(shot, "\n"), "\n$")))
	}
	return nil
}

// until looks at the screen until it is what is waited for.
func (t *terminal) until(done func(screen string) bool) (string, error) {
	for end := time.Now().Add(time.Minute); ; time.Sleep(20 * time.Millisecond) { //nolint:forbidigo // tmux tells of no change: it is asked
		cmd := exec.Command("tmux", "-u", "-S", t.socket, "capture-pane", "-p")
		cmd.Env = t.env
		out, err := cmd.Output()
		if err != nil {
			return "", fmt.Errorf("tmux capture-pane: %w", err)
		}
		if done(string(out)) {
			return string(out), nil
		}
		if time.Now().After(end) {
			return "", errors.New("the terminal does not show what is waited for:\n" + string(out))
		}
	}
}
