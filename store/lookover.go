package store

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"go.podman.io/storage/pkg/lockfile"
)

// ContradictionError says that a store contradicts itself: what lies in it is
// not what its lists say. Nothing is planned on that.
type ContradictionError struct {
	Root    string
	Damaged []Damage
}

func (e *ContradictionError) Error() string {
	d := &e.Damaged[0]
	text := fmt.Sprintf("the store at %s contradicts itself: %s: %s", e.Root, d.ID, strings.Join(d.Problems, "; "))
	if more := len(e.Damaged) - 1; more > 0 {
		text += fmt.Sprintf(" (and %d more)", more)
	}
	return text
}

// Contradictions is the error when a store's files contradict each other.
func Contradictions(o Options) error {
	found, err := CheckFiles(o)
	if err != nil {
		return err
	}
	found = slices.DeleteFunc(found, func(d Damage) bool { return d.Kind == Leftover })
	if len(found) == 0 {
		return nil
	}
	options, err := o.resolve()
	if err != nil {
		return err
	}
	return &ContradictionError{options.GraphRoot, found}
}

// lookover compares what lies in a store with its lists.
type lookover struct {
	p                          places
	driver                     string
	additional                 []string // roots of additional stores
	journal                    map[string]bool
	layers, images, containers *table
	found                      []Damage
}

// lookOver reads directories before lists: what a list names is in it before
// its directory is made. It looks twice where something is odd: the second
// time nobody is just deleting.
func lookOver(p places, driver string, additional []string, journal map[string]bool, lockOf func(path string) (*lockfile.LockFile, error)) ([]Damage, error) {
	l := &lookover{p: p, driver: driver, additional: additional, journal: journal}
	if err := l.look(); err != nil || len(l.found) == 0 {
		return nil, err
	}
	for _, path := range []string{p.layerLocks[0], p.imageLocks[0], p.containerLock} {
		if !exists(path) {
			continue
		}
		if lock, err := lockOf(path); err == nil {
			lock.RLock()
			defer lock.Unlock()
		}
	}
	l.found = nil
	err := l.look()
	return l.found, err
}

func (l *lookover) look() error {
	images, containers := dirNames(l.p.imageDirs...), dirNames(l.p.containerDirs...)
	layers := dirNames(l.layerHomes()...)
	var err error
	for _, read := range []struct {
		into  **table
		files []string
	}{{&l.layers, l.p.layers}, {&l.images, l.p.images}, {&l.containers, l.p.containers}} {
		if *read.into, err = readTable(read.files...); err != nil {
			return err
		}
	}
	l.lostLists(layers)
	l.unlisted("image", images, l.images, len(l.images.rows) > 0 || l.lastGone(images))
	l.unlisted("container", containers, l.containers, false)
	l.rubbish(layers)
	return nil
}

func (l *lookover) add(kind DamageKind, path, problem string, removable bool) {
	l.found = append(l.found, Damage{Kind: kind, ID: path, Problems: []string{problem}, Removable: removable})
}

// layerHomes are the folders in which the driver has one for each layer.
func (l *lookover) layerHomes() []string {
	homes := slices.Clone(l.p.homes)
	if l.driver == "vfs" {
		for i := range homes {
			homes[i] = filepath.Join(homes[i], "dir")
		}
	}
	return homes
}

// dirNames returns the paths of the directories that are named as objects of a
// store are, by ID.
func dirNames(folders ...string) map[string]string {
	found := map[string]string{}
	for _, folder := range folders {
		entries, _ := os.ReadDir(folder)
		for _, e := range entries {
			if e.IsDir() && isHexID(e.Name()) {
				found[e.Name()] = filepath.Join(folder, e.Name())
			}
		}
	}
	return found
}

func isHexID(name string) bool {
	return len(name) == 64 && strings.Trim(name, "0123456789abcdef") == ""
}

// lostLists finds lists that cannot be those of what lies here. The library
// writes an empty list as [], and never removes one.
func (l *lookover) lostLists(layerDirs map[string]string) {
	if state := blank(l.p.images[0]); state != "" && len(l.layers.rows) > 0 && (written(l.p.imageLocks[0]) || !exists(l.p.imageDirs[0])) {
		l.add(DamagedFile, l.p.images[0], fmt.Sprintf("it %s, but there are %d layers", state, len(l.layers.rows)), false)
	}
	state := blank(l.p.layers[0])
	for i := range l.images.rows {
		for _, top := range l.images.rows[i].tops() {
			if _, listed := l.layers.at[top]; listed || top == "" {
				continue
			}
			if path, here := layerDirs[top]; here {
				l.add(DamagedFile, l.p.layers[0], fmt.Sprintf("it does not list layer %s of image %s, which is here: %s", top, l.images.rows[i].ID, path), false)
				return
			}
			elsewhere := slices.ContainsFunc(l.additional, func(root string) bool {
				return exists(filepath.Join(root, l.driver, top)) || exists(filepath.Join(root, l.driver, "dir", top)) // overlay, vfs
			})
			if state != "" && written(l.p.layerLocks[0]) && !elsewhere {
				l.add(DamagedFile, l.p.layers[0], fmt.Sprintf("it %s, but image %s has layers", state, l.images.rows[i].ID), false)
				return
			}
		}
	}
}

