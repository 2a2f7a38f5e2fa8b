package engine

import (
	"context"
	"testing"
)

// TestMonitorIsDone has a monitor whose copy is over and whose context has ended:
// whatever is ready beside that, it ends no child any more.
func TestMonitorIsDone(t *testing.T) {
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(context.Canceled)
	done := make(chan struct{})
	close(done)
	for range 200 { // the choice among what is ready is random
		monitor(ctx, cancel, t.TempDir(), done, func() { t.Error("a child was ended after the copy was done") })
	}
}
