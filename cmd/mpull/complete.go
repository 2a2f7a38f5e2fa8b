//go:build linux

package main

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/mpull/mpull/engine"
	"github.com/mpull/mpull/engine/platform"
	"github.com/mpull/mpull/store/query"
)

// completeName is the hidden command that the completions of shells call:
//
//	mpull __complete WORD...
//
// The words are those behind mpull, the last one, perhaps empty, is to be
// completed. Each line of the answer is VALUE, or VALUE<tab>DESCRIPTION; a last
// line :files or :dirs asks the shell for files or directories. It never fails:
// what cannot be told is left out.
const completeName = "__complete"

// completeTimeout is how long a user who pressed a key waits at most, such as
// for a lock of the store.
const completeTimeout = 2 * time.Second

// candidate is a word that fits.
type candidate struct{ value, text string }

// completionArgs puts the global flags of an unfinished command line before
// __complete, so that they take effect.
func completionArgs(app *cli.App, args []string) []string {
	l, _ := newUnfinished(app, args[2:])
	return slices.Concat(args[:1], l.globals, []string{completeName}, args[2:])
}

func (p *program) completeCommand() *cli.Command {
	return &cli.Command{Name: completeName, Hidden: true, SkipFlagParsing: true, Action: action(0, -1, p.answerShell)}
}

// answerShell prints what fits the last word, in the time that there is.
func (p *program) answerShell(ctx context.Context, words []string) error {
	ctx, cancel := context.WithTimeout(ctx, completeTimeout)
	defer cancel()
	answer := make(chan string, 1)
	go func() { answer <- p.complete(ctx, newApp(p.streams), words) }()
	select {
	case text := <-answer:
		fmt.Fprint(p.out, text)
	case <-ctx.Done():
	}
	return nil
}

// unfinished is a command line up to the word that is being typed.
type unfinished struct {
	line
	waiting string // the flag whose value comes next
	rest    bool   // behind --
	explain bool   // behind help
}

// newUnfinished reads a command line but for the last word, which it returns.
func newUnfinished(app *cli.App, words []string) (u *unfinished, last string) {
	u = &unfinished{line: *newLine(app)}
	if len(words) == 0 {
		return u, ""
	}
	for _, w := range words[:len(words)-1] {
		u.take(w)
	}
	return u, words[len(words)-1]
}

// take reads one word that stands before the one being typed.
func (u *unfinished) take(word string) {
	switch {
	case u.waiting != "":
		u.keep(u.waiting, word)
		u.waiting = ""
	case u.rest:
		u.names = append(u.names, word)
	case word == "--":
		u.rest = true
	case strings.HasPrefix(word, "-") && len(word) > 1:
		name, value, inline := strings.Cut(strings.TrimLeft(word, "-"), "=")
		f, _ := u.find(name)
		switch {
		case f == nil || !takesValue(f):
		case inline:
			u.keep(name, value)
		default:
			u.waiting = name
		}
	case word == "help" && u.command == nil && u.names == nil:
		u.explain = true
	case u.names == nil && u.enter(word):
	default:
		u.names = append(u.names, word)
	}
}

func (u *unfinished) keep(name, value string) {
	if f, global := u.find(name); global {
		u.globals = append(u.globals, "--"+f.Names()[0]+"="+value)
	}
}

// complete answers with the lines that the shell reads.
func (p *program) complete(ctx context.Context, app *cli.App, words []string) string {
	u, current := newUnfinished(app, words)
	found, special := p.candidates(ctx, u, current)
	var b strings.Builder
	seen := map[string]bool{}
	for _, c := range found {
		if !strings.HasPrefix(c.value, current) || seen[c.value] || strings.ContainsFunc(c.value, steers) {
			continue
		}
		seen[c.value] = true
		b.WriteString(c.value)
		if c.text != "" {
			b.WriteString("\t" + escape(c.text))
		}
		b.WriteByte('\n')
	}
	return b.String() + special
}

