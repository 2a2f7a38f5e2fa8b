package store

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"go.podman.io/storage"
	"go.podman.io/storage/pkg/stringid"
)

// RunDir is the directory under the graph root that holds one directory for
// each container of mpull, named by the container's ID. The owner of the
// container holds a flock(2) on it while it lives; what is needed to run the
// container lies in it.
const RunDir = "mpull-runs"

// runMark is the metadata of mpull's containers. podman and buildah write JSON
// objects of their own there, so that no container of theirs is taken for one.
const runMark = `{"mpull-run":1}`

// A Run is a writable container of this process. Other tools see it, and
// that its image is in use. Its methods need no lock of mpull: what they change
// belongs to this container alone.
type Run struct {
	ID   string
	Name string
	Dir  string // for the owner's files; removed with the container
	// ProcessLabel and MountLabel are for SELinux; empty where it is off.
	ProcessLabel, MountLabel string

	store *Store
	lock  *os.File
}

// CreateRun makes a container from an image and mounts nothing yet.
// Remove must be called; when the process dies before, RemoveDeadRuns of a
// later one does it.
func (w *Writer) CreateRun(ctx context.Context, imageID string) (*Run, error) {
	id := stringid.GenerateRandomID()
	r := &Run{ID: id, Name: "mpull-" + id[:12], store: w.Store}
	if err := r.claim(ctx); err != nil {
		return nil, fmt.Errorf("making a container: %w", err)
	}
	// A volatile container would be cheaper, but tools built with older
	// releases of the library do not see those, and would remove the image.
	made, err := w.lib.CreateContainer(id, []string{r.Name}, imageID, "", runMark, nil)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("making a container of image %s: %w", imageID, err), os.RemoveAll(r.Dir), r.lock.Close())
	}
	r.ProcessLabel, r.MountLabel = made.ProcessLabel(), made.MountLabel()
	return r, nil
}

// claim makes the container's directory and locks it, before the container is
// there: a container of mpull without a directory never exists.
func (r *Run) claim(ctx context.Context) error {
	root := filepath.Join(r.store.Root(), RunDir)
	if err := makeOwnDir(root); err != nil {
		return err
	}
	folder, err := flockDir(ctx, root)
	if err != nil {
		return err
	}
	defer folder.Close()
	r.Dir = filepath.Join(root, r.ID)
	if err := os.Mkdir(r.Dir, 0o700); err != nil {
		return err
	}
	if r.lock, err = flockDir(ctx, r.Dir); err != nil {
		return errors.Join(err, os.Remove(r.Dir))
	}
	return nil
}

// Mount mounts the container's root filesystem and returns where.
func (r *Run) Mount() (string, error) {
	path, err := r.store.lib.Mount(r.ID, r.MountLabel)
	if err != nil {
		return "", fmt.Errorf("mounting container %s: %w", r.Name, err)
	}
	return path, nil
}

// Remove unmounts and deletes the container. Nothing may run in it any more.
func (r *Run) Remove() error {
	err := r.store.removeRun(r.ID)
	return errors.Join(err, r.lock.Close())
}

// removeRun deletes a container of mpull and then its directory, which is what
// a later try needs to find it. A container that another tool has removed
// meanwhile is no error.
func (s *Store) removeRun(id string) error {
	c, err := s.lib.Container(id)
	switch {
	case err == nil && c.Metadata != runMark:
		return fmt.Errorf("container %s was not made by mpull", id)
	case err == nil:
		_, err = s.lib.Unmount(id, true)
		if err == nil || errors.Is(err, storage.ErrLayerUnknown) || errors.Is(err, storage.ErrLayerNotMounted) {
			err = s.lib.DeleteContainer(id)
		}
	}
	if err != nil && !errors.Is(err, storage.ErrNotAContainer) && !errors.Is(err, storage.ErrContainerUnknown) {
		return fmt.Errorf("removing container %s: %w", id, err)
	}
	if err := os.RemoveAll(filepath.Join(s.Root(), RunDir, id)); err != nil {
		return fmt.Errorf("removing container %s: %w", id, err)
	}
	return nil
}

// DeadRuns lists the containers of mpull whose owner is dead. Containers of
// other tools are never among them: only what has a directory in RunDir is
// looked at.
func (s *Store) DeadRuns() ([]string, error) {
	dirs, err := deadRunDirs(s.Root())
	for i := range dirs {
		dirs[i] = filepath.Base(dirs[i])
	}
	return dirs, err
}

// DeadRunDirs lists the directories of the containers of mpull whose owner is
// dead, without opening the store.
func DeadRunDirs(o Options) ([]string, error) {
	options, err := o.resolve()
	if err != nil {
		return nil, err
	}
	return deadRunDirs(options.GraphRoot)
}

func deadRunDirs(graphRoot string) ([]string, error) {
	root := filepath.Join(graphRoot, RunDir)
	entries, err := readOwnDir(root)
	if err != nil {
		return nil, fmt.Errorf("looking for abandoned containers: %w", err)
	}
	var dead []string
	for _, e := range entries {
		if path := filepath.Join(root, e.Name()); e.IsDir() && isHexID(e.Name()) && !owned(path, true) {
			dead = append(dead, path)
		}
	}
	return dead, nil
}

// RemoveDeadRuns removes the containers of mpull whose owner is dead. stop is
// called with the directory and ID of each first: it ends what may still run
// in it. A container that cannot be stopped or removed stays for the next
// time; the error tells of it.
func (w *Writer) RemoveDeadRuns(ctx context.Context, stop func(ctx context.Context, dir, id string) error) error {
	root := filepath.Join(w.Root(), RunDir)
	if !exists(root) {
		return nil
	}
	folder, err := flockDir(ctx, root)
	if err != nil {
		return err
	}
	defer folder.Close()
	dead, err := w.DeadRuns()
	errs := []error{err}
	for _, id := range dead {
		err := stop(ctx, filepath.Join(root, id), id)
		if err == nil {
			err = w.removeRun(id)
		}
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}
