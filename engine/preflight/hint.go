package preflight

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io/fs"
	"path"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/mpull/mpull/engine/host"
)

// wayOut says what to do about a fault, in one line; "" when nothing is known.
func (k *check) wayOut(f *fault) string {
	switch f.errno {
	case 0:
		if f.small {
			return fmt.Sprintf("link it for these pages, with -z max-page-size=%d, use a base image built so, or a kernel with smaller pages", k.host.Page())
		}
	case unix.ENOENT, unix.ENOTDIR, errNoLibrary:
		return k.hintMissing(f)
	case errNoVersion, errNoSymbol:
		return "it was built for a newer library than the image has: build it in the base image that it runs on, use a newer base image, or build it statically (Go: CGO_ENABLED=0)"
	case unix.EACCES:
		return k.hintPermission(f)
	case unix.ENOEXEC, unix.ELIBBAD, unix.EIO, unix.EINVAL, errTooDeep, errKilled:
		return k.hintFormat(f)
	}
	return ""
}

// hintMissing is the way out where something is not there.
func (k *check) hintMissing(f *fault) string {
	switch {
	case f.link != "":
		return hintLink(f)
	case f.errno == errNoLibrary:
		return "install the package that has it into the image, or build the program statically"
	case k.res.Emulator != "" && k.held:
		return "the emulator is a dynamic program, whose loader is looked for inside the image: register a static one (Debian, Ubuntu: qemu-user-static)"
	case k.res.Emulator != "":
		return "the handler looks for its emulator inside the image: register it with flag F"
	case k.last.script != "":
		return k.hintInterpreter(k.last.script)
	case k.last.loader != "":
		return k.hintLoader(k.last.loader)
	}
	argv := k.res.Command
	if words := strings.Fields(argv[0]); len(words) > 1 {
		if _, f := k.search(words[0]); f == nil {
			return "it is one string: write " + List(words) + " in the Dockerfile, or start it with --entrypoint '" + List(words) + "'"
		}
	}
	if len(argv) > 1 && argv[1] == "-c" && strings.HasSuffix(argv[0], "sh") {
		hint := "the image has no shell, which the shell form of ENTRYPOINT and CMD needs: write the command as a list"
		if shell := k.shell(); shell != "" {
			hint = "the image has " + shell + " and not this shell: name it in the Dockerfile, SHELL " + List([]string{shell, "-c"}) + ", or write the command as a list"
		}
		if len(argv) == 3 && !strings.ContainsAny(argv[2], "|&;<>()$`\\\"'*?[#~") {
			words := List(strings.Fields(strings.TrimPrefix(argv[2], "exec ")))
			return hint + ", " + words + ", or start it with --entrypoint '" + words + "'"
		}
		return hint + ", or use a base image with the shell"
	}
	if k.passed != "" {
		return k.notExecutable(k.passed)
	}
	if hint := k.hintName(argv[0]); hint != "" {
		return hint
	}
	if !strings.Contains(argv[0], "/") {
		if n, f := k.user.walk(k.cwd, argv[0]); f == nil && n.info.Type == 0 {
			return fmt.Sprintf("%s is not in PATH: write %q, or start it with --entrypoint %s", n.path, n.path, n.path)
		}
	}
	return ""
}

// List is a command as Dockerfiles and --entrypoint write it.
func List(words []string) string {
	var b strings.Builder
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	_ = e.Encode(words) // strings always can be
	return strings.TrimSpace(b.String())
}

func chmod(file string) string {
	return "make it executable: chmod +x " + file + " before the image is built, or COPY --chmod=755"
}

// hintInterpreter is the way out where the interpreter of a script is missing.
func (k *check) hintInterpreter(name string) string {
	if strings.HasSuffix(name, "\r") {
		return carriage(k.last.first)
	}
	shell := k.shell()
	switch base := path.Base(name); {
	case k.inPath(base) != "":
		return "write #!" + k.inPath(base) + " in its first line"
	case shell != "" && strings.HasSuffix(base, "sh"):
		return "install " + base + " into the image (Debian: apt-get install " + base + "; Alpine: apk add " + base + "), or write #!" + shell + " if the script does without"
	}
	return "install what provides " + name + " into the image, or use a base image that has it"
}

// carriage is the way out for a file with the line ends of Windows.
func carriage(file string) string {
	return `the file has the line ends of Windows: sed -i 's/\r$//' ` + file + " (or dos2unix), and build the image again; in git: " + path.Base(file) + " text eol=lf in .gitattributes"
}

// shell is a shell that the image has.
func (k *check) shell() string {
	for _, s := range []string{"/bin/sh", "/usr/bin/sh", "/bin/bash", "/busybox/sh"} {
		if k.there(s) {
			return s
		}
	}
	return ""
}

