package engine

import (
	"fmt"

	"github.com/mpull/mpull/store"
	"github.com/mpull/mpull/store/unpack"
)

// Limits bound what a pull may take. The zero value sets the defaults.
type Limits struct {
	MaxBytes   int64 // of disk that one image may take, unpacked; 0 means what is free
	MaxEntries int64 // files, folders and links that one image may have; 0 means any number
}

// survey is how layers that the library unpacks are held to the limits.
func (l Limits) survey(w *store.Writer) (*unpack.Survey, error) {
	now, err := store.DiskOf(w.Root())
	if err != nil {
		return nil, err
	}
	return &unpack.Survey{MaxBytes: l.MaxBytes, MaxEntries: l.MaxEntries, Room: now.Free}, nil
}

// room refuses a pull whose layers cannot fit.
func (p *pull) room(m lack) error {
	most, need := p.o.Limits.MaxBytes, m.space()
	if most > 0 && m.download > most {
		return fmt.Errorf("the image takes more than the %d bytes that it may", most)
	}
	if need == 0 {
		return nil
	}
	now, err := store.DiskOf(p.s.Root())
	if err != nil {
		return err
	}
	if now.Free-need < now.Reserve() {
		return &store.SpaceError{Path: p.s.Root(), Need: need, Free: now.Free, Reserve: now.Reserve()}
	}
	return nil
}
