package store

import (
	"cmp"
	"fmt"

	"github.com/docker/go-units"
	"golang.org/x/sys/unix"
)

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

func human(n int64) string { return units.HumanSizeWithPrecision(float64(n), 3) }
