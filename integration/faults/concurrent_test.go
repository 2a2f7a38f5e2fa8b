package faults

import (
	"context"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/mpull/mpull/integration/testbed"
	"github.com/mpull/mpull/integration/testenv"
	"github.com/mpull/mpull/integration/testimage"
	"github.com/mpull/mpull/integration/testregistry"
	"github.com/mpull/mpull/store"
)

// TestPullersOfOneTag runs 16 pullers of a tag that moves while they work, by
// themselves and with mpull's and podman's prune in a loop beside them. Every
// pull succeeds and the tag is never absent; podman's prune takes no lock of
// mpull's, so there the promise is about the end.
func TestPullersOfOneTag(t *testing.T) {
	pulls := figure(t, 2, 25, 100)
	for _, c := range []struct {
		name   string
		beside []string // run again and again
		least  int      // of 1000 pulls that have to succeed
		absent bool     // the tag may be missing for a moment
	}{
		{name: "alone", least: 1000},
		{name: "mpull prune", beside: []string{"mpull", "prune", "--force"}, least: 1000},
		{name: "podman prune", beside: []string{"podman", "image", "prune", "--force"}, least: 990, absent: true},
	} {
		t.Run(c.name, func(t *testing.T) {
			if c.beside != nil && c.beside[0] == "podman" {
				testenv.Need(t, "podman")
			}
			b, reg := newBed(t), newRegistry(t)
			x := &crowd{t: t, b: b, reg: reg, name: reg.Host + "/app:latest"}
			x.prepare()
			x.run(16, pulls, c.beside)
			t.Logf("%d of %d pulls succeeded, the tag was missing in %d of %d look-ups, %d runs of %q beside",
				x.ok.Load(), x.ok.Load()+x.failed.Load(), x.missing.Load(), x.lookups.Load(), x.rounds.Load(), strings.Join(c.beside, " "))
			if ok, all := x.ok.Load(), x.ok.Load()+x.failed.Load(); ok*1000 < all*int64(c.least) {
				t.Errorf("%d of %d pulls succeeded", ok, all)
			}
			if x.missing.Load() > 0 && !c.absent {
				t.Errorf("the tag was missing in %d of %d look-ups", x.missing.Load(), x.lookups.Load())
			}
			if c.beside != nil && x.rounds.Load() <= int64(pulls/5) {
				t.Errorf("only %d runs of %q: it starves", x.rounds.Load(), strings.Join(c.beside, " "))
			}
			b.Must("pull", "--tls-verify=false", x.name)
			if v := sound(t, b, true); v.Names[x.name] == "" {
				t.Error("the tag is gone")
			}
			if err := b.PruneAll(t.Context()); err != nil {
				t.Error(err)
			}
		})
	}
}

type crowd struct {
	t    *testing.T
	b    *testbed.Bed
	reg  *testregistry.Registry
	name string
	imgs [generations]v1.Image // between which the tag moves

	ok, failed, lookups, missing, rounds atomic.Int64
}

const generations = 8

// prepare pushes the images between which the tag moves, with a shared base
// layer, and pulls the first.
func (x *crowd) prepare() {
	for seed := range uint64(generations) {
		img, err := testimage.Image(testimage.Spec{Layers: 3, Seed: seed})
		if err != nil {
			x.t.Fatal(err)
		}
		x.imgs[seed] = img
	}
	x.move(0)
	x.b.Must("pull", "--tls-verify=false", x.name)
}

func (x *crowd) move(n int) {
	if err := x.reg.PushImage("app:latest", x.imgs[n%generations]); err != nil {
		x.t.Error(err)
	}
}

func (x *crowd) run(pullers, pulls int, beside []string) {
	ctx, cancel := context.WithCancel(x.t.Context())
	var others, work sync.WaitGroup
	others.Go(func() { x.moveTag(ctx) })
	others.Go(func() { x.look(ctx) })
	if beside != nil {
		others.Go(func() { x.repeat(ctx, beside) })
	}
	for range pullers {
		work.Go(func() {
			for range pulls {
				x.one()
			}
		})
	}
	work.Wait()
	cancel()
	others.Wait()
}

func (x *crowd) one() {
	r := x.b.Mpull("pull", "--quiet", "--tls-verify=false", x.name)
	if r.Code == 0 {
		x.ok.Add(1)
		return
	}
	if x.failed.Add(1) <= 3 {
		x.t.Logf("a pull failed: %s", r)
	}
}

// moveTag lets the registry's tag move on.
func (x *crowd) moveTag(ctx context.Context) {
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for n := 1; ; n++ {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			x.move(n)
		}
	}
}

// look reads the store over and over and counts when nobody has the tag.
func (x *crowd) look(ctx context.Context) {
	for ctx.Err() == nil {
		s, err := store.Open(x.b.Options())
		if err != nil {
			x.t.Errorf("opening the store: %v", err)
			return
		}
		snap, err := s.Snapshot(context.WithoutCancel(ctx))
		if err != nil {
			x.t.Errorf("reading the store: %v", err)
		} else {
			x.lookups.Add(1)
			if !slices.ContainsFunc(snap.Images, func(i store.Image) bool { return slices.Contains(i.Names, x.name) }) {
				x.missing.Add(1)
			}
		}
		if err := s.Close(); err != nil {
			x.t.Error(err)
		}
		select {
		case <-ctx.Done():
		case <-time.After(5 * time.Millisecond):
		}
	}
}

// repeat runs a program over and over.
func (x *crowd) repeat(ctx context.Context, args []string) {
	for ctx.Err() == nil {
		if args[0] == "mpull" {
			r := x.b.Mpull(args[1:]...)
			if r.Code != 0 {
				x.t.Errorf("%s: %s", strings.Join(args, " "), r)
			}
		} else if r := x.b.Tool(args[0], args[1:]...); r.Code != 0 {
			continue // it loses races of its own
		}
		x.rounds.Add(1)
	}
}
