package store

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"go.podman.io/storage"
	graphdriver "go.podman.io/storage/drivers"
	"go.podman.io/storage/types"
	"golang.org/x/sys/unix"

	"github.com/mpull/mpull/store/crio"
)

// Options says which store to open. The zero value means the store that
// podman would use: the one of storage.conf (CONTAINERS_STORAGE_CONF), else
// the library's defaults for root or for an ordinary user.
type Options struct {
	Root          string   // graph root: images and layers; "" means storage.conf's
	RunRoot       string   // run root: state that a reboot may lose; "" means storage.conf's
	Driver        string   // storage driver, "overlay" or "vfs"; "" means storage.conf's, else what is there
	DriverOptions []string // driver options in podman's form, e.g. "overlay.mountopt=nodev"
	// ImageStore is where images lie apart from the graph root; "" means what
	// storage.conf, for a Root it does not name, or CRI-O's configuration says.
	ImageStore string
	CRIO       *crio.Source // CRI-O's configuration; nil means none
	Sync       bool         // sync a layer's files to disk before the layer counts as complete (overlay only)
}

// Store is an open containers/storage store. Its methods are safe for
// concurrent use. Close must be called.
type Store struct {
	lib       storage.Store // nil where no store is yet, and until library opens one that is only read
	late      *sync.Mutex   // guards lib and temp of a store that Open found; nil for others
	options   types.StoreOptions
	locked    bool     // read as an additional image store, as it cannot be changed
	temp      string   // directory made up for a reader, "" for none; removed by Close
	configs   sync.Map // image ID to *Config: what images are, read once and never changed
	composefs sync.Map // a layer's directory to bool: whether its files are in composefs form
}

// ErrReadOnly is returned by Writer and Deleter of a store whose files cannot
// be changed: a read-only file system or a directory of another user.
var ErrReadOnly = errors.New("the store is read-only")

// Open opens a store for reading. It creates nothing: where no store is, the
// Store behaves as an empty one. A store on a read-only file system is opened
// the way containers/storage opens an additional image store. Any other is opened
// by the library when something first needs that.
func Open(o Options) (*Store, error) {
	options, err := o.resolve()
	if err != nil {
		return nil, err
	}
	if !present(options) {
		if len(additionalStores(options.GraphDriverOptions)) > 0 {
			return openReadOnly(options)
		}
		return &Store{options: options}, nil
	}
	if unix.Access(options.GraphRoot, unix.W_OK) != nil || !whole(options) {
		return openReadOnly(options)
	}
	return &Store{options: options, late: &sync.Mutex{}}, nil
}

// library returns the library's store, which it opens first where Open left that
// for later.
func (s *Store) library() (storage.Store, error) {
	if s.late == nil {
		return s.lib, nil
	}
	s.late.Lock()
	defer s.late.Unlock()
	if s.lib == nil {
		opened, err := openReading(s.options)
		if err != nil {
			return nil, err
		}
		s.lib, s.temp = opened.lib, opened.temp
	}
	return s.lib, nil
}

// graphDriver returns the library's storage driver.
func (s *Store) graphDriver() (graphdriver.Driver, error) {
	lib, err := s.library()
	if err != nil {
		return nil, err
	}
	return lib.GraphDriver()
}

// openReading opens a whole store. A reader mounts nothing, so that it has
// nothing to clean up and needs no lock of the store to do so beside a running
// pull. Where a reboot took the run root, it has one of its own.
func openReading(options types.StoreOptions) (s *Store, err error) {
	temp, as := "", unmounted(options)
	if !wholeRun(options) {
		if temp, err = scratch(); err != nil {
			return nil, err
		}
		as.RunRoot = filepath.Join(temp, "run")
		err = copyRun(options, as.RunRoot)
	}
	if err == nil {
		s, err = open(as)
	}
	if err != nil {
		return nil, errors.Join(err, os.RemoveAll(temp))
	}
	s.temp = temp
	return s, nil
}

// unmounted are the options with which the driver mounts nothing at its home.
func unmounted(options types.StoreOptions) types.StoreOptions {
	if options.GraphDriverName == "overlay" {
		options.GraphDriverOptions = append([]string{"overlay.skip_mount_home=true"}, options.GraphDriverOptions...)
	}
	return options
}

