package preflight

import (
	"cmp"
	"path"
	"slices"
	"strings"
)

// A Process is what a runtime is told to start: what Check judges is what Run
// hands over, since both take it from here.
type Process struct {
	Args     []string
	Env      []string
	Dir      string
	UID, GID uint32
	Groups   []uint32
}

// Process says how cmd is started in a container with the root filesystem
// root. The error is about the user, the only thing that the root decides.
func (c Command) Process(root RootFS) (Process, error) {
	w := &walker{root: root, cred: rootCred(), cache: map[string]cached{}}
	who, err := w.lookupUser(c.User)
	if err != nil {
		return Process{}, err
	}
	return Process{Args: c.Argv(), Env: c.Environ(), Dir: c.Dir(), UID: who.uid, GID: who.gid, Groups: who.groups}, nil
}

// Argv returns the arguments of execve: Entrypoint, then Args or Cmd. An
// Entrypoint of one empty string is none, as in podman.
func (c Command) Argv() []string {
	rest := c.Args
	if len(rest) == 0 {
		rest = c.Cmd
	}
	first := c.Entrypoint
	if len(first) == 1 && first[0] == "" {
		first = nil
	}
	return slices.Concat(first, rest)
}

// Dir is the working directory, which Check refuses unless it is absolute. It
// is not cleaned: where a part of it is a link, dots behind it lead elsewhere.
func (c Command) Dir() string { return cmp.Or(c.WorkingDir, "/") }

// defaultPath is the PATH that container engines set when the image has none.
const defaultPath = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

// Environ is the environment: Env with a PATH. An entry without "=" is dropped,
// as in podman; runtimes refuse it. Of several settings of a variable the last
// counts; runtimes do not agree about that.
func (c Command) Environ() []string {
	var out []string
	seen := map[string]bool{}
	for _, e := range slices.Backward(slices.Concat([]string{defaultPath}, c.Env)) {
		name, _, ok := strings.Cut(e, "=")
		if ok && !seen[name] {
			seen[name] = true
			out = append(out, e)
		}
	}
	slices.Reverse(out)
	return out
}

// refused says why an engine or a runtime does not take the command before it
// starts anything, and a way out; "" when it does. podman refuses the same.
func (c Command) refused() (why, hint string) {
	if c.Bad != "" {
		return c.Bad, c.BadHint
	}
	if len(c.Argv()) == 0 {
		return "the image names no command and none was given", "give a command after the image's name"
	}
	if !strings.HasPrefix(c.Dir(), "/") {
		return "the working directory " + quote(c.WorkingDir) + " is not an absolute path", absolute(c.WorkingDir)
	}
	for _, e := range c.Env {
		if strings.HasPrefix(e, "=") {
			return "the environment has an entry without a name: " + quote(e), "give the variable a name, and build the image again"
		}
	}
	return badStrings(c.Argv(), c.Environ()), ""
}

// absolute is the way out for a working directory that does not begin with a
// slash.
func absolute(dir string) string {
	if dir = path.Join("/", strings.TrimSpace(dir)); isText(dir) && !strings.ContainsAny(dir, " ~:\\$\n\t'\"") {
		return "write WORKDIR " + dir + " and build the image again, or give --workdir " + dir
	}
	return "write a WORKDIR that begins with / and build the image again, or give --workdir /DIR"
}

// variable is the value of a variable in the environment, which has a PATH.
func (c Command) variable(name string) (value string, set bool) {
	for _, e := range c.Environ() {
		if value, ok := strings.CutPrefix(e, name+"="); ok {
			return value, true
		}
	}
	return "", false
}
