package store

import (
	"context"
	"errors"
	"runtime"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/mpull/mpull/store/unpack"
)

// TestDeleterHasItsTurn lets no writer pass a deleter that waits for those that
// came before it, nor one that is in: each lock is asked for with a context that
// has ended, which gets what is free and waits for nothing.
func TestDeleterHasItsTurn(t *testing.T) {
	s, _ := testStore(t)
	first := testWriter(t, s)
	stopped := errors.New("stopped")
	now, cancel := context.WithCancelCause(t.Context())
	cancel(stopped)
	in := make(chan *Deleter)
	go func() {
		d, err := s.Deleter(t.Context())
		if err != nil {
			t.Error(err)
		}
		in <- d
	}()
	for { // until the deleter has closed the gate
		gate, err := s.lock(now, gateFile, unix.LOCK_SH)
		if errors.Is(err, stopped) {
			break
		}
		if err := errors.Join(err, gate.Close()); err != nil {
			t.Fatal(err)
		}
		runtime.Gosched()
	}
	if w, err := s.Writer(now); !errors.Is(err, stopped) {
		t.Errorf("a writer came in while a deleter waits: %v, %v", w, err)
	}
	select {
	case <-in:
		t.Error("the deleter came in beside a writer")
	default:
	}
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	d := <-in
	if w, err := s.Writer(now); !errors.Is(err, stopped) {
		t.Errorf("a writer came in beside a deleter: %v, %v", w, err)
	}
	if other, err := s.Deleter(now); !errors.Is(err, stopped) {
		t.Errorf("a deleter came in beside another: %v, %v", other, err)
	}
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	w, err := s.Writer(now)
	if err != nil {
		t.Fatal("after all are gone:", err)
	}
	if err := w.Close(); err != nil {
		t.Error(err)
	}
}

// TestGateOpensAgain waits with short turns behind a writer that stays: other
// writers come through.
func TestGateOpensAgain(t *testing.T) {
	s, _ := testStore(t)
	stays := testWriter(t, s)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() {
		f, err := s.exclusive(ctx, 3*unpack.LockPoll)
		if err == nil {
			err = errors.Join(errors.New("it came in beside a writer"), f.Close())
		}
		done <- err
	}()
	for range 5 {
		w, err := s.Writer(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
	}
	cancel()
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Errorf("waiting ended with %v", err)
	}
	if err := stays.Close(); err != nil {
		t.Fatal(err)
	}
	if f, err := s.exclusive(t.Context(), unpack.LockPoll); err != nil {
		t.Error(err)
	} else if err := f.Close(); err != nil {
		t.Error(err)
	}
}