// blank says how a list says nothing, "" when it says something.
func blank(path string) string {
	data, err := os.ReadFile(path)
	switch text := strings.TrimSpace(string(data)); {
	case errors.Is(err, fs.ErrNotExist):
		return "is missing"
	case err == nil && text == "":
		return "is empty"
	case err == nil && text == "null":
		return "says null"
	}
	return ""
}

// written tells whether a list was ever written: the library notes each time
// in the lock's file first.
func written(lock string) bool {
	info, err := os.Stat(lock)
	return err == nil && info.Size() > 0
}

// unlisted finds directories of images or containers that no list names, with
// something in them.
func (l *lookover) unlisted(what string, dirs map[string]string, list *table, removable bool) {
	for _, path := range slices.Sorted(maps.Values(dirs)) {
		id := filepath.Base(path)
		if _, listed := list.at[id]; listed || l.journal[id] {
			continue
		}
		if entries, err := os.ReadDir(path); err == nil && len(entries) == 0 {
			l.add(Leftover, path, "an empty directory of "+article(what)+" that no list names", true)
			continue
		}
		l.add(Unlisted, path, fmt.Sprintf("no list names this %s: its list lost it, or its removal was interrupted", what), removable)
	}
}

// lastGone tells whether what no list names is the last image, whose removal was
// killed after its first step: podman removes one image after the other, and the
// library writes the list of none as []. A list that was lost is not that, and
// mostly had several.
func (l *lookover) lastGone(dirs map[string]string) bool {
	left := 0
	for id, path := range dirs {
		if entries, err := os.ReadDir(path); !l.journal[id] && (err != nil || len(entries) > 0) {
			left++
		}
	}
	return left == 1 && len(l.images.rows) == 0 && blank(l.p.images[0]) == ""
}

func article(what string) string {
	if what == "image" {
		return "an image"
	}
	return "a " + what
}

// rubbish finds what nothing needs and nothing is harmed by.
func (l *lookover) rubbish(layerDirs map[string]string) {
	known, why := len(l.layers.rows) > 0, ""
	if l.partial() {
		known, why = false, "; a container stands on layers that no list names: do they lie elsewhere (--imagestore)?"
	}
	for _, path := range slices.Sorted(maps.Values(layerDirs)) {
		if _, listed := l.layers.at[filepath.Base(path)]; !listed {
			l.add(Leftover, path, "files of a layer that no list names"+why, known)
		}
	}
	for _, path := range contents(l.p.layerDirs...) {
		id, _, _ := strings.Cut(filepath.Base(path), ".")
		if _, listed := l.layers.at[id]; isHexID(id) && !listed {
			l.add(Leftover, path, "what belongs to a layer that no list names"+why, known)
		}
	}
	for _, path := range contents(slices.Concat(l.p.layerDirs, l.p.imageDirs, l.p.containerDirs)...) {
		if strings.HasPrefix(filepath.Base(path), ".tmp-") {
			l.add(Leftover, path, "a list that was half written when its writer died", true)
		}
	}
	for _, path := range contents(l.p.imageDirs...) {
		name := filepath.Base(path)
		if !isHexID(name) && !strings.HasPrefix(name, ".tmp-") && name != "images.json" && name != "images.lock" {
			l.add(Leftover, path, "not the store's: left alone", false)
		}
	}
	if l.driver == "overlay" {
		l.overlayRubbish()
	}
}

// partial tells whether a container stands on layers that no list names: they
// may lie in an image store that nobody spoke of, and what belongs to them here.
func (l *lookover) partial() bool {
	for i := range l.containers.rows {
		at, listed := l.layers.at[l.containers.rows[i].Layer]
		if !listed || l.layers.rows[at].Parent == "" {
			continue
		}
		if _, below := l.layers.at[l.layers.rows[at].Parent]; !below {
			return true
		}
	}
	return false
}

// contents are the paths of what lies in folders, as far as they can be read.
func contents(folders ...string) (paths []string) {
	for _, folder := range folders {
		entries, _ := os.ReadDir(folder)
		for _, e := range entries {
			paths = append(paths, filepath.Join(folder, e.Name()))
		}
	}
	return paths
}

// trialAge is the age from which what the driver tries in a directory, when a
// store is opened, is not under way any more.
const trialAge = time.Minute

func (l *lookover) overlayRubbish() {
	for _, home := range l.p.homes {
		for _, path := range contents(filepath.Join(home, "l")) {
			if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
				l.add(Leftover, path, "a short link to a layer that is gone", true)
			}
		}
		for _, path := range contents(home) {
			trials := []string{"compat", "metacopy-check", "opaque-bug-check", "idmapped-check", "volatile-check"}
			if !slices.ContainsFunc(trials, func(begin string) bool { return strings.HasPrefix(filepath.Base(path), begin) }) {
				continue
			}
			if info, err := os.Lstat(path); err == nil {
				old := time.Since(info.ModTime()) > trialAge
				l.add(Leftover, path, "the driver tried there what the kernel can do, and was interrupted", old)
			}
		}
	}
}
