//go:build linux

package main

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/urfave/cli/v2"
)

// takesCommand tells whether what follows the first name is a command line to
// run in the image, with flags of its own.
func takesCommand(c *cli.Command) bool {
	return c != nil && (c.Name == "run" || c.Name == "check")
}

// straighten puts a command line into the order that the flag library reads:
// global flags, command, the command's flags, "--", names. The library stops
// at the first name, and would take a flag behind it for a name. It also makes
// "mpull IMAGE" mean "mpull pull IMAGE".
func (l *line) straighten(args []string) ([]string, error) {
	if err := l.read(args[1:]); err != nil {
		return nil, err
	}
	bare := l.command == nil || l.command.Action == nil
	switch {
	case l.help, bare && len(l.names) == 0 && len(l.globals)+len(l.flags) == 0:
		return nil, &helpRequest{path: l.path}
	case bare && len(l.names) == 0:
		return nil, l.nothingToDo()
	}
	return append(args[:1:1], l.ordered()...), nil
}

func newLine(app *cli.App) *line {
	return &line{app: app, global: flagTable(app.Flags), own: flagTable(app.Command("pull").Flags)}
}

// nothingToDo explains a line that has flags and nothing else: the value of the
// last one may have been meant as a name.
func (l *line) nothingToDo() error {
	flags := append(slices.Clone(l.globals), l.flags...)
	last := len(flags) - 1
	if last > 0 && strings.HasPrefix(flags[last-1], "-") && !strings.Contains(flags[last-1], "=") {
		if f, _ := l.find(strings.TrimLeft(flags[last-1], "-")); f != nil && takesValue(f) {
			return instead(fmt.Sprintf("mpull %s VALUE %s", flags[last-1], flags[last]),
				"there is nothing to do: %s took %q for its value", flags[last-1], flags[last])
		}
	}
	return usagef("there is nothing to do: name an image or a command")
}

// line is a command line taken apart.
type line struct {
	app     *cli.App
	global  map[string]cli.Flag
	own     map[string]cli.Flag // of the command; of pull, which is meant when none is named, until it is known
	path    []string            // command and sub-command names
	command *cli.Command

	globals, flags, names []string
	early                 []string // flags that stood before the command, as they were written
	help                  bool     // --help stood somewhere
}

func (l *line) read(args []string) error {
	for i := 0; i < len(args); i++ {
		arg := args[i]
		switch {
		case arg == "help" && l.command == nil && l.names == nil:
			return l.helpFor(args[i+1:])
		case (arg == "--version" || arg == "-v") && l.command == nil && l.names == nil && i == len(args)-1:
			l.enter("version")
			return l.finish()
		case arg == "--":
			l.names = append(l.names, args[i+1:]...)
			return l.finish()
		case len(arg) > 1 && arg[0] == '-':
			n, err := l.flag(args[i:])
			if err != nil {
				return err
			}
			i += n
		case l.names == nil && l.enter(arg):
		default:
			if err := l.foreign(arg); err != nil {
				return err
			}
			if err := l.name(arg); err != nil {
				return err
			}
			if takesCommand(l.command) {
				l.names = append(l.names, args[i+1:]...)
				return l.finish()
			}
		}
	}
	return l.finish()
}

// enter takes arg as the name of a command or sub-command, if it is one.
func (l *line) enter(arg string) bool {
	list := l.app.Commands
	if l.command != nil {
		list = l.command.Subcommands
	}
	for _, c := range list {
		if c.HasName(arg) {
			l.command = c
			l.path = append(l.path, c.Name)
			l.own = flagTable(c.Flags)
			return true
		}
	}
	if len(l.path) == 1 && l.path[0] == "image" {
		if name := underImage()[arg]; name != "" {
			l.command, l.path = nil, nil
			return l.enter(name)
		}
	}
	return false
}

// underImage are the commands that podman has under image too, by the word there.
func underImage() map[string]string {
	return map[string]string{"load": "load", "prune": "prune", "pull": "pull", "rm": "rmi", "save": "save", "tag": "tag", "untag": "untag"}
}

// name takes arg as a name; without a command before it, the command is pull,
// unless it looks like a command that was mistyped.
func (l *line) name(arg string) error {
	if l.command == nil && len(l.names) == 0 {
		if near := nearestCommand(l.app.VisibleCommands(), arg, false); near != "" {
			return instead(fmt.Sprintf("did you mean %q? (an image of that name: mpull pull %s)", near, arg), "there is no command %q", arg)
		}
	}
	if l.command != nil && len(l.command.Subcommands) > 0 && len(l.names) == 0 && l.command.Action == nil {
		group, next := strings.Join(l.path, " "), ""
		if near := nearestCommand(l.command.Subcommands, arg, true); near != "" {
			next = fmt.Sprintf("did you mean \"%s %s\"?", group, near)
		} else if l.app.Command(arg) != nil {
			next = fmt.Sprintf("did you mean \"%s\"?", arg)
		}
		return instead(next, "there is no command \"%s %s\"", group, arg)
	}
	l.names = append(l.names, arg)
	return nil
}

