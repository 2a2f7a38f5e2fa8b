package store

import (
	"context"
	"errors"
	"fmt"
)

// DropHalf removes an image that has fewer or more layers than its config says,
// and returns it as it was; to any other it does nothing, and returns nil. The
// library cannot change the layers of an image, and refuses another one with the
// same ID. What the image had of names and of a record is to be given to the
// whole one, which takes its place at once.
func (w *Writer) DropHalf(ctx context.Context, id string) (_ *Image, err error) {
	// Of several mpulls that bring the whole image one drops the half, and the
	// others find the whole.
	lock, err := w.lockNames(ctx)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, lock.Close()) }()
	img, err := w.image(id)
	if IsGone(err) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	if w.ReadDetails(img); img.ConfigError != nil || img.ReadOnly || w.checkNumbers(img) == nil {
		return nil, nil
	}
	if _, err := w.lib.DeleteImage(id, true); err != nil {
		return nil, fmt.Errorf("replacing image %s, which has not the layers of its config: %w", id, err)
	}
	return img, nil
}