// Create opens a store for changing and creates it where there is none.
func Create(o Options) (*Store, error) {
	options, err := o.resolve()
	if err != nil {
		return nil, err
	}
	if exists(options.GraphRoot) && unix.Access(options.GraphRoot, unix.W_OK) != nil {
		return nil, fmt.Errorf("opening the store at %s: %w", options.GraphRoot, ErrReadOnly)
	}
	if err := makeRuntimeDir(); err != nil {
		return nil, err
	}
	return open(options)
}

// MakeWhole gives a store what the library makes in each, lock files and folders,
// where a power loss took some of it. It makes no store, and leaves one alone of
// which a list is lost: what is missing there tells so.
func MakeWhole(o Options) error {
	options, err := o.resolve()
	if err != nil || !present(options) || whole(options) {
		return err
	}
	found, err := checkFiles(options, options.GraphDriverName, noLock)
	if err != nil || slices.ContainsFunc(found, func(d Damage) bool { return d.Kind == DamagedFile }) {
		return err
	}
	s, err := Create(o)
	if err != nil {
		return err
	}
	return s.Close()
}

// ClosedError says that this user may not reach the store, or not make it.
type ClosedError struct{ Err error }

func (e *ClosedError) Error() string { return e.Err.Error() }

func (e *ClosedError) Unwrap() error { return e.Err }

// opening tells which store an error is about.
func opening(what string, options types.StoreOptions, err error) error {
	err = fmt.Errorf("opening the %s at %s: %w", what, options.GraphRoot, err)
	if errors.Is(err, unix.EACCES) {
		return &ClosedError{err}
	}
	return err
}

// ErrMayNotMount says that a store's driver mounts, and this process has no
// CAP_SYS_ADMIN to do so.
var ErrMayNotMount = errors.New("this process may not mount (it has no CAP_SYS_ADMIN)")

// ErrMayNotChroot says that the library cannot unpack, which it does behind a
// chroot: this process has no CAP_SYS_CHROOT.
var ErrMayNotChroot = errors.New("this process may not unpack layers (it has no CAP_SYS_CHROOT)")

// may tells whether this process has a capability, of the first 32.
func may(capability int) bool {
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var data [2]unix.CapUserData
	return unix.Capget(&header, &data[0]) == nil && data[0].Effective&(1<<capability) != 0
}

func open(options types.StoreOptions) (*Store, error) {
	lib, err := storage.GetStore(wholeLayers(options))
	if err != nil && options.GraphDriverName != "vfs" && errors.Is(err, unix.EPERM) && !may(unix.CAP_SYS_ADMIN) {
		err = fmt.Errorf("%w, and the driver %s does: %w", ErrMayNotMount, cmp.Or(options.GraphDriverName, "overlay"), err)
	}
	if err != nil {
		return nil, opening("store", options, err)
	}
	return &Store{lib: lib, options: options}, nil
}

// openReadOnly makes an empty store in a temporary directory that has the
// read-only one, where there is one, and the additional ones as additional
// image stores: the way in which the library itself reads files that it must
// not lock for writing.
func openReadOnly(options types.StoreOptions) (*Store, error) {
	temp, err := scratch()
	if err != nil {
		return nil, err
	}
	primary := options
	primary.GraphRoot, primary.RunRoot, primary.ImageStore = filepath.Join(temp, "root"), filepath.Join(temp, "run"), ""
	if primary.GraphDriverName == "" {
		primary.GraphDriverName = DriverAt(additionalStores(options.GraphDriverOptions)[0])
	}
	if present(options) {
		primary.GraphDriverOptions = append([]string{"imagestore=" + options.GraphRoot}, options.GraphDriverOptions...)
	}
	lib, err := storage.GetStore(wholeLayers(unmounted(primary)))
	if err != nil {
		return nil, errors.Join(opening("read-only store", options, err), os.RemoveAll(temp))
	}
	return &Store{lib: lib, options: options, locked: true, temp: temp}, nil
}

// Close releases the store: directories that the driver keeps per process are
// removed, mounts of this process are left to their owners.
func (s *Store) Close() error {
	if s.lib == nil {
		return nil
	}
	var err error
	if s.late == nil { // a reader mounts nothing, so there is nothing to undo
		_, err = s.lib.Shutdown(false)
	}
	if errors.Is(err, storage.ErrLayerUsedByContainer) {
		err = nil // another tool's container is mounted: nothing of ours
	}
	s.lib.Free()
	return errors.Join(err, os.RemoveAll(s.temp))
}