// there reports whether the user can start a file by this name.
func (k *check) there(name string) bool {
	_, f := k.open(name)
	return f == nil
}

// hintPermission is the way out where something may not be done.
func (k *check) hintPermission(f *fault) string {
	n, missing := k.runtime.walk("/", f.at)
	if missing != nil {
		return ""
	}
	someoneElse := ", or start it as another user, with --user 0"
	if k.user.cred.uid == 0 {
		someoneElse = ""
	}
	switch {
	case n.info.Type.IsDir() && (f.at == k.res.File || f.at == k.last.script || f.at == k.last.loader || n.path == k.dirAsked()):
		return n.path + " is a directory: name the program in it"
	case n.info.Type.IsDir():
		return "let others search it: chmod a+x " + n.path + " before the image is built" + someoneElse
	case n.info.Type == fs.ModeSymlink || n.info.Type != 0:
		return ""
	case n.info.Perm&0o111 == 0:
		return k.notExecutable(n.path)
	}
	return "let others execute it: chmod a+rx " + n.path + " before the image is built" + someoneElse
}

// dirAsked is the directory that the command itself names, if it does.
func (k *check) dirAsked() string {
	if n, f := k.runtime.walk(k.cwd, k.res.Command[0]); f == nil && n.info.Type.IsDir() {
		return n.path
	}
	return ""
}

// hintFormat is the way out for a file that the kernel does not take.
func (k *check) hintFormat(f *fault) string {
	switch head := k.last.head; {
	case f.errno == errTooDeep:
		return "name the program that runs the script in its first line, not another script"
	case f.errno == unix.ELIBBAD:
		return "the image mixes files of several platforms: its loader " + k.last.loader + " is not for the program; build it from a base image for " + machineOf(cmp.Or(k.res.Platform.Actual, k.res.Host))
	case k.last.short != "":
		return k.last.short
	case isELF(head):
		return k.hintForeign()
	}
	return k.hintContent(k.last.head, k.last.path)
}

func isELF(head []byte) bool { return strings.HasPrefix(string(head), "\x7fELF") }

// shortProgram is the way out for a program that ends before its segments do.
func (p *program) shortProgram() string {
	for _, s := range p.loads {
		if s.filesz != 0 && (s.offset > 1<<62 || s.filesz > 1<<62 || s.offset+s.filesz > uint64(p.size)) {
			return p.cutShort()
		}
	}
	return ""
}

func (p *program) cutShort() string {
	return fmt.Sprintf("the file %s is cut short: it has %d bytes, and its headers speak of more; copy it again before the image is built", p.id.path, p.size)
}

// hintForeign says how files of another platform can run here.
func (k *check) hintForeign() string {
	switch {
	case k.res.Platform.Actual == "":
		return ""
	case k.last.head[16]+k.last.head[17] == 1: // ET_REL
		return "it is an object file: link it to a program"
	case k.last.head[16]+k.last.head[17] == 4: // ET_CORE
		return "it is a memory dump of a program that crashed, named core: copy the program itself"
	case machineOf(k.res.Platform.Actual) == machineOf(k.res.Host):
		return "build or copy the program again: its file is damaged, or made for another system"
	}
	use := "use the image for " + machineOf(k.host.Platform.String()) + ", or "
	arch := machineName(k.res.Platform.Actual)
	if off := switchedOff(k.last.head, k.host.Binfmt); off != "" {
		return use + off
	}
	if file := k.host.EmulatorFor(arch); file != "" {
		return use + "register the emulator that is installed, " + file + ": systemctl restart systemd-binfmt (Debian, Ubuntu: or update-binfmts --enable " + strings.TrimSuffix(path.Base(file), "-static") + ")"
	}
	debian, fedora := host.EmulatorPackages(arch)
	if debian == "" {
		return strings.TrimSuffix(use, ", or ")
	}
	return use + "register an emulator (Debian, Ubuntu: " + debian + "; Fedora: " + fedora + ")"
}

// switchedOff says how to switch a handler on that would take the file.
func switchedOff(head []byte, b host.Binfmt) string {
	on := b
	on.Enabled, on.Handlers = true, nil
	for _, h := range b.Handlers {
		h.Enabled = true
		on.Handlers = append(on.Handlers, h)
	}
	h, ok := on.Match(head, "")
	switch {
	case !ok || len(b.Handlers) == 0:
		return ""
	case !b.Enabled:
		return "switch binfmt_misc on: echo 1 > /proc/sys/fs/binfmt_misc/status"
	}
	return "switch its handler on: echo 1 > /proc/sys/fs/binfmt_misc/" + h.Name
}