func (p *program) candidates(ctx context.Context, u *unfinished, current string) ([]candidate, string) {
	switch {
	case u.waiting != "":
		return p.values(ctx, u, u.waiting)
	case strings.HasPrefix(current, "-") && !u.rest:
		name, _, inline := strings.Cut(strings.TrimLeft(current, "-"), "=")
		if !inline {
			return u.flagNames(), ""
		}
		if f, _ := u.find(name); f == nil || !takesValue(f) {
			return nil, ""
		}
		found, special := p.values(ctx, u, name)
		for i := range found {
			found[i].value = "--" + name + "=" + found[i].value
		}
		return found, special
	case u.explain && u.command == nil:
		return append(commandNames(u.app.VisibleCommands()), candidate{helpAll, "all commands and global flags"}), ""
	case u.explain && len(u.command.Subcommands) == 0:
		return nil, ""
	case takesCommand(u.command) && len(u.names) > 0:
		return nil, ":files\n"
	case u.command == nil && len(u.names) == 0:
		found := commandNames(u.app.VisibleCommands())
		if current != "" {
			found = append(found, p.imageNames(ctx, current)...)
		}
		return found, ""
	case u.command != nil && u.command.Action == nil:
		found := commandNames(u.command.Subcommands)
		if u.path[0] == "image" {
			for _, word := range slices.Sorted(maps.Keys(underImage())) {
				found = append(found, candidate{word, u.app.Command(underImage()[word]).Usage})
			}
		}
		return found, ""
	}
	return p.arguments(ctx, u, current)
}

func commandNames(list []*cli.Command) (found []candidate) {
	for _, c := range list {
		if !c.Hidden {
			found = append(found, candidate{c.Name, c.Usage})
		}
	}
	return found
}

func (u *unfinished) flagNames() []candidate {
	own := cmp.Or(u.command, u.app.Command("pull"))
	found := []candidate{{"--help", "explain the command"}}
	for _, d := range flagDocs(slices.Concat(own.Flags, u.app.Flags)) {
		for _, n := range d.Names {
			if strings.HasPrefix(n, "--") {
				found = append(found, candidate{n, d.Usage})
			}
		}
	}
	return found
}

// values are what a flag can be set to.
func (p *program) values(ctx context.Context, u *unfinished, flag string) ([]candidate, string) {
	if f, _ := u.find(flag); f != nil {
		flag = f.Names()[0]
	}
	switch flag {
	case "protect":
		return p.imageNames(ctx, ""), ""
	case "platform":
		return p.platformValues(ctx, u), ""
	case "authfile", "compat-auth-file", "policy-file", "registries-conf", "apply", "crio-config", "host", "locked", "output", "input", "protect-file":
		return nil, ":files\n"
	case "root", "runroot", "imagestore", "cert-dir", "workdir":
		return nil, ":dirs\n"
	}
	return plain(map[string][]string{
		"policy": {"always", "missing", "newer", "never"}, "progress": {"auto", "plain", "json", "none"},
		"log-level": {"debug", "info", "warn", "error"}, "storage-driver": {"overlay", "vfs"},
		"sort": query.SortKeys(), "format": {"json"}, "type": {"image", "all"},
		"os": {"linux", "windows"}, "arch": {"amd64", "arm64", "arm", "386", "ppc64le", "s390x", "riscv64"},
		"variant": {"v5", "v6", "v7", "v8", "v2", "v3", "v4"}, "network": {"none", "host"}, "runtime": {"crun", "runc"},
		"filter": filterWords(),
	}[flag]), ""
}

// filterWords are the beginnings of filters.
func filterWords() []string {
	words := []string{"dangling=true", "dangling=false"}
	for _, key := range query.FilterKeys() {
		if key != "dangling" {
			words = append(words, key+"=")
		}
	}
	return words
}

func plain(values []string) (found []candidate) {
	for _, v := range values {
		found = append(found, candidate{value: v})
	}
	return found
}

// known reads the store; nothing is known when that fails.
func (p *program) known(ctx context.Context) []engine.KnownImage {
	p.typing = true
	images, _ := p.readEngine().Known(ctx)
	return images
}

