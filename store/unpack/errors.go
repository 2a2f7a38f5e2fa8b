package unpack

import (
	"errors"
	"fmt"
	"slices"

	"golang.org/x/sys/unix"
)

// UnsupportedError says that this package does not unpack a layer, a store or
// an archive in the library's exact way and therefore refuses. The caller uses
// the library's own path, whose outcome, good or bad, is the official one.
type UnsupportedError struct {
	Reason string
	Err    error // may be nil
}

func (e *UnsupportedError) Error() string {
	if e.Err == nil {
		return "fast path not applicable: " + e.Reason
	}
	return fmt.Sprintf("fast path not applicable: %s: %v", e.Reason, e.Err)
}

func (e *UnsupportedError) Unwrap() error { return e.Err }

// ParentGoneError says that another process removed the layer below while this
// one was being fetched. Fetching again succeeds, and finds what is left.
type ParentGoneError struct {
	Layer, Parent string // chain IDs
}

func (e *ParentGoneError) Error() string {
	return fmt.Sprintf("layer %s: its parent %s was removed from the store meanwhile; pull again", e.Layer, e.Parent)
}

// LimitError says that an image is larger than allowed. The library's path has
// no limits, so this is final.
type LimitError struct {
	What string // "unpacked bytes", "entries" or "bytes of one tar header"
	Max  int64
}

func (e *LimitError) Error() string {
	return fmt.Sprintf("image exceeds the limit of %d %s", e.Max, e.What)
}

// MismatchError says that a layer is not what its manifest or config promises.
type MismatchError struct {
	What      string // "blob digest", "blob size" or "DiffID"
	Want, Got string
}

func (e *MismatchError) Error() string {
	return fmt.Sprintf("%s is %s, expected %s", e.What, e.Got, e.Want)
}

// refuse makes an UnsupportedError of an error met while reading or writing an
// archive, unless it is one that the library's path would meet as well.
func refuse(reason string, err error) error {
	switch {
	case err == nil:
		return nil
	case errors.As(err, new(*LimitError)), errors.As(err, new(*UnsupportedError)), errors.Is(err, errStopped):
		return err
	case isFatal(err):
		return fmt.Errorf("%s: %w", reason, err)
	}
	return &UnsupportedError{Reason: reason, Err: err}
}

// isFatal reports whether the machine, not the image, is the cause.
func isFatal(err error) bool {
	causes := []error{unix.ENOSPC, unix.EDQUOT, unix.EIO, unix.EROFS, unix.ENOMEM, unix.EMFILE, unix.ENFILE}
	return slices.ContainsFunc(causes, func(cause error) bool { return errors.Is(err, cause) })
}
