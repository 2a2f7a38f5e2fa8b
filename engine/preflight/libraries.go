package preflight

import (
	"bytes"
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/mpull/mpull/engine/host"
)

// Bounds on what is read of the libraries of one program.
const (
	maxObjects = 512     // files that are loaded
	maxProbes  = 20_000  // places where libraries are looked for
	maxLoader  = 4 << 20 // bytes of the loader
)

// An object is a file that the loader has loaded or is about to.
type object struct {
	path string
	dyn  dynamic
	by   *object // who asked for it first
}

// linking is the work of a program's own loader, as far as finding the
// libraries: breadth first, each file once.
type linking struct {
	*loading
	main    *program
	names   map[string]*object // what is loaded, by file names, sonames and asked names
	order   []*object          // the same, each once, in the loader's order
	own     *object            // the loader itself
	next    int                // of order, the first whose needs were not looked at
	loader  finder
	objects int
	probes  int
}

// A finder is how one kind of loader looks for libraries.
type finder struct {
	own      []string                               // how the names of libraries begin that the loader is itself
	dirs     func(of *object) []string              // where a library is looked for that of asks for
	cached   func(of *object, name string) []string // where the loader's own list of libraries says that name is
	fallback func(of *object) []string              // the directories that are looked at last
	below    []string                               // subdirectories that come before a directory itself
	picky    bool                                   // files for another machine end the search
	levels   bool                                   // CPU levels are compared
	versions bool                                   // versions of symbols are compared
	lazy     bool                                   // functions may be looked up when they are called
}

// builtIn reports whether the loader itself stands for name.
func (f finder) builtIn(name string) bool {
	return slices.ContainsFunc(f.own, func(begin string) bool { return strings.HasPrefix(name, begin) })
}

// libraries looks for the libraries of the program p as its loader ld does, and
// stops at the first that it does not find. What a loader of an unknown kind does
// is not known: its program passes when either kind would find all libraries.
func (l *loading) libraries(p, ld *program) *fault {
	if ld == nil {
		return nil
	}
	k := &linking{loading: l, main: p, names: map[string]*object{}}
	dyn, err := p.dynamic()
	if err != nil {
		return l.unread(p.id.path, err)
	}
	if len(dyn.needed) == 0 {
		return nil
	}
	finder, known, err := k.finderOf(ld)
	if err != nil {
		return l.unread(ld.id.path, err)
	}
	k.loader = finder
	own, err := ld.dynamic()
	if err != nil {
		return l.unread(ld.id.path, err)
	}
	k.order = []*object{{path: p.id.path, dyn: dyn}}
	k.own = &object{path: ld.id.path, dyn: own}
	k.loaded(k.own, own.soname, ld.id.path)
	f := k.all()
	if f == nil && finder.versions {
		f = k.compareVersions()
	}
	if f == nil && known {
		f = k.compareSymbols()
	}
	if f != nil && f.errno != 0 && !known {
		return &fault{at: p.id.path, why: "its loader " + quote(ld.id.path) + " is neither glibc's nor musl's, and where it finds libraries is not known: " + f.Error()}
	}
	return f
}

// unread is the end when a file's dynamic section says nothing sensible.
func (l *loading) unread(at string, err error) *fault {
	return &fault{at: at, why: "which libraries it needs cannot be read: " + err.Error()}
}

// finderOf tells the kinds of loaders apart by what their files hold.
func (k *linking) finderOf(ld *program) (_ finder, known bool, err error) {
	b, err := readAt(ld.file, 0, int(min(ld.size, maxLoader)))
	if err != nil {
		return finder{}, false, err
	}
	switch {
	case bytes.Contains(b, []byte("glibc-ld.so.cache")):
		return newGlibc(k, b), true, nil
	case bytes.Contains(b, []byte(muslPathFile)):
		return newMusl(k, b), true, nil
	}
	return anyFinder(newGlibc(k, b), newMusl(k, b)), false, nil
}

// anyFinder finds what either kind of loader would.
func anyFinder(glibc, musl finder) finder {
	return finder{
		own:      musl.own,
		dirs:     func(of *object) []string { return slices.Concat(glibc.dirs(of), musl.dirs(of)) },
		cached:   glibc.cached,
		fallback: func(of *object) []string { return slices.Concat(glibc.fallback(of), musl.fallback(of)) },
		below:    glibc.below,
		lazy:     true,
	}
}

func (k *linking) all() *fault {
	for ; k.next < len(k.order); k.next++ {
		of := k.order[k.next]
		for _, name := range of.dyn.needed {
			if err := k.ctx.Err(); err != nil {
				return &fault{at: name, why: err.Error()}
			}
			if f := k.need(of, name); f != nil {
				return f
			}
		}
	}
	k.note("%d libraries are found", k.objects)
	return nil
}

// loaded notes names of an object, of which the first to have one keeps it.
func (k *linking) loaded(o *object, names ...string) {
	for _, n := range names {
		if n != "" && k.names[n] == nil {
			k.names[n] = o
		}
	}
}