// platformValues are the platforms of the index that the named image was pulled
// through, and those of the images that hold or held the name; without a name
// or an index, the common ones.
func (p *program) platformValues(ctx context.Context, u *unfinished) []candidate {
	here, offered := map[string]bool{}, []string{}
	for _, k := range p.known(ctx) {
		if len(u.names) > 0 && !slices.ContainsFunc(append(slices.Clone(k.Names), k.Lost...), func(n string) bool { return meant(u.names[0], n) }) {
			continue
		}
		here[k.Platform] = true
		offered = append(offered, k.Offers...)
	}
	var found []candidate
	for _, s := range slices.Sorted(maps.Keys(here)) {
		if s != "" {
			found = append(found, candidate{s, "here"})
		}
	}
	if u.command != nil && u.command.Name == "use" {
		return found
	}
	if len(offered) == 0 {
		offered = []string{"linux/amd64", "linux/arm64", "linux/arm/v7", "linux/arm/v6", "linux/386", "linux/ppc64le", "linux/s390x", "linux/riscv64"}
	}
	for _, s := range offered {
		if parsed, err := platform.Parse(s); err == nil && !here[parsed.String()] {
			found = append(found, candidate{s, "offered"})
		}
	}
	return append(found, candidate{"native", "what this machine runs"})
}

// meant tells whether a short name may stand for a full one.
func meant(short, full string) bool {
	return full == short || strings.HasSuffix(full, "/"+short) || !strings.Contains(short, ":") && (full == short+":latest" || strings.HasSuffix(full, "/"+short+":latest"))
}

// arguments are the names that a command takes.
func (p *program) arguments(ctx context.Context, u *unfinished, current string) ([]candidate, string) {
	usage := "IMAGE"
	if u.command != nil {
		usage = u.command.UsageText
	}
	switch name := strings.Join(u.path, " "); {
	case name == "completion":
		return plain([]string{"bash", "zsh", "fish"}), ""
	case name == "restore":
		return p.lostNames(ctx, u, current), ""
	case name == "why" || name == "use":
		return append(p.imageNames(ctx, current), p.lostNames(ctx, u, current)...), ""
	case name == "lock" && len(u.names) == 0, name != "save" && !strings.Contains(usage, "IMAGE") && strings.Contains(usage, "FILE"):
		return nil, ":files\n"
	case strings.Contains(usage, "IMAGE"), strings.Contains(usage, "NAME"), strings.Contains(usage, "REPOSITORY"):
		return p.imageNames(ctx, current), ""
	}
	return nil, ""
}

// imageNames are the names that local images hold, in the form that was begun:
// with the registry, or without.
func (p *program) imageNames(ctx context.Context, current string) (found []candidate) {
	for _, k := range p.known(ctx) {
		for _, n := range k.Names {
			found = append(found, forms(n, current, k.Platform)...)
		}
		if len(current) >= 3 {
			found = append(found, candidate{imageID(k.ID, false), k.Platform})
		}
	}
	return found
}

// lostNames are the images that lost a name, and the names; behind an image,
// the names that this one lost.
func (p *program) lostNames(ctx context.Context, u *unfinished, current string) (found []candidate) {
	for _, k := range p.known(ctx) {
		if len(k.Lost) == 0 || len(u.names) > 0 && !strings.HasPrefix(k.ID, u.names[0]) {
			continue
		}
		if len(u.names) == 0 {
			found = append(found, candidate{imageID(k.ID, false), k.Platform + ", was " + k.Lost[0]})
		}
		for _, n := range k.Lost {
			found = append(found, forms(n, current, "lost by "+imageID(k.ID, false)+" "+k.Platform)...)
		}
	}
	return found
}

// forms are the ways to write a name that begin with what was typed: in full,
// and, once something was typed, without registry and folders.
func forms(name, current, text string) []candidate {
	found := []candidate{{name, text}}
	for i, c := range name {
		if c == '/' && current != "" {
			found = append(found, candidate{name[i+1:], text})
		}
	}
	return found
}