// Root returns the graph root.
func (s *Store) Root() string { return s.options.GraphRoot }

// RunRoot returns the run root.
func (s *Store) RunRoot() string { return s.options.RunRoot }

// Driver returns the name of the storage driver: that of the open store, else
// what the options name, "" when nothing is open and nothing is named.
func (s *Store) Driver() string {
	if s.late != nil || s.lib == nil {
		return s.options.GraphDriverName
	}
	return s.lib.GraphDriverName()
}

// Exists tells whether there is a store at all.
func (s *Store) Exists() bool { return s.late != nil || s.lib != nil }

// ReadOnly tells whether the store was found not to be writable.
func (s *Store) ReadOnly() bool { return s.locked }

// ErrNotWhole says that a store lacks lock files or folders that the library makes
// in each, as after a power loss. It can be read; MakeWhole gives it those.
var ErrNotWhole = errors.New("it lacks lock files or folders, as after a power loss")

// WhyReadOnly says why a store is only read: ErrReadOnly, ErrNotWhole, or nil
// where it can be changed.
func (s *Store) WhyReadOnly() error {
	switch {
	case !s.locked:
		return nil
	case unix.Access(s.options.GraphRoot, unix.W_OK) == nil:
		return ErrNotWhole
	}
	return ErrReadOnly
}

// resolve fills what the options leave open from storage.conf, by podman's
// rules: naming a root means that the driver options of storage.conf, written
// for another root, do not apply (podman(1), --root).
func (o Options) resolve() (types.StoreOptions, error) {
	SettleRuntimeDir()
	options, err := types.DefaultStoreOptions()
	if err != nil {
		return options, fmt.Errorf("reading storage.conf: %w", err)
	}
	if err := userRoots(&options); err != nil {
		return options, fmt.Errorf("reading storage.conf: %w", err)
	}
	standard := options
	if o.Root != "" {
		if options.GraphRoot, err = filepath.Abs(o.Root); err != nil {
			return options, err
		}
		options.GraphDriverOptions, options.ImageStore = nil, ""
	}
	if o.RunRoot != "" {
		if options.RunRoot, err = filepath.Abs(o.RunRoot); err != nil {
			return options, err
		}
	}
	options.RunRoot = inRuntimeDir(options.RunRoot)
	if err := o.imageStore(&options, standard); err != nil {
		return options, err
	}
	options.GraphDriverName = driverFor(options.GraphRoot, options.GraphDriverName)
	if o.Driver != "" {
		options.GraphDriverName = o.Driver
	} else if options.GraphDriverName == "" {
		options.GraphDriverName = firstDriver(options)
	}
	if len(o.DriverOptions) > 0 {
		options.GraphDriverOptions = o.DriverOptions
	}
	options.GraphDriverOptions = optionsFor(options.GraphDriverName, options.GraphDriverOptions)
	if o.Sync && (options.GraphDriverName == "" || strings.HasPrefix(options.GraphDriverName, "overlay")) {
		options.GraphDriverOptions = append([]string{"overlay.sync=filesystem"}, options.GraphDriverOptions...)
	}
	return options, nil
}

// wholeLayers has the image library fetch whole layers. Where the user wants parts of
// them fetched, FetchLayers does that; the library itself may be told to know
// images by something else than their contents.
func wholeLayers(options types.StoreOptions) types.StoreOptions {
	changed := map[string]string{}
	maps.Copy(changed, options.PullOptions)
	changed[partialImages] = "false"
	options.PullOptions = changed
	return options
}

// partialImages is the option of storage.conf by which only those files of a
// layer are fetched that are not here (containers-storage.conf(5)).
const partialImages = "enable_partial_images"

// PartialPulls returns the pull options of storage.conf where they want
// partial pulls, else nil.
func (s *Store) PartialPulls() map[string]string {
	if !strings.EqualFold(s.options.PullOptions[partialImages], "true") {
		return nil
	}
	return s.options.PullOptions
}

func exists(path string) bool {
	var st unix.Stat_t
	return !errors.Is(unix.Lstat(path, &st), fs.ErrNotExist)
}
