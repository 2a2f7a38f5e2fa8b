package store

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
)

// Repair removes what was shown of what is damaged, as far as it is still
// damaged now, and nothing else: an image that a container uses or that is
// mounted stays, and so does what others need. What could not be removed is in
// the error; what is damaged after it, CheckFiles and Check tell.
func (d *Deleter) Repair(ctx context.Context, shown []Damage) error {
	files, err := checkFiles(d.options, d.Driver(), lockOf(d.options))
	if err != nil {
		return err
	}
	if slices.ContainsFunc(files, func(f Damage) bool { return f.Kind == DamagedFile }) {
		return fmt.Errorf("repairing the store at %s: a list in it is damaged", d.Root())
	}
	damaged, err := d.Check(ctx)
	if err != nil {
		return err
	}
	done, err := d.Delete(ctx, func(fresh *Snapshot) (Removal, error) { return removalOf(fresh, still(damaged, shown)), nil })
	for _, one := range done {
		err = errors.Join(err, one.Err)
	}
	return errors.Join(err, d.removePaths(still(files, shown)))
}

// still returns what is to be removed of what was shown.
func still(now, shown []Damage) []Damage {
	return slices.DeleteFunc(slices.Clone(now), func(n Damage) bool {
		return !n.Removable || !slices.ContainsFunc(shown, func(s Damage) bool { return s.Removable && s.Kind == n.Kind && s.ID == n.ID })
	})
}

func (d *Deleter) removePaths(files []Damage) (err error) {
	if len(files) == 0 {
		return nil
	}
	lists, err := d.lockLists() // nobody is just making or using them
	if err != nil {
		return err
	}
	defer lists.release()
	for _, f := range files {
		err = errors.Join(err, os.RemoveAll(f.ID))
	}
	return err
}

// removalOf picks the damaged images, and the damaged layers that no image and
// no container needs, with what was built on them, which is worth nothing.
func removalOf(fresh *Snapshot, damaged []Damage) (r Removal) {
	bad := map[string]bool{}
	for _, d := range damaged {
		if d.Kind == DamagedImage {
			r.Images = append(r.Images, d.ID)
		}
		bad[d.ID] = d.Kind == DamagedLayer
	}
	parents := make(map[string]string, len(fresh.Layers))
	for i := range fresh.Layers {
		parents[fresh.Layers[i].ID] = fresh.Layers[i].Parent
	}
	chain := func(id string) (ids []string) {
		for ; id != "" && len(ids) <= len(parents); id = parents[id] {
			ids = append(ids, id)
		}
		return ids
	}
	needed := map[string]bool{}
	need := func(top string) {
		for _, id := range chain(top) {
			needed[id] = true
		}
	}
	for i := range fresh.Images {
		for _, top := range append([]string{fresh.Images[i].TopLayer}, fresh.Images[i].MappedTopLayers...) {
			need(top)
		}
	}
	for i := range fresh.Containers {
		need(fresh.Containers[i].LayerID)
	}
	for i := range fresh.Layers {
		l := &fresh.Layers[i]
		if !needed[l.ID] && !l.ReadOnly && slices.ContainsFunc(chain(l.ID), func(id string) bool { return bad[id] }) {
			r.Layers = append(r.Layers, l.ID)
		}
	}
	slices.SortStableFunc(r.Layers, func(a, b string) int { return len(chain(b)) - len(chain(a)) }) // children first
	return r
}
