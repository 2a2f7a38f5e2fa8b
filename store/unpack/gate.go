package unpack

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"errors"
	"io"
	"sync/atomic"

	"go.podman.io/storage/pkg/archive"
)

// Gate opens the tar of a layer, compressed or not, for the library to unpack,
// and lets no header through before it has been judged, since nothing ends the
// library once it expands a hole. So the layer is not read once more for that.
// What refuses the layer ends the reading, and Close returns it: a *LimitError
// or the cause of the end of ctx. A tar that cannot be read is left to the
// library, which has the same parser and says what is wrong. The error is that
// of a blob which cannot be opened so.
func (s *Survey) Gate(ctx context.Context, blob io.Reader) (*Gate, error) {
	plain, err := archive.DecompressStream(&stoppable{ctx, blob})
	if err != nil {
		return nil, err
	}
	in := bufio.NewReaderSize(plain, copyBuffer)
	if head, _ := in.Peek(10); archive.DetectCompression(head) != archive.Uncompressed {
		// The library would decompress it a second time.
		return nil, errors.Join(errors.New("it is compressed twice"), plain.Close())
	}
	read, write := io.Pipe()
	g := &Gate{PipeReader: read, done: make(chan struct{}), passage: &passage{in: in, out: write, inventory: inventory{names: new(atomic.Int64)}}}
	g.stop = context.AfterFunc(ctx, func() { _ = write.CloseWithError(context.Cause(ctx)) }) // always nil
	go func() {
		defer close(g.done)
		defer plain.Close()
		g.refusal = s.pass(ctx, g.passage, write)
	}()
	return g, nil
}

// Gate is a tar on its way through a Survey.
type Gate struct {
	*io.PipeReader
	stop    func() bool
	done    chan struct{}
	passage *passage
	refusal error
}

// Close ends the reading, and returns what refused the layer.
func (g *Gate) Close() error {
	g.stop()
	_ = g.PipeReader.Close() // always nil
	<-g.done
	return g.refusal
}

// Intact tells, without reading them, that the files which the library made of
// the tar in the directory dir are what it says. Close comes before it.
func (g *Gate) Intact(dir string) bool { return g.passage.intact(dir) }

// pass copies a tar behind the eyes of the survey.
func (s *Survey) pass(ctx context.Context, p *passage, out *io.PipeWriter) error {
	err := s.walk(ctx, &tally{p, s}, p)
	if errors.As(err, new(*LimitError)) || ctx.Err() != nil {
		_ = out.CloseWithError(err) // always nil
		return errors.Join(err, context.Cause(ctx))
	}
	if err != nil {
		p.odd = true
		p.release()
		_, err = io.Copy(io.Discard, p)
	}
	_ = out.CloseWithError(err) // always nil; no error is the end of the tar
	return nil
}

// passage gives on what is read through it: headers when they were judged, all
// else at once. A nil passage gives nothing on.
type passage struct {
	in      io.Reader
	out     io.Writer
	held    bytes.Buffer // of a header, and so bounded by headerLimit
	holding bool
	err     error // of out: nobody reads any more
	inventory
}

func (p *passage) Read(b []byte) (int, error) {
	if p.err != nil {
		return 0, p.err
	}
	n, err := p.in.Read(b)
	p.total += int64(n)
	if p.holding {
		p.held.Write(b[:n])
	} else if n > 0 {
		_, p.err = p.out.Write(b[:n])
	}
	return n, cmp.Or(p.err, err)
}

// hold keeps what is read from now on.
func (p *passage) hold() {
	if p != nil {
		p.holding = true
	}
}

// release gives on what was kept.
func (p *passage) release() {
	if p == nil || !p.holding {
		return
	}
	p.holding = false
	if p.held.Len() > 0 && p.err == nil {
		_, p.err = p.held.WriteTo(p.out)
	}
}