// flag takes a flag and its value; it returns how many further arguments the
// value took.
func (l *line) flag(args []string) (int, error) {
	name, value, inline := strings.Cut(strings.TrimLeft(args[0], "-"), "=")
	f, global := l.find(name)
	if f == nil {
		return l.unknown(args[0], name)
	}
	if f == cli.HelpFlag {
		l.help = true
		return 0, nil
	}
	n := 0
	if takesValue(f) && !inline {
		if len(args) < 2 {
			return 0, usagef("the flag %s needs a value", args[0])
		}
		n, value = 1, args[1]
	}
	switch {
	case n > 0 || inline:
		if err := wrongValue(f, strings.TrimSuffix(args[0], "="+value), value); err != nil {
			return 0, err
		}
	case len(args) > 1 && (args[1] == "true" || args[1] == "false") && l.names == nil:
		return 0, instead(fmt.Sprintf("write %s=%s", args[0], args[1]), "the flag %s takes no value", args[0])
	}
	if l.command == nil && !global {
		l.early = append(l.early, args[0])
	}
	taken := slices.Clone(args[:n+1])
	if _, repeats := f.(*cli.StringSliceFlag); repeats && name != f.Names()[0] {
		// The library refuses a flag that is given by two of its names.
		taken[0] = "--" + f.Names()[0]
		if inline {
			taken[0] += "=" + value
		}
	}
	if global {
		l.globals = append(l.globals, taken...)
	} else {
		l.flags = append(l.flags, taken...)
	}
	return n, nil
}

func (l *line) find(name string) (f cli.Flag, global bool) {
	if f := l.own[name]; f != nil {
		return f, false
	}
	if f := l.global[name]; f != nil {
		return f, true
	}
	if l.command == nil {
		// A flag may stand before its command: mpull -q images.
		for _, c := range l.app.Commands {
			if f := flagTable(c.Flags)[name]; f != nil {
				return f, false
			}
		}
	}
	return nil, false
}

// unknown explains a flag that nothing has. Short flags written together
// (-aq) are taken apart.
func (l *line) unknown(arg, name string) (int, error) {
	if !strings.HasPrefix(arg, "--") && len(name) > 1 {
		var apart []string
		for _, c := range name {
			f, _ := l.find(string(c))
			if f == nil || takesValue(f) {
				apart = nil
				break
			}
			apart = append(apart, "-"+string(c))
		}
		if apart != nil {
			l.flags = append(l.flags, apart...)
			return 0, nil
		}
	}
	if err := l.foreignFlag(arg, name); err != nil {
		return 0, err
	}
	where := "mpull"
	if l.command != nil {
		where += " " + strings.Join(l.path, " ")
	}
	arg, _, _ = strings.Cut(arg, "=")
	return 0, instead(l.insteadOfFlag(name), "%s has no flag %s", where, arg)
}

// insteadOfFlag says which flag of the command may be meant by one that it has
// not: what another tool calls so, the nearest, or those that begin with the
// letter.
func (l *line) insteadOfFlag(name string) string {
	near := ownFlag(name)
	if f, _ := l.find(near); f == nil {
		near = l.nearestFlag(name)
	}
	if near != "" {
		return fmt.Sprintf("did you mean --%s?", near)
	}
	var found []string
	for n := range l.own {
		if len(n) > 1 && len(name) == 1 && strings.HasPrefix(n, name) {
			found = append(found, "--"+n)
		}
	}
	slices.Sort(found)
	if len(found) == 0 {
		return ""
	}
	return "with that letter there is " + strings.Join(found, ", ")
}

// ownFlag is mpull's flag for one that has another name in other tools.
func ownFlag(name string) string {
	return map[string]string{
		"y": "force", "yes": "force", "assumeyes": "force", "u": "creds", "username": "creds", "src-creds": "creds", "src-tls-verify": "tls-verify",
		"insecure": "tls-verify", "src-cert-dir": "cert-dir", "n": "dry-run", "pull": "policy", "older-than": "filter", "V": "version",
		"retry-times": "retry", "password": "creds", "no-creds": "authfile",
	}[name]
}

// finish settles the command when none was named.
func (l *line) finish() error {
	if l.command == nil && len(l.names) > 0 {
		l.path = []string{"pull"}
		l.command = l.app.Command("pull")
	}
	if l.command == nil || l.help {
		return nil
	}
	for _, arg := range l.early { // some command has it: is it this one?
		name, _, _ := strings.Cut(strings.TrimLeft(arg, "-"), "=")
		if l.own[name] == nil {
			_, err := l.unknown(arg, name)
			return err
		}
	}
	return nil
}

func (l *line) ordered() []string {
	out := slices.Concat(l.globals, l.path, l.flags)
	if len(l.names) > 0 {
		out = append(out, "--")
	}
	return append(out, l.names...)
}

func flagTable(flags []cli.Flag) map[string]cli.Flag {
	t := map[string]cli.Flag{"help": cli.HelpFlag, "h": cli.HelpFlag}
	for _, f := range flags {
		for _, n := range f.Names() {
			t[n] = f
		}
	}
	return t
}

// wrongValue tells what a flag takes when it cannot read a value: the flag
// library's own words do not.
func wrongValue(f cli.Flag, name, value string) error {
	var err error
	takes := ""
	switch f.(type) {
	case *cli.BoolFlag:
		_, err = strconv.ParseBool(value)
		takes = "true or false, or nothing"
	case *cli.IntFlag, *cli.Int64Flag:
		_, err = strconv.ParseInt(value, 0, 64)
		takes = "a whole number"
	case *cli.DurationFlag:
		_, err = time.ParseDuration(value)
		takes = "a number with a unit, such as 30s or 5m"
	}
	if err == nil {
		return nil
	}
	return usagef("%s takes %s, not %q", name, takes, value)
}

func takesValue(f cli.Flag) bool {
	d, ok := f.(cli.DocGenerationFlag)
	return ok && d.TakesValue()
}
