package unpack

import (
	"context"
	"errors"
	"io"
	"sync"
	"sync/atomic"
)

const (
	// chunkSize is the unit in which bytes pass between the goroutines of a
	// layer: large enough that hand-overs cost nothing, small enough that a
	// chunk is still in the cache when its second reader comes.
	chunkSize = 128 << 10
	// chunksInFlight bounds how far the first goroutine may be ahead of the
	// last, and so the memory of one stream.
	chunksInFlight = 12
)

// errStopped is what a stream gives after another part of its layer failed.
// The cause is reported by that part.
var errStopped = errors.New("stopped")

// chunk is a piece of a stream with several readers.
type chunk struct {
	data []byte
	n    int
	refs atomic.Int32
}

// newChunks returns a pool of chunks, shared by the layers of one Fetch.
func newChunks() *sync.Pool {
	return &sync.Pool{New: func() any { return &chunk{data: make([]byte, chunkSize)} }}
}

// stream passes one sequence of bytes to several readers without copying.
type stream struct {
	stop    <-chan struct{}
	pool    *sync.Pool
	tickets chan struct{} // one per chunk in flight
	readers []*chunkReader
}

// newStream returns a stream for the given number of readers, each of which
// must be read to its end, or ctx cancelled.
func newStream(ctx context.Context, pool *sync.Pool, readers int) *stream {
	s := &stream{stop: ctx.Done(), pool: pool, tickets: make(chan struct{}, chunksInFlight)}
	for range readers {
		s.readers = append(s.readers, &chunkReader{stream: s, in: make(chan *chunk, chunksInFlight)})
	}
	return s
}

// fill copies r into the stream until r ends, calling each on every piece, and
// ends the stream for its readers only when r ended without an error.
func (s *stream) fill(r io.Reader, each func([]byte) error) error {
	for {
		select {
		case s.tickets <- struct{}{}:
		case <-s.stop:
			return errStopped
		}
		c := s.pool.Get().(*chunk)
		n, err := readChunk(r, c.data)
		if n == 0 {
			s.put(c)
		} else {
			if err := each(c.data[:n]); err != nil {
				return err
			}
			c.n = n
			c.refs.Store(int32(len(s.readers)))
			for _, out := range s.readers {
				out.in <- c // never blocks: as many places as tickets
			}
		}
		if errors.Is(err, io.EOF) {
			for _, out := range s.readers {
				close(out.in)
			}
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// readChunk is io.ReadFull, except that it keeps a reader's own
// io.ErrUnexpectedEOF (damaged input) apart from its io.EOF.
func readChunk(r io.Reader, p []byte) (n int, err error) {
	for n < len(p) && err == nil {
		var m int
		m, err = r.Read(p[n:])
		n += m
	}
	return n, err
}

func (s *stream) put(c *chunk) {
	s.pool.Put(c)
	<-s.tickets
}

// chunkReader is one reader's view of a stream.
type chunkReader struct {
	stream *stream
	in     chan *chunk
	cur    *chunk
	off    int
}

// next makes the next chunk current.
func (r *chunkReader) next() error {
	r.release()
	select {
	case c, ok := <-r.in:
		if !ok {
			return io.EOF
		}
		r.cur, r.off = c, 0
		return nil
	case <-r.stream.stop:
		return errStopped
	}
}

func (r *chunkReader) release() {
	if r.cur != nil && r.cur.refs.Add(-1) == 0 {
		r.stream.put(r.cur)
	}
	r.cur = nil
}

// Read implements io.Reader.
func (r *chunkReader) Read(p []byte) (int, error) {
	if r.cur == nil || r.off == r.cur.n {
		if err := r.next(); err != nil {
			return 0, err
		}
	}
	n := copy(p, r.cur.data[r.off:r.cur.n])
	r.off += n
	return n, nil
}

// WriteTo implements io.WriterTo, whole chunks at a time. It is not to be mixed
// with Read.
func (r *chunkReader) WriteTo(w io.Writer) (total int64, err error) {
	for {
		if err := r.next(); errors.Is(err, io.EOF) {
			return total, nil
		} else if err != nil {
			return total, err
		}
		n, err := w.Write(r.cur.data[:r.cur.n])
		total += int64(n)
		if err != nil {
			return total, err
		}
	}
}
