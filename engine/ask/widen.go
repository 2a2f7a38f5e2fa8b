package ask

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// widenAfter is how long one connection is tried before several are.
	widenAfter = 500 * time.Millisecond
	// partSize is what is asked for at once on each of several connections.
	partSize = 2 << 20
	// partsAhead is how many parts of a layer are asked for at the same time.
	partsAhead = 4
	// morePeak is how many parts a whole pull asks for at the same time, beside
	// the first connection of each layer; they are held in memory.
	morePeak = 8
)

// Widener lets layers come over several connections where one is the
// bottleneck. It is one for a pull, and for good does so no more when the
// registry has no ranges or says that it is asked too much.
type Widener struct {
	asker *Asker
	parts chan struct{} // one value for each part that is asked for
	off   atomic.Bool
}

// NewWidener returns a widener for one Pull.
func NewWidener(a *Asker) *Widener {
	return &Widener{asker: a, parts: make(chan struct{}, morePeak)}
}

// openPart asks for a part of a blob.
type openPart func(ctx context.Context, offset, length int64) (body io.ReadCloser, at int64, err error)

// wideBody reads a blob on one connection and, once that has shown to be slower
// than whoever reads, on several.
type wideBody struct {
	*Widener
	parent context.Context //nolint:containedctx // io.Reader takes none
	ctx    context.Context //nolint:containedctx // of the parts
	cancel context.CancelFunc
	open   openPart
	alive  func(n int64)

	mu     sync.Mutex // Close comes from another goroutine than Read
	one    io.ReadCloser
	closed bool

	offset, size int64
	begun        time.Time
	waited       time.Duration // for the first connection

	turn  int64          // where the parts begin; 0: there are none
	queue chan chan part // in their order
	stuck atomic.Bool    // a part did not come, so no more are asked for
	cur   []byte
	wide  bool // the parts are read
}

// part is one part of a blob, or why it did not come.
type part struct {
	data []byte
	err  error
}

// widen returns a reader of a blob from offset on, of which body is the answer.
func (w *Widener) widen(ctx context.Context, body io.ReadCloser, offset, size int64, open openPart, alive func(n int64)) io.ReadCloser {
	b := &wideBody{Widener: w, parent: ctx, open: open, alive: alive, one: body, offset: offset, size: size, begun: time.Now()}
	b.ctx, b.cancel = context.WithCancel(ctx)
	return b
}

// Close may be called while Read waits, which then ends.
func (b *wideBody) Close() error {
	b.cancel()
	b.mu.Lock()
	defer b.mu.Unlock()
	b.closed = true
	return b.one.Close()
}

func (b *wideBody) Read(p []byte) (n int, err error) {
	if b.turn > 0 && b.offset == b.turn {
		b.takeTurn()
	}
	if b.wide {
		n, err = b.readPart(p)
		b.offset += int64(n)
		if err == nil || err == io.EOF { //nolint:errorlint // io.Reader's own
			return n, err
		}
		if err := b.narrow(err); err != nil {
			return n, err
		}
	}
	if b.turn > 0 {
		p = p[:min(int64(len(p)), b.turn-b.offset)]
	}
	start := time.Now()
	n, err = b.one.Read(p)
	b.offset += int64(n)
	now := time.Now()
	b.waited += now.Sub(start)
	if elapsed := now.Sub(b.begun); b.turn == 0 && elapsed >= widenAfter && b.waited > elapsed*3/4 && b.size-b.offset > (partsAhead+1)*partSize && !b.off.Load() {
		b.turn = b.offset + partSize
		b.queue = make(chan chan part, partsAhead-1)
		go b.ask(b.turn)
	}
	return n, err
}

// takeTurn goes over from the first connection to the parts, unless the first of
// them did not come.
func (b *wideBody) takeTurn() {
	b.turn = 0
	first, err := b.next()
	if err != nil {
		b.stop(err)
		return
	}
	b.cur, b.wide = first, true
	_ = b.one.Close() // nothing more is wanted of it
}

// stop asks for no more parts, in this pull.
func (b *wideBody) stop(err error) {
	b.cancel()
	if !b.off.Swap(true) {
		b.asker.debug(fmt.Sprintf("layers come over one connection each: %v", err))
	}
}

// narrow goes on over one connection, after a part that did not come.
func (b *wideBody) narrow(err error) error {
	b.stop(err)
	b.wide = false
	body, at, err := b.open(b.parent, b.offset, -1)
	if err == nil && at != b.offset {
		err = errors.Join(errNoRanges, body.Close())
	}
	if err != nil {
		return fmt.Errorf("%w (%s)", io.ErrUnexpectedEOF, err.Error()) // whoever reads asks again
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.one = body
	if b.closed {
		return errors.Join(os.ErrClosed, body.Close())
	}
	return nil
}

func (b *wideBody) readPart(p []byte) (int, error) {
	if len(b.cur) == 0 {
		if b.offset >= b.size {
			return 0, io.EOF
		}
		var err error
		if b.cur, err = b.next(); err != nil {
			return 0, err
		}
	}
	n := copy(p, b.cur)
	b.cur = b.cur[n:]
	return n, nil
}

// next waits for the part that comes next.
func (b *wideBody) next() ([]byte, error) {
	select {
	case c := <-b.queue:
		got := <-c
		return got.data, got.err
	case <-b.ctx.Done():
		return nil, context.Cause(b.ctx)
	}
}

// ask asks for the parts from an offset on, some ahead of who reads them.
func (b *wideBody) ask(from int64) {
	for offset := from; offset < b.size && !b.stuck.Load(); offset += partSize {
		select {
		case b.parts <- struct{}{}:
		case <-b.ctx.Done():
			return
		}
		c := make(chan part, 1)
		go func() {
			defer func() { <-b.parts }()
			data, err := b.fetch(offset, min(partSize, b.size-offset))
			b.stuck.CompareAndSwap(false, err != nil)
			c <- part{data, err}
		}()
		select {
		case b.queue <- c:
		case <-b.ctx.Done():
			return
		}
	}
}

// errNoRanges says that a registry answers with all of a blob where a part was
// asked for.
var errNoRanges = errors.New("the registry gives no parts of blobs")

func (b *wideBody) fetch(offset, length int64) (data []byte, err error) {
	body, at, err := b.open(b.ctx, offset, length)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, body.Close()) }()
	if at != offset {
		return nil, errNoRanges
	}
	data = make([]byte, length)
	if _, err = io.ReadFull(io.TeeReader(body, told(b.alive)), data); err == io.EOF { //nolint:errorlint // io.Reader's own
		err = io.ErrUnexpectedEOF
	}
	return data, err
}

// told tells of how many bytes are written to it.
type told func(n int64)

func (t told) Write(p []byte) (int, error) {
	t(int64(len(p)))
	return len(p), nil
}
