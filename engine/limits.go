package engine

import (
	"cmp"
	"fmt"
	"time"

	"github.com/docker/go-units"
	"golang.org/x/sys/unix"

	"github.com/mpull/mpull/engine/ask"
	"github.com/mpull/mpull/store"
	"github.com/mpull/mpull/store/unpack"
)

// Limits bound what a pull may take. The zero value sets the defaults.
type Limits struct {
	Idle       time.Duration // how long a registry may send nothing; 0 means a minute
	MaxBytes   int64         // of disk that one image may take, unpacked; 0 means what is free
	MaxEntries int64         // files, folders and links that one image may have; 0 means any number
}

// survey is how layers that the library unpacks are held to the limits.
func (l Limits) survey(w *store.Writer) (*unpack.Survey, error) {
	now, err := store.DiskOf(w.Root())
	if err != nil {
		return nil, err
	}
	return &unpack.Survey{MaxBytes: l.MaxBytes, MaxEntries: l.MaxEntries, Room: now.Free}, nil
}

func (l Limits) idle() time.Duration { return ask.Retry{Idle: l.Idle}.IdleLimit() }

// SpaceOfArchive is what needs the space in the SpaceError of a save.
const SpaceOfArchive = "the archive"

// SpaceError says that a pull or a save was refused, or a pull stopped, because
// the disk would have become full.
type SpaceError struct {
	What    string // that needs it; "" is the image
	Path    string
	Need    int64 // bytes wanted; 0 when it was stopped under way
	Free    int64 // bytes free
	Reserve int64 // bytes that stay free
}

func (e *SpaceError) Error() string {
	if e.Need == 0 && e.What != "" {
		return fmt.Sprintf("%s does not fit on the disk of %s: %s are free, of which %s are kept free", e.What, e.Path, human(e.Free), human(e.Reserve))
	}
	if e.Need == 0 {
		return fmt.Sprintf("stopped before the disk of %s is full: %s are free, of which %s are kept free", e.Path, human(e.Free), human(e.Reserve))
	}
	text := fmt.Sprintf("not enough space on the disk of %s: %s needs %s or more, %s are free",
		e.Path, cmp.Or(e.What, "the image"), human(e.Need), human(e.Free))
	if e.Reserve > 0 {
		text += fmt.Sprintf(", of which %s are kept free", human(e.Reserve))
	}
	return text
}

// Unwrap makes it an error of the disk, for hints.
func (e *SpaceError) Unwrap() error { return unix.ENOSPC }

// TooBigError says that an image takes more than Limits allow.
type TooBigError struct {
	What string // "bytes" or "files and folders"
	Max  int64
}

func (e *TooBigError) Error() string {
	return fmt.Sprintf("the image takes more than the %d %s that it may", e.Max, e.What)
}

func human(n int64) string { return units.HumanSizeWithPrecision(float64(n), 3) }

// room refuses a pull whose layers cannot fit.
func (p *pull) room(m lack) error {
	most, need := p.o.Limits.MaxBytes, m.space()
	if most > 0 && m.download > most {
		return &TooBigError{"bytes", most}
	}
	if need == 0 {
		return nil
	}
	now, err := store.DiskOf(p.s.Root())
	if err != nil {
		return err
	}
	if now.Free-need < now.Reserve() {
		return &SpaceError{Path: p.s.Root(), Need: need, Free: now.Free, Reserve: now.Reserve()}
	}
	return nil
}
