package preflight

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/mpull/mpull/engine/host"
)

// Program header types (elf.h).
const (
	ptLoad        = 1
	ptInterp      = 3
	ptNote        = 4
	ptGNUProperty = 0x6474e553
)

const (
	phTableMax = 65536 // load_elf_phdrs of fs/binfmt_elf.c
	interpMax  = 4096  // PATH_MAX
)

// segment is one program header.
type segment struct {
	typ, flags                            uint32
	offset, vaddr, filesz, memsz, aligned uint64
}

// program is an ELF file as one loader of the kernel reads it.
type program struct {
	image
	loader host.Loader
	order  binary.ByteOrder
	header host.ELFHeader
	segs   []segment
	loads  []segment // of segs, those that are mapped
	page   uint64    // the host's, in bytes
}

// sized is what holds for files of the program's class, of 32 bits or of 64.
func (p *program) sized(class32, class64 int) int {
	if p.loader.Class64 {
		return class64
	}
	return class32
}

// word is a number as wide as an address.
func (p *program) word(b []byte) uint64 {
	if p.loader.Class64 {
		return p.order.Uint64(b)
	}
	return uint64(p.order.Uint32(b))
}

// find returns the first segment of a type.
func (p *program) find(typ uint32) (s segment, ok bool) {
	at := slices.IndexFunc(p.segs, func(s segment) bool { return s.typ == typ })
	if at < 0 {
		return s, false
	}
	return p.segs[at], true
}

// errShort stands for a read beyond the end of the file, EIO in the kernel.
var errShort = errors.New("the file ends too early")

// read reads exactly n bytes, as elf_read.
func (p *program) read(off uint64, n int) ([]byte, error) {
	if off > 1<<62 {
		return nil, errShort
	}
	if p.file == nil {
		return nil, errNotThere
	}
	b, err := readAt(p.file, int64(off), n)
	if err == nil && len(b) < n {
		err = errShort
	}
	return b, err
}

// readSegments is load_elf_phdrs: entries of the loader's own size, at least
// one, 64 KiB at most.
func (p *program) readSegments() error {
	size, n := p.sized(32, 56), int(p.header.Phnum)
	switch {
	case int(p.header.Phentsize) != size:
		return fmt.Errorf("program headers of %d bytes instead of %d", p.header.Phentsize, size)
	case n == 0 || n*size > phTableMax:
		return fmt.Errorf("%d program headers", n)
	}
	b, err := p.read(p.header.Phoff, n*size)
	if err != nil {
		return err
	}
	for i := range n {
		s := p.decode(b[i*size:])
		if p.segs = append(p.segs, s); s.typ == ptLoad {
			p.loads = append(p.loads, s)
		}
	}
	return nil
}

func (p *program) decode(b []byte) segment {
	o := p.order
	if p.loader.Class64 {
		return segment{o.Uint32(b), o.Uint32(b[4:]), o.Uint64(b[8:]), o.Uint64(b[16:]), o.Uint64(b[32:]), o.Uint64(b[40:]), o.Uint64(b[48:])}
	}
	w := func(at int) uint64 { return uint64(o.Uint32(b[at:])) }
	return segment{o.Uint32(b), o.Uint32(b[24:]), w(4), w(8), w(16), w(20), w(28)}
}

// elf asks the kernel's ELF loaders one after the other. ENOEXEC of one hands
// the file to the next.
func (l *loading) elf() *fault {
	l.sawPlatform()
	if l.cur.id.held && l.cur.file == nil {
		l.out.guess = "assumed to run, the kernel holds it open"
		l.out.program = l.cur.id
		return nil
	}
	f := l.notELF()
	for _, loader := range l.host.Loaders() {
		p := &program{image: l.cur, loader: loader, order: l.host.ByteOrder(), page: uint64(l.host.Page())}
		h, ok := host.DecodeELF(l.cur.head, loader.Class64, p.order)
		if !ok || h.Type != host.ELFTypeExec && h.Type != host.ELFTypeDyn || !loader.Accepts(h) {
			continue
		}
		p.header = h
		if f = l.loadELF(p); f == nil || f.errno != unix.ENOEXEC {
			return f
		}
		if loader.Class64 != (h.Class == host.ELFClass64) {
			f = l.notELF() // its headers make no sense in this loader's layout, and need not
		}
	}
	return f
}

// notELF says why no loader takes the file.
func (l *loading) notELF() *fault {
	head, path := l.cur.head, l.cur.id.path
	f := &fault{errno: unix.ENOEXEC, at: path}
	switch p, known := host.ELFPlatform(head); {
	case l.host.Binfmt.Unread != "":
		return &fault{at: path, why: "the kernel has no loader for it, and its handlers cannot be read: " + l.host.Binfmt.Unread}
	case known && l.host.Binfmt.Hidden:
		return &fault{at: path, why: "is a program for " + p.String() + ", which the kernel does not load; its handlers were not to be seen when the host's facts were read"}
	case len(l.host.Loaders()) == 0:
		return &fault{at: path, why: "the rules of " + l.host.Platform.String() + " kernels are not known"}
	case l.cur.size == 0:
		f.why = "is empty"
	case string(head[:4]) != "\x7fELF":
		f.why = "is neither a program nor a script with #!"
	case known:
		f.why = "is a program for " + p.String() + ", which this kernel does not load"
	default:
		f.why = "has an ELF header that this kernel does not accept"
	}
	return f
}

