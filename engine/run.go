package engine

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"

	"github.com/mpull/mpull/engine/container"
	"github.com/mpull/mpull/engine/preflight"
	"github.com/mpull/mpull/store"
	"github.com/mpull/mpull/store/query"
)

// RunOptions says what is started and how. The zero value starts what the
// image's config says, without input, network or terminal.
type RunOptions struct {
	CheckOptions
	container.Options
	Force   bool   // start it though the prediction says that it will not start
	Runtime string // name or path of the OCI runtime; "" tries runc, then crun
}

// RefusedError says that a command was not started because it would not start.
type RefusedError struct {
	Result preflight.Result
	// Use is the command that switches the name to a local image that would
	// start, "" when there is none.
	Use string
}

func (e *RefusedError) Error() string {
	return fmt.Sprintf("%s would not start here: %s: %s", e.Result.Image, e.Result.Verdict, e.Result.Reason)
}

// Run starts a command in a new container of a local image and waits for its
// end. It returns the program's exit code, 128 and the signal that ended it,
// or, of a program that did not start as predicted and was forced, the
// predicted code. The error, a *RefusedError among others, is about what kept
// the program from being started. The container is gone afterwards; when this
// process is killed, what runs in it is killed too (with Config.RunInit), and
// the next call removes it.
//
// When ctx ends, what runs in the container is killed.
func (e *Engine) Run(ctx context.Context, input string, o RunOptions) (code int, err error) {
	runtimes, err := container.FindRuntimes(o.Runtime)
	if err != nil {
		return 0, err
	}
	if err := e.absent(ctx, input); err != nil {
		return 0, err
	}
	s, err := store.Create(e.config.Store)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	o.empty = o.Temporary()
	p, err := e.prepareRun(ctx, s, input, &o)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, p.run.Remove()) }()
	root, err := p.run.Mount()
	if err != nil {
		return 0, err
	}
	c := container.Container{
		Dir: p.run.Dir, ID: p.run.ID, Root: root, Options: &o.Options, Confined: e.config.RunInit,
		ProcessLabel: p.run.ProcessLabel, MountLabel: p.run.MountLabel,
	}
	code, err = c.Start(ctx, p.command, runtimes)
	return p.settle(code, err)
}

// prepared is a container about to be started.
type prepared struct {
	run       *store.Run
	command   preflight.Command
	predicted int // exit code of the prediction
}

// settle gives the predicted code to a forced program that did not start: a
// runtime ends with 1 when execve fails, which says less.
func (p *prepared) settle(code int, err error) (int, error) {
	if p.predicted != 0 && (errors.As(err, new(*container.RuntimeError)) || err == nil && code == 1) {
		return p.predicted, nil
	}
	return code, err
}

// prepareRun looks the image up, predicts, and makes the container, behind
// the lock that keeps the image from being deleted meanwhile.
func (e *Engine) prepareRun(ctx context.Context, s *store.Store, input string, o *RunOptions) (p *prepared, err error) {
	w, err := s.Writer(ctx)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, w.Close()) }()
	e.sweepRuns(ctx, w)
	snap, err := s.Snapshot(ctx)
	if err != nil {
		return nil, err
	}
	view := e.view(snap)
	found, err := e.one(ctx, s, view, input, o.Platform)
	if err != nil {
		return nil, err
	}
	result, err := e.checkImage(ctx, s, found.Image, o.CheckOptions)
	if err != nil {
		return nil, err
	}
	result.Image = input
	switch {
	case result.ExitCode == 0:
	case !o.Force || len(result.Command) == 0:
		return nil, &RefusedError{Result: result, Use: e.wayOut(ctx, s, view, found, o)}
	default:
		e.note("starting it by force though it is predicted not to start: %s: %s", result.Verdict, result.Reason)
	}
	p = &prepared{predicted: result.ExitCode}
	if p.command, err = commandOf(s, found.Image, o.CheckOptions); err != nil {
		return nil, err
	}
	p.run, err = w.CreateRun(ctx, found.Image.ID)
	return p, err
}

// wayOut looks for another image of the same name that would start, and
// returns the command that switches to it.
func (e *Engine) wayOut(ctx context.Context, s *store.Store, view *query.View, refused query.Found, o *RunOptions) string {
	name, emulated := cmp.Or(append([]string{refused.Name}, refused.Image.Names...)...), ""
	for _, img := range view.Family(name) {
		if img.ID == refused.Image.ID || img.Config == nil {
			continue
		}
		r, err := e.checkImage(ctx, s, img, o.CheckOptions)
		if err != nil || r.ExitCode != 0 {
			continue
		}
		use := "mpull use " + query.PlatformOf(img).Flag() + " " + name
		if r.Verdict == preflight.Native {
			return use
		}
		emulated = use
	}
	return emulated
}

// sweepRuns removes what killed runs left. Not being able to is no reason not
// to do what was asked.
func (e *Engine) sweepRuns(ctx context.Context, w *store.Writer) {
	if err := w.RemoveDeadRuns(ctx, container.StopDead); err != nil {
		e.note("warning: %v", err)
	}
}

// StopDeadRuns ends what still runs in containers whose mpull was killed. An
// ordinary user's process must do so before it enters a user namespace: from
// there it may not signal what runs in another one.
func (e *Engine) StopDeadRuns(ctx context.Context) error {
	dirs, err := store.DeadRunDirs(e.config.Store)
	errs := []error{err}
	for _, dir := range dirs {
		errs = append(errs, container.StopDead(ctx, dir, filepath.Base(dir)))
	}
	return errors.Join(errs...)
}

// SweepRuns removes the containers of runs that were killed, so that their
// images can go. Where there are none, nothing is changed or created.
func (e *Engine) SweepRuns(ctx context.Context) (err error) {
	if err := store.Contradictions(e.config.Store); err != nil {
		return err
	}
	s, err := store.Open(e.config.Store)
	if err != nil {
		return err
	}
	dead, err := s.DeadRuns()
	if err = errors.Join(err, s.Close()); err != nil || len(dead) == 0 || s.ReadOnly() {
		return err
	}
	return e.write(ctx, func(w *store.Writer, _ *store.Snapshot) error {
		e.sweepRuns(ctx, w)
		return nil
	})
}

// forgetDeadRuns takes containers of killed runs, with their layers, out of a
// snapshot: they are removed before images are.
func forgetDeadRuns(s *store.Store, snap *store.Snapshot) error {
	dead, err := s.DeadRuns()
	layers := map[string]bool{}
	snap.Containers = slices.DeleteFunc(snap.Containers, func(c store.Container) bool {
		gone := slices.Contains(dead, c.ID)
		layers[c.LayerID] = layers[c.LayerID] || gone
		return gone
	})
	snap.Layers = slices.DeleteFunc(snap.Layers, func(l store.Layer) bool { return layers[l.ID] })
	return err
}