// need finds one library and puts its own in line.
func (k *linking) need(of *object, name string) *fault {
	if k.names[name] != nil || k.loader.builtIn(name) {
		return nil
	}
	if k.objects++; k.objects > maxObjects {
		return &fault{at: of.path, why: fmt.Sprintf("more than %d libraries are needed", maxObjects)}
	}
	lib, at, f := k.find(of, name)
	if f != nil {
		return f
	}
	defer lib.close()
	if again := k.names[at]; again != nil {
		k.loaded(again, name)
		return nil
	}
	if n := lib.level(); n > 0 && lib.x86() && k.loader.levels && k.out.level == nil {
		k.out.level = k.lacks(lib, n)
	}
	if lib.page > usualPage && lib.alignment() < lib.page {
		return &fault{at: at, why: lib.smallPages(), small: true}
	}
	dyn, err := lib.dynamic()
	if err != nil {
		return k.unread(at, err)
	}
	o := &object{path: at, dyn: dyn, by: of}
	k.order = append(k.order, o)
	k.loaded(o, name, at)
	if !k.loader.picky { // musl knows files by the names they were asked for
		k.loaded(o, dyn.soname)
	}
	return nil
}

// find looks a library up where the loader does.
func (k *linking) find(of *object, name string) (*program, string, *fault) {
	name = expand(name, path.Dir(of.path))
	if strings.Contains(name, "$LIB") || strings.Contains(name, "$PLATFORM") {
		return nil, "", &fault{at: of.path, why: "what the loader puts in for a part of " + quote(name) + " is not known"}
	}
	var places []string
	if strings.Contains(name, "/") {
		places = []string{name}
	} else {
		places = slices.Concat(k.in(k.loader.dirs(of), name), k.loader.cached(of, name), k.in(k.loader.fallback(of), name))
	}
	foreign := ""
	for _, at := range places {
		if k.probes++; k.probes > maxProbes || k.ctx.Err() != nil {
			return nil, "", &fault{at: of.path, why: "its libraries are looked for in too many places"}
		}
		lib, fits, elf, f := k.openLibrary(at)
		switch {
		case f != nil && f.errno == 0:
			return nil, "", f
		case f != nil:
		case fits:
			return lib, at, nil
		case k.loader.picky || strings.Contains(name, "/") || !elf:
			return nil, "", &fault{errno: errNoLibrary, at: of.path, why: "needs the library " + quote(name) + ", and " + quote(at) + " is not one for this program"}
		default:
			foreign = ", but for one of another machine, " + quote(at)
		}
	}
	for _, at := range places {
		if strings.Contains(at, "$LIB") || strings.Contains(at, "$PLATFORM") || strings.Contains(at, "${") {
			return nil, "", &fault{at: of.path, why: "what the loader puts in for a part of " + quote(at) + " is not known"}
		}
	}
	return nil, "", &fault{errno: errNoLibrary, at: of.path, why: "needs the library " + quote(name) + ", which is nowhere in the image where its loader looks" + foreign}
}

// in is where name may be: in each directory, and before in those below it
// for the CPU.
func (k *linking) in(dirs []string, name string) (places []string) {
	for _, d := range dirs {
		if len(places) > maxProbes {
			break // find gives up before it is there
		}
		d = strings.TrimRight(d, "/")
		for _, sub := range k.loader.below {
			places = append(places, d+"/"+sub+"/"+name) // not cleaned: dots may follow a link
		}
		places = append(places, d+"/"+name)
	}
	return places
}

// openLibrary opens a file as a library and tells whether it fits the program.
// elf tells whether one that does not is for another machine.
func (k *linking) openLibrary(at string) (lib *program, fits, elf bool, f *fault) {
	n, f := k.user.walk(k.cwd, at)
	if f == nil && n.info.Type.IsDir() && k.user.cred.may(n.info, 4) {
		return nil, false, false, nil // a loader opens it, and then cannot read it
	}
	if f == nil && (n.info.Type != 0 || !k.user.cred.may(n.info, 4)) {
		f = &fault{errno: errNoLibrary, at: at}
	}
	if f != nil {
		return nil, false, false, f
	}
	img, f := k.openNode(n)
	if f != nil {
		return nil, false, false, f
	}
	p := &program{image: img, loader: k.main.loader, order: k.main.order, page: k.main.page}
	h, ok := host.DecodeELF(img.head, p.loader.Class64, p.order)
	if !ok || h.Machine != k.main.header.Machine || h.Type != host.ELFTypeDyn {
		img.close()
		return nil, false, string(img.head[:4]) == "\x7fELF", nil
	}
	p.header = h
	if fits = p.readSegments() == nil; !fits { // which its loader refuses as well
		img.close()
	}
	return p, fits, fits, nil
}

// environ is the value of a variable in the environment of the program.
func (k *linking) environ(name string) string {
	value, _ := k.cmd.variable(name)
	return value
}

// levelsUpTo names the directories of glibc-hwcaps for this CPU, best first.
func (k *linking) levelsUpTo() (names []string) {
	if k.main.header.Machine != 62 {
		return nil
	}
	for n := k.hostLevel(k.main); n > 1; n-- {
		names = append(names, fmt.Sprintf("glibc-hwcaps/x86-64-v%d", n))
	}
	return names
}