// loadELF is load_elf_binary of fs/binfmt_elf.c.
func (l *loading) loadELF(p *program) *fault {
	if err := p.readSegments(); err != nil {
		return l.bad(p, unix.ENOEXEC, err)
	}
	if l.out.short = p.shortProgram(); l.out.short == "" && p.header.Type == host.ELFTypeDyn && p.header.Entry == 0 {
		l.out.short = "the file names no first instruction, as shared libraries do: name the program that uses it"
	}
	ld, f := l.loader(p)
	if f != nil {
		return f
	}
	if ld != nil {
		defer ld.close()
	}
	switch e := l.mapped(p, ld); {
	case e.killed != "":
		return &fault{errno: errKilled, at: p.id.path, why: "the kernel kills the process with SIGSEGV while loading: " + e.killed}
	case e.unsure != "":
		return &fault{at: p.id.path, why: e.unsure, small: e.small}
	}
	l.out.program = l.cur.id
	l.note("%s is an ELF program that this kernel loads", p.id.path)
	if l.out.emulator == "" && !l.alone {
		l.out.level = l.cpuLevel(p, ld)
		return l.libraries(p, ld)
	}
	return nil
}

// bad makes a fault of a malformed file; what could not be read is unknown.
func (l *loading) bad(p *program, errno unix.Errno, err error) *fault {
	// A failing read of ours is no finding about the file.
	if errors.Is(err, errNotThere) || !errors.Is(err, errShort) && errors.As(err, new(unix.Errno)) {
		return &fault{at: p.id.path, why: err.Error()}
	}
	if errors.Is(err, errShort) {
		l.out.short = p.cutShort()
	}
	return &fault{errno: errno, at: p.id.path, why: "is a malformed program: " + err.Error()}
}

// loader opens the program's own loader, named by the first PT_INTERP. It
// returns nil for a program without.
func (l *loading) loader(p *program) (*program, *fault) {
	s, ok := p.find(ptInterp)
	if !ok {
		return nil, nil
	}
	name, f := l.interpName(p, s)
	if f != nil {
		return nil, f
	}
	l.asked = name
	l.note("%s asks for the loader %q", p.id.path, name)
	return l.openLoader(p, name)
}

func (l *loading) interpName(p *program, s segment) (string, *fault) {
	if s.filesz < 2 || s.filesz > interpMax {
		return "", l.bad(p, unix.ENOEXEC, fmt.Errorf("the name of its loader has %d bytes", s.filesz))
	}
	b, err := p.read(s.offset, int(s.filesz))
	if err != nil {
		return "", l.bad(p, unix.EIO, err)
	}
	if b[len(b)-1] != 0 {
		return "", l.bad(p, unix.ENOEXEC, errors.New("the name of its loader has no end"))
	}
	name, _, _ := strings.Cut(string(b), "\x00")
	return name, nil
}

// openLoader checks the loader as load_elf_binary does: a file that the user
// may execute, with a header that the program's own kind of loader accepts.
func (l *loading) openLoader(p *program, name string) (*program, *fault) {
	img, f := l.openImage(name)
	if f != nil {
		return nil, &fault{errno: f.errno, at: name, why: "the loader of " + quote(p.id.path) + " (" + f.Error() + ")", link: f.link, target: f.target}
	}
	ld := &program{image: img, loader: p.loader, order: p.order, page: p.page}
	if f := l.checkLoader(ld); f != nil {
		img.close()
		return nil, f
	}
	return ld, nil
}

func (l *loading) checkLoader(ld *program) *fault {
	head, err := ld.read(0, ld.sized(52, 64))
	if err != nil {
		return l.bad(ld, unix.EIO, err)
	}
	h, ok := host.DecodeELF(head, ld.loader.Class64, ld.order)
	if !ok || !ld.loader.Accepts(h) {
		return &fault{errno: unix.ELIBBAD, at: ld.id.path, why: "is a loader that does not fit the program"}
	}
	ld.header = h
	if err := ld.readSegments(); err != nil {
		return l.bad(ld, unix.ELIBBAD, err)
	}
	return nil
}

// foreignLoader returns the loader that a program of any architecture asks
// for, or "". It is for hints: the kernel does not look at it.
func foreignLoader(i image) string {
	p := &program{image: i, loader: host.Loader{Class64: i.head[4] == host.ELFClass64}, order: host.ELFOrder(i.head)}
	var ok bool
	if p.header, ok = host.DecodeELF(i.head, p.loader.Class64, p.order); !ok || p.readSegments() != nil {
		return ""
	}
	s, ok := p.find(ptInterp)
	if !ok || s.filesz < 2 || s.filesz > interpMax {
		return ""
	}
	b, _ := p.read(s.offset, int(s.filesz))
	name, _, _ := strings.Cut(string(b), "\x00")
	return name
}
