package unpack

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"

	"go.podman.io/storage/pkg/chunked"
)

// Part is Length bytes of a blob from Offset on.
type Part struct{ Offset, Length int64 }

// Parts are parts of a blob, in the order in which they were asked for.
type Parts interface {
	// Next returns the next part, which is read before Next is called again.
	Next() (io.Reader, error)
	Close() error
}

// ErrFewerParts is returned by a PartsOpener that can be asked for fewer, longer
// parts only.
var ErrFewerParts = errors.New("fewer parts of a blob have to be asked for")

// PartsOpener asks for parts of the compressed bytes of a layer. Close must make
// a Read in progress return.
type PartsOpener func(ctx context.Context, l Layer, parts []Part) (Parts, error)

// pieces gives the library parts of the blob of one layer. What it asks for
// first describes the layer, and is judged before the library sees it.
type pieces struct {
	ctx    context.Context //nolint:containedctx // the library's interface takes none
	layer  Layer
	open   PartsOpener
	onRead func(n int64)
	judge  func(description [][]byte) error
	judged bool
}

// GetBlobAt implements chunked.ImageSourceSeekable.
func (p *pieces) GetBlobAt(chunks []chunked.ImageSourceChunk) (chan io.ReadCloser, chan error, error) {
	wanted, err := p.within(chunks)
	if err != nil {
		return nil, nil, err
	}
	parts, err := p.open(p.ctx, p.layer, wanted)
	if errors.Is(err, ErrFewerParts) {
		return nil, nil, chunked.ErrBadRequest{}
	}
	if err != nil {
		return nil, nil, err
	}
	if !p.judged {
		if parts, err = p.described(parts, wanted); err != nil {
			return nil, nil, err
		}
		p.judged = true
	}
	streams, errs := make(chan io.ReadCloser), make(chan error)
	go p.give(parts, wanted, streams, errs)
	return streams, errs, nil
}

// within refuses parts that the blob does not have: where they lie, the layer
// says itself.
func (p *pieces) within(chunks []chunked.ImageSourceChunk) ([]Part, error) {
	size := uint64(max(p.layer.Size, 0))
	wanted := make([]Part, len(chunks))
	for i, c := range chunks {
		if c.Length == 0 || c.Offset > size || c.Length > size-c.Offset {
			return nil, fmt.Errorf("the layer lists bytes %d to %d of its %d", c.Offset, c.Offset+c.Length, size)
		}
		wanted[i] = Part{int64(c.Offset), int64(c.Length)}
	}
	return wanted, nil
}

// described reads all parts, to be judged.
func (p *pieces) described(parts Parts, wanted []Part) (_ Parts, err error) {
	defer func() { err = errors.Join(err, parts.Close()) }()
	var read held
	for _, w := range wanted {
		if w.Length > maxDescription {
			return nil, errLongDescription
		}
		data := make([]byte, w.Length)
		r, err := parts.Next()
		if err == nil {
			_, err = io.ReadFull(r, data)
		}
		if err != nil {
			return nil, err
		}
		p.onRead(w.Length)
		read = append(read, data)
	}
	return &read, p.judge(read)
}

// held are parts in memory.
type held [][]byte

func (h *held) Next() (io.Reader, error) {
	if len(*h) == 0 {
		return nil, io.EOF
	}
	first := (*h)[0]
	*h = (*h)[1:]
	return bytes.NewReader(first), nil
}

func (h *held) Close() error { return nil }

// give hands the library one part after the other; it closes each before it
// takes the next.
func (p *pieces) give(parts Parts, wanted []Part, streams chan io.ReadCloser, errs chan error) {
	defer close(streams)
	defer close(errs)
	_, quiet := parts.(*held) // counted already
	for range wanted {
		r, err := parts.Next()
		if err != nil {
			errs <- err
			break
		}
		s := &piece{from: r, done: make(chan struct{})}
		if !quiet {
			s.onRead = p.onRead
		}
		streams <- s
		<-s.done
	}
	if err := parts.Close(); err != nil {
		errs <- err
	}
}

// piece is a part that the library reads.
type piece struct {
	from   io.Reader
	onRead func(n int64)
	done   chan struct{}
	closed bool
}

func (s *piece) Read(b []byte) (int, error) {
	n, err := s.from.Read(b)
	if s.onRead != nil && n > 0 {
		s.onRead(int64(n))
	}
	return n, err
}

func (s *piece) Close() error {
	if !s.closed {
		s.closed = true
		close(s.done)
	}
	return nil
}
