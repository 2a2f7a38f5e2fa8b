package preflight

import (
	"errors"
	"fmt"
	"io"
	"path"

	"golang.org/x/sys/unix"

	"github.com/mpull/mpull/engine/host"
)

// image is the file that the kernel is looking at (bprm->file): one of the root,
// or one that a handler with flag F holds open.
type image struct {
	id   identity
	file io.ReaderAt
	size int64
	head []byte // first 256 bytes, padded with zeros
	// changesID says that its set-ID bits give the process other IDs, unless it
	// may get no new privileges.
	changesID bool
	done      func()
}

// identity tells programs apart.
type identity struct {
	path string
	held bool // not a file of the root
}

// loaded is the end of one execve.
type loaded struct {
	fault    *fault
	file     string   // the first file
	program  identity // what runs
	emulator string   // interpreter of the last handler used
	held     bool     // that handler holds it open (flag F)
	guess    string   // what had to be assumed
	actual   string   // platform of the last file before a handler
	foreign  string   // loader that a file taken by a handler asks for
	level    *levelFault
	levelled bool   // the program or its loader says which CPU level it needs
	odd      string // the level that it asks for, which nothing compares with the CPU's
	steps    []string
	ending
}

// ending describes the file at which loading ended. Hints are made of it.
type ending struct {
	path, first string // of that file, and of the script that led to it
	head        []byte
	script      string // interpreter that its #! line names
	loader      string // loader that the program names
	short       string // what to do about a file that is cut short
	windows     bool   // a #! line that ends with a carriage return
	env         string // the program that a #! line has env look for
}

const (
	headSize = 256 // BINPRM_BUF_SIZE
	maxHops  = 5   // exec_binprm of fs/exec.c gives up at the sixth
)

// load follows execve of name, with the host's handlers or without any:
// exec_binprm of fs/exec.c.
func (k *check) load(name string, handled bool) (out loaded) {
	l := &loading{check: k, handled: handled, interp: name}
	defer func() { l.cur.close() }()
	l.out.fault = l.enter(name)
	l.out.file = l.cur.id.path
	defer func() { out.path, out.head, out.loader = l.cur.id.path, l.cur.head, l.asked }()
	for depth := 0; l.out.fault == nil; depth++ {
		if k.ctx.Err() != nil {
			l.out.fault = &fault{at: name, why: k.ctx.Err().Error()}
			break
		}
		if depth > maxHops {
			l.out.fault = &fault{errno: errTooDeep, at: name, why: "more than five interpreters in a row"}
			break
		}
		hop, f := l.search()
		if f != nil || !hop {
			l.out.fault = f
			break
		}
	}
	return l.out
}

// loading is one execve in progress.
type loading struct {
	*check
	handled bool // by the host's handlers
	cur     image
	interp  string // bprm->interp: the name by which the file was asked for
	asked   string // the name of the loader in the program
	out     loaded
	passFD  bool // bprm->have_execfd
	passing bool // bprm->executable is set
}

func (i image) close() {
	if i.done != nil {
		i.done()
	}
}

func (l *loading) note(format string, args ...any) {
	l.out.steps = append(l.out.steps, fmt.Sprintf(format, args...))
}

// enter makes a file of the root the current one.
func (l *loading) enter(name string) *fault {
	img, f := l.openImage(name)
	if f != nil {
		return f
	}
	l.cur.close()
	l.cur = img
	return nil
}

// openImage opens a program of the root and reads its head.
func (k *check) openImage(name string) (image, *fault) {
	n, f := k.open(name)
	if f != nil {
		return image{}, f
	}
	return k.openNode(n)
}

// openNode opens a regular file of the root and reads its head.
func (k *check) openNode(n node) (image, *fault) {
	file, err := k.user.root.Open(n.path)
	if err != nil {
		return image{}, &fault{at: n.path, why: "cannot be opened here: " + err.Error()}
	}
	img := image{id: identity{path: n.path}, file: file, size: n.info.Size, changesID: k.user.cred.changes(n.info), done: func() { _ = file.Close() }}
	if img.head, err = readAt(file, 0, headSize); err != nil {
		img.close()
		return image{}, &fault{at: n.path, why: "cannot be read here: " + err.Error()}
	}
	img.head = append(img.head, make([]byte, headSize-len(img.head))...)
	return img, nil
}

