package preflight

import (
	"cmp"
	"fmt"
	"os"
	"path"
	"strings"
)

// hintLink is the way out where a link leads to nothing.
func hintLink(f *fault) string {
	return f.link + " is a link to " + f.target + ", which is not in the image: copy that into it too, or link to what is there"
}

// hintName is the way out where the name of the command leads nowhere as it is
// written.
func (k *check) hintName(name string) string {
	instead := func(why, better string) string {
		return fmt.Sprintf("%s: write %q, or start it with --entrypoint %s", why, better, better)
	}
	if k.dead != nil {
		return hintLink(k.dead)
	}
	if better := strings.TrimSpace(name); better != name && k.startable(better) {
		return instead("the name of the command has blanks or a line end around it", better)
	}
	if better := strings.TrimRight(name, "/"); better != name && k.startable(better) {
		return instead("a slash at the end asks for a directory", better)
	}
	asked := name
	if rest, ok := strings.CutPrefix(name, "~/"); ok {
		asked = "$HOME/" + rest
	}
	if strings.Contains(asked, "$") {
		const why = "only a shell knows variables and ~, and a command that is a list gets none"
		if better := os.Expand(asked, k.variable); k.startable(better) {
			return instead(why, better)
		}
		return why + ": write what it stands for, or " + List([]string{cmp.Or(k.shell(), "/bin/sh"), "-c", "exec " + name})
	}
	if k.dir != "" {
		return k.dir + " is a directory: name the program in it"
	}
	return ""
}

// variable is the value of a variable in the container.
func (k *check) variable(name string) string {
	value, set := k.cmd.variable(name)
	if !set && name == "HOME" && k.user.cred.uid == 0 {
		return "/root" // which runtimes set
	}
	return value
}

// startable reports whether a name leads to a file that the user may execute.
func (k *check) startable(name string) bool {
	if !strings.Contains(name, "/") {
		return k.inPath(name) != ""
	}
	return k.there(name)
}

// inPath is where PATH has a program, "" when it has none.
func (k *check) inPath(name string) string {
	if name == "" || strings.Contains(name, "/") {
		return ""
	}
	list, _ := k.cmd.variable("PATH")
	for dir := range strings.SplitSeq(list, ":") {
		if file := path.Join(dir, name); strings.HasPrefix(dir, "/") && k.there(file) {
			return file
		}
	}
	return ""
}

// hintWrapped is the way out for a program that the kernel starts, and that ends
// at once for want of another: a shell that gets a list, an env whose program is
// not there. "" when nothing is known.
func (k *check) hintWrapped(l loaded) string {
	argv := k.res.Command
	if len(argv) > 2 && argv[1] == "-c" && strings.HasSuffix(argv[0], "sh") && (strings.HasPrefix(argv[2], `["`) || strings.HasPrefix(argv[2], "['")) {
		return "a shell gets what was meant to be a list: write it with double quotes, commas between them and ] at the end"
	}
	if l.env != "" && k.inPath(l.env) == "" {
		return "env looks for " + l.env + " in PATH, which does not have it: install what provides it into the image, or use a base image that has it"
	}
	return ""
}
