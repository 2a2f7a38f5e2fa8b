package store

import (
	"context"
	"errors"
	"testing"
	"time"
)

// TestDeleterHasItsTurn keeps the shared lock taken at every moment: each
// writer goes only when the next has come, or is waiting at the gate. The
// deleter gets in all the same, and those at the gate after it.
func TestDeleterHasItsTurn(t *testing.T) {
	s, _ := testStore(t)
	first := testWriter(t, s)
	deleters := make(chan *Deleter)
	go func() {
		d, err := s.Deleter(t.Context())
		if err != nil {
			t.Error(err)
		}
		deleters <- d
	}()
	held := first
	var waiting chan *Writer
	for waiting == nil {
		next := make(chan *Writer, 1)
		go func() {
			w, err := s.Writer(t.Context())
			if err != nil {
				t.Error(err)
			}
			next <- w
		}()
		select {
		case w := <-next:
			if err := held.Close(); err != nil {
				t.Fatal(err)
			}
			held = w
		case <-time.After(10 * lockPoll):
			waiting = next
		}
	}
	select {
	case <-deleters:
		t.Fatal("the deleter came in beside a writer")
	default:
	}
	if err := held.Close(); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		var in interface{ Close() error }
		select {
		case in = <-deleters:
		case in = <-waiting:
		}
		if err := in.Close(); err != nil {
			t.Fatal(err)
		}
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
		f, err := s.exclusive(ctx, 3*lockPoll)
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
	if f, err := s.exclusive(t.Context(), lockPoll); err != nil {
		t.Error(err)
	} else if err := f.Close(); err != nil {
		t.Error(err)
	}
}