// readAt reads up to n bytes; the end of the file is no error.
func readAt(r io.ReaderAt, off int64, n int) ([]byte, error) {
	buf := make([]byte, n)
	got, err := r.ReadAt(buf, off)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	return buf[:got], nil
}

// small reads a file of the container that its user can read; any other one,
// or a longer one, is empty.
func (k *check) small(name string, most int) []byte {
	b, _ := k.user.read(name, most)
	return b
}

// search is search_binary_handler: binfmt_misc, scripts, ELF and compatible
// ELF, in this order. It reports whether there is an interpreter to go on with.
func (l *loading) search() (hop bool, f *fault) {
	if l.handled {
		if h, ok := l.on.Match(l.cur.head, l.interp); ok {
			return true, l.handler(h)
		}
	}
	if line, ok := parseScript(l.cur.head); ok {
		l.note("%s begins with #!, interpreter %q", l.cur.id.path, line)
		l.out.first, l.out.script = l.cur.id.path, line
		l.out.windows = l.out.windows || returns(l.cur.head)
		if path.Base(line) == "env" {
			l.out.env = envProgram(l.cur.head)
		}
		if f := l.hop(line, nil); f != nil {
			return true, f
		}
		l.out.script = ""
		return true, nil
	}
	return false, l.elf()
}

// handler is load_misc_binary of fs/binfmt_misc.c.
func (l *loading) handler(h host.Handler) *fault {
	l.note("handler %q takes %s and starts %s (flags %q)", h.Name, l.cur.id.path, h.Interpreter, h.Flags)
	l.sawPlatform()
	if h.Unsure != "" {
		return &fault{at: l.cur.id.path, why: h.Unsure}
	}
	if l.out.emulator == "" {
		l.out.foreign = foreignLoader(l.cur)
	}
	l.out.emulator, l.out.held = h.Interpreter, h.Has('F')
	f := l.hop(h.Interpreter, &h)
	l.passFD = l.passFD || h.Has('O') || h.Has('C')
	return f
}

// hop goes on with an interpreter. A file that is passed on as a descriptor
// (flag O) can be only one in a chain: a second hop after it is ENOEXEC.
func (l *loading) hop(name string, h *host.Handler) *fault {
	prev := l.cur.id.path
	if h != nil && h.Has('F') {
		l.cur.close()
		l.cur = heldImage(h)
	} else if f := l.enter(name); f != nil {
		return missing(f, name, prev, h)
	}
	l.interp = name
	if l.passFD || h != nil && (h.Has('O') || h.Has('C')) {
		if l.passing {
			return &fault{errno: unix.ENOEXEC, at: name, why: "a handler with flag O is followed by another interpreter"}
		}
		l.passing = true
	}
	return nil
}

// missing makes clear whose interpreter failed.
func missing(f *fault, name, prev string, h *host.Handler) *fault {
	what := "the interpreter of " + quote(prev)
	if h != nil {
		what = "the interpreter of handler " + quote(h.Name)
	}
	return &fault{errno: f.errno, at: name, why: what + " (" + f.Error() + ")", link: f.link, target: f.target}
}

// heldImage is the interpreter that a handler with flag F holds open.
func heldImage(h *host.Handler) image {
	img := image{id: identity{path: h.Interpreter, held: true}, head: make([]byte, headSize)}
	if h.Opened != nil {
		img.file, img.size = partial{h.Opened}, h.Opened.Size
		copy(img.head, h.Opened.Head)
	}
	return img
}

// partial reads a file of which only the beginning is known.
type partial struct{ *host.OpenedFile }

func (p partial) ReadAt(b []byte, off int64) (int, error) {
	if off < 0 || off >= p.Size {
		return 0, io.EOF
	}
	if off+int64(len(b)) > int64(len(p.Head)) && int64(len(p.Head)) < p.Size {
		return 0, errNotThere
	}
	n := copy(b, p.Head[min(off, int64(len(p.Head))):])
	if n < len(b) {
		return n, io.EOF
	}
	return n, nil
}

// sawPlatform keeps for which platform the program is, if it is ELF. What comes
// after a handler is an emulator, and no choice of the image.
func (l *loading) sawPlatform() {
	p, ok := host.ELFPlatform(l.cur.head)
	if !ok || l.cur.id.held || l.out.emulator != "" {
		return
	}
	if n := armLevel(l.cur); p.Architecture == "arm" && n > 0 {
		p.Variant = levelName(n)
	}
	l.out.actual = p.String()
}
