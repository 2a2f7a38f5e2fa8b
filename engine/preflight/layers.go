package preflight

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"math"
	"os"
	"path"
	"slices"
	"strconv"
	"strings"
	"sync"

	"golang.org/x/sys/unix"
)

func procFD(fd int) string { return "/proc/self/fd/" + strconv.Itoa(fd) }

// Layers is a RootFS made of the directories of an image's layers, seen as
// overlayfs would show them, without mounting. Both marks for removed entries
// are understood: those of overlayfs (a character device 0:0, the xattr
// overlay.opaque) and those of layer archives (.wh.NAME, .wh..wh..opq). Links
// between directories (redirect_dir) are not: containers/storage makes none.
//
// In a store that root made, only root of the initial user namespace sees which
// directories are opaque (trusted.overlay.opaque). For others AskRecords tells
// them, and what such a directory may hide is not known.
//
// A directory's layers are remembered when they are first seen: the layers of
// an image do not change. Layers may be used by several goroutines.
type Layers struct {
	top []*Dir // uppermost first
	own []*Dir // those of them that are on no shelf

	merged sync.Map // of a directory's name, the layers that it shows, []*Dir
}

// OpenLayers opens the directories of the layers, lowest first. Without layers
// the root is an empty directory.
func OpenLayers(lowestFirst []string) (*Layers, error) { return (&Shelf{}).OpenLayers(lowestFirst) }

// A Shelf is for looking at many images: it keeps some of the lower layers, which
// other images have too, open until it is closed, with what was found in them. The
// zero value is empty, and keeps none.
type Shelf struct {
	Room int // how many it keeps

	mu   sync.Mutex
	dirs map[string]*Dir
}

// OpenLayers is OpenLayers with the layers that are on the shelf.
func (s *Shelf) OpenLayers(lowestFirst []string) (*Layers, error) {
	l := &Layers{}
	for i, dir := range slices.Backward(lowestFirst) {
		d, kept, err := s.open(dir, i+1 < len(lowestFirst))
		if err != nil {
			return nil, errors.Join(err, l.Close())
		}
		l.top = append(l.top, d)
		if !kept {
			l.own = append(l.own, d)
		}
	}
	l.merged.Store("/", l.top)
	return l, nil
}

// open opens a layer, and puts it on the shelf if it is a lower one and there is room.
func (s *Shelf) open(dir string, lower bool) (d *Dir, kept bool, err error) {
	if !lower {
		d, err = OpenDir(dir)
		return d, false, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if d = s.dirs[dir]; d != nil {
		return d, true, nil
	}
	d, err = OpenDir(dir)
	if kept = err == nil && len(s.dirs) < s.Room; kept {
		if s.dirs == nil {
			s.dirs = map[string]*Dir{}
		}
		d.seen, s.dirs[dir] = &sync.Map{}, d
	}
	return d, kept, err
}

// Close releases the layers on the shelf, with which nothing may be done any more.
func (s *Shelf) Close() error { return closeAll(slices.Collect(maps.Values(s.dirs))) }

// IDTable is the table of user IDs of a user namespace (user_namespaces(7)), ""
// where it cannot be read.
type IDTable string

// OwnIDs reads the table of this process.
func OwnIDs() IDTable {
	table, _ := os.ReadFile("/proc/self/uid_map") // without it nothing is hidden
	return IDTable(table)
}

// whole tells whether the table has all IDs, as that of the initial namespace,
// or cannot be read: nobody's IDs are hidden then.
func (t IDTable) whole() bool {
	fields := strings.Fields(string(t))
	return len(fields) < 3 || fields[2] == strconv.FormatUint(math.MaxUint32, 10)
}

// AskRecords gives l what tells the opaque directories of a layer, as absolute
// paths; lowestFirst counts the layers as OpenLayers does. It is called at most
// once for each layer, for those whose marks this process, whose table own is,
// may not read.
func (l *Layers) AskRecords(own IDTable, opaque func(lowestFirst int) (map[string]bool, error)) {
	if own.whole() {
		return
	}
	for i, d := range l.top {
		d.asked.Do(func() {
			if d.marksHidden(own) {
				d.recorded = sync.OnceValues(func() (map[string]bool, error) { return opaque(len(l.top) - 1 - i) })
			}
		})
	}
}

// Close releases the directories that are on no shelf.
func (l *Layers) Close() error { return closeAll(l.own) }

func closeAll(dirs []*Dir) error {
	var errs []error
	for _, d := range dirs {
		errs = append(errs, d.Close())
	}
	return errors.Join(errs...)
}

// Lstat implements RootFS.
func (l *Layers) Lstat(name string) (FileInfo, error) {
	_, fi, err := l.find(name)
	return fi, err
}

// Readlink implements RootFS.
func (l *Layers) Readlink(name string) (string, error) {
	d, _, err := l.find(name)
	if err != nil {
		return "", err
	}
	return d.Readlink(name)
}

// Open implements RootFS.
func (l *Layers) Open(name string) (File, error) {
	d, _, err := l.find(name)
	if err != nil {
		return nil, err
	}
	return d.Open(name)
}

// find returns the layer that shows the entry.
func (l *Layers) find(name string) (*Dir, FileInfo, error) {
	name = path.Clean("/" + name)
	if name == "/" && len(l.top) == 0 {
		return nil, FileInfo{Type: fs.ModeDir, Perm: 0o755}, nil
	}
	if name == "/" {
		fi, err := l.top[0].Lstat("/")
		return l.top[0], fi, err
	}
	merged, err := l.dir(path.Dir(name))
	if err != nil {
		return nil, FileInfo{}, err
	}
	found, fi, err := lookup(merged, name, path.Base(name))
	if err != nil {
		return nil, fi, err
	}
	if fi.Type.IsDir() {
		l.merged.Store(name, found)
	}
	return found[0], fi, nil
}

// dir returns the layers whose directories are merged at name.
func (l *Layers) dir(name string) ([]*Dir, error) {
	if merged, ok := l.merged.Load(name); ok {
		return merged.([]*Dir), nil
	}
	_, fi, err := l.find(name)
	if err == nil && !fi.Type.IsDir() {
		err = notThere(name)
	}
	if err != nil {
		return nil, err
	}
	return l.dir(name)
}

// lookup finds an entry in merged directories: the uppermost one counts, and
// directories are merged until something else, a removal or an opaque one.
func lookup(merged []*Dir, at, part string) (found []*Dir, fi FileInfo, err error) {
	if strings.HasPrefix(part, archiveMark) {
		return nil, fi, notThere(at)
	}
	var doubt error // whether what follows is hidden
	for i, d := range merged {
		e, removed, err := d.known(at, part)
		if err != nil {
			return nil, fi, err
		}
		if removed || e != nil && len(found) > 0 && !e.Type.IsDir() {
			break
		}
		if e == nil {
			continue
		}
		if doubt != nil {
			return nil, fi, doubt
		}
		if found = append(found, d); len(found) == 1 {
			fi = *e
		}
		if !e.Type.IsDir() || i+1 < len(merged) && d.opaque(at) {
			break
		}
		if i+1 < len(merged) {
			doubt = d.mayHide(at)
		}
	}
	if len(found) == 0 {
		return nil, fi, notThere(at)
	}
	return found, fi, nil
}

func notThere(at string) error {
	return &fs.PathError{Op: "lstat", Path: at, Err: fs.ErrNotExist}
}

// archiveMark begins the names that remove entries in a layer archive.
const archiveMark = ".wh."

// known is entry, for a layer on a shelf asked once.
func (d *Dir) known(at, part string) (e *FileInfo, removed bool, err error) {
	if d.seen == nil {
		return d.entry(at, part)
	}
	type answer struct {
		e       *FileInfo
		removed bool
		err     error
	}
	got, ok := d.seen.Load(at)
	if !ok {
		e, removed, err = d.entry(at, part)
		got = answer{e, removed, err}
		d.seen.Store(at, got)
	}
	a := got.(answer)
	return a.e, a.removed, a.err
}

// entry looks at one layer. It returns nil when the layer has nothing to say,
// and removed when it hides what is below.
func (d *Dir) entry(at, part string) (e *FileInfo, removed bool, err error) {
	st, err := d.stat(at)
	if errors.Is(err, fs.ErrNotExist) {
		_, err := d.stat(path.Join(path.Dir(at), archiveMark+part))
		if errors.Is(err, fs.ErrNotExist) || errors.Is(err, unix.ENAMETOOLONG) {
			return nil, false, nil
		}
		return nil, err == nil, err
	}
	if err != nil {
		return nil, false, err
	}
	if st.Mode&unix.S_IFMT == unix.S_IFCHR && st.Rdev == 0 {
		return nil, true, nil
	}
	if st.Mode&unix.S_IFMT == unix.S_IFREG && st.Size == 0 && d.mark(at, "whiteout") != "" {
		return nil, true, nil
	}
	fi, err := d.info(at, &st)
	return &fi, false, err
}

// opaque reports whether a directory of this layer hides those below.
func (d *Dir) opaque(at string) bool {
	if _, err := d.Lstat(path.Join(at, archiveMark+archiveMark+".opq")); err == nil {
		return true
	}
	return d.mark(at, "opaque") == "y"
}

// mark reads a mark of overlayfs on an entry, "" where it has none.
func (d *Dir) mark(at, mark string) string {
	fd, err := d.open(at)
	if err != nil {
		return ""
	}
	defer unix.Close(fd)
	return xattr(fd, mark)
}

// mayHide says why it is not known whether a directory without a readable mark
// hides those below.
func (d *Dir) mayHide(at string) error {
	if d.recorded == nil {
		return nil
	}
	opaque, err := d.recorded()
	switch {
	case err != nil:
		return fmt.Errorf("whether it hides what lower layers have is only root's to read (trusted.overlay.opaque), and the layer's record is not readable: %w", err)
	case opaque[at]:
		return errors.New("it hides what lower layers have, by a mark that only root sees (trusted.overlay.opaque): ask again as root")
	}
	return nil
}

// marksHidden tells whether the directory's owner is root of another user namespace
// than the one with this table of IDs. Then its marks are hidden from this process:
// the kernel gives trusted.* to CAP_SYS_ADMIN of the initial one only (fs/xattr.c).
func (d *Dir) marksHidden(table IDTable) bool {
	var st unix.Stat_t
	if unix.Fstat(d.fd, &st) != nil {
		return false
	}
	return st.Uid == overflowID || rootOutside(table, st.Uid)
}

// rootOutside tells whether a user ID of a namespace, whose table is given, is
// root of the one around it or of one further out (user_namespaces(7)).
func rootOutside(table IDTable, uid uint32) bool {
	for line := range strings.Lines(string(table)) {
		var here, outside, size uint32
		if n, _ := fmt.Sscan(line, &here, &outside, &size); n != 3 {
			return false
		}
		if uid >= here && uid-here < size {
			return outside+(uid-here) == 0
		}
	}
	return true
}

// xattr reads a mark of overlayfs, which is in trusted. for root and in user.
// for others.
func xattr(fd int, mark string) string {
	for _, space := range []string{"trusted.", "user."} {
		var buf [8]byte
		n, err := unix.Getxattr(procFD(fd), space+"overlay."+mark, buf[:])
		if err == nil && n > 0 {
			return string(buf[:n])
		}
		if err == nil {
			return "y" // a mark without a value
		}
	}
	return ""
}
