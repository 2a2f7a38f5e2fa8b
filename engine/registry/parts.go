package registry

import (
	"context"
	"errors"
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	"net/http"
	"strings"

	"github.com/opencontainers/go-digest"
)

const (
	// partsAtOnce is how many parts one request asks for: servers bound the
	// headers of a request, many at 8 KiB.
	partsAtOnce = 200
	// partsAlone is for how many parts a registry is asked one by one where it
	// does not give several in one answer.
	partsAlone = 64
)

// ErrFewerParts says that a registry has to be asked for fewer, longer parts.
var ErrFewerParts = errors.New("the registry gives one part of a blob for each request")

// Part is Length bytes of a blob from Offset on.
type Part struct{ Offset, Length int64 }

func (p Part) String() string { return fmt.Sprintf("%d-%d", p.Offset, p.Offset+p.Length-1) }

// Parts are parts of one blob, in the order in which they were asked for. Close
// must be called.
type Parts struct {
	image *Image
	ctx   context.Context //nolint:containedctx // Next takes none: it is called by a reader
	d     digest.Digest
	left  []Part

	body  io.Closer         // of the answer that is being read
	multi *multipart.Reader // with these parts; nil: with one
	in    int               // parts that are still to come of the answer
	one   io.Reader         // the one part, once
	alone bool              // each part is asked for by itself
}

// Parts asks for parts of a blob. Nothing vouches for them but what the caller
// knows of them. The error is ErrFewerParts where so many cannot be had.
func (i *Image) Parts(ctx context.Context, d digest.Digest, parts []Part) (*Parts, error) {
	if err := d.Validate(); err != nil { // it becomes part of a URL
		return nil, err
	}
	p := &Parts{image: i, ctx: ctx, d: d, left: parts}
	if len(parts) == 0 {
		return p, nil
	}
	return p, p.ask()
}

// ask makes the next request.
func (p *Parts) ask() error {
	if err := p.Close(); err != nil {
		return err
	}
	if !p.alone {
		err := p.askSeveral(p.left[:min(len(p.left), partsAtOnce)])
		if !errors.Is(err, errNotParts) {
			return err
		}
		p.alone = true
	}
	if len(p.left) > partsAlone {
		return ErrFewerParts
	}
	want := p.left[0]
	body, at, err := p.image.Rest(p.ctx, p.d, want.Offset, want.Length)
	if err != nil {
		return err
	}
	p.body, p.one, p.in, p.multi = body, io.LimitReader(body, want.Length), 1, nil
	if at != want.Offset {
		return errors.Join(errNotParts, p.Close())
	}
	return nil
}

// errNotParts says that an answer is not the parts that were asked for.
var errNotParts = errors.New("the registry answers with other bytes than were asked for")

func (p *Parts) askSeveral(parts []Part) error {
	return p.image.eachPlace(p.ctx, func(c *client) error {
		resp, err := c.parts(p.ctx, p.d, parts) //nolint:bodyclose // Close does
		if err != nil {
			return err
		}
		p.body, p.multi, p.one, p.in = resp.Body, nil, nil, len(parts)
		kind, parameters, err := mime.ParseMediaType(resp.Header.Get("Content-Type"))
		switch {
		case err == nil && kind == "multipart/byteranges":
			p.multi = multipart.NewReader(resp.Body, parameters["boundary"])
			return nil
		case len(parts) == 1 && isPart(resp.Header.Get("Content-Range"), parts[0]):
			p.one = io.LimitReader(resp.Body, parts[0].Length)
			return nil
		}
		return errors.Join(errNotParts, p.Close())
	})
}

// isPart tells whether a Content-Range is that of a part.
func isPart(value string, p Part) bool { return strings.HasPrefix(value, "bytes "+p.String()+"/") }

// Next returns the next part, which is read before Next is called again, and
// io.EOF after the last one.
func (p *Parts) Next() (io.Reader, error) {
	if len(p.left) == 0 {
		return nil, io.EOF
	}
	if p.in == 0 {
		if err := p.ask(); err != nil {
			return nil, err
		}
	}
	want := p.left[0]
	p.left, p.in = p.left[1:], p.in-1
	if p.multi == nil {
		return p.one, nil
	}
	part, err := p.multi.NextRawPart()
	if err != nil {
		return nil, fmt.Errorf("reading bytes %s of %s: %w", want, p.d, noEnd(err))
	}
	if !isPart(part.Header.Get("Content-Range"), want) {
		return nil, errNotParts
	}
	return io.LimitReader(part, want.Length), nil
}

// noEnd makes the end of an answer an error where more was to come.
func noEnd(err error) error {
	if err == io.EOF { //nolint:errorlint // the reader's own
		return io.ErrUnexpectedEOF
	}
	return err
}

// Close ends the answer that is being read.
func (p *Parts) Close() error {
	if p.body == nil {
		return nil
	}
	body := p.body
	p.body, p.in = nil, 0
	return body.Close()
}

// parts makes a request for several parts of a blob.
func (c *client) parts(ctx context.Context, d digest.Digest, parts []Part) (*http.Response, error) {
	ranges := make([]string, len(parts))
	for i, p := range parts {
		ranges[i] = p.String()
	}
	resp, err := c.ranges(ctx, d, "bytes="+strings.Join(ranges, ","))
	if err != nil {
		return nil, err
	}
	switch resp.StatusCode {
	case http.StatusPartialContent:
		return resp, nil
	case http.StatusOK, http.StatusBadRequest, http.StatusRequestedRangeNotSatisfiable:
		return nil, errors.Join(errNotParts, resp.Body.Close())
	}
	return nil, c.refused(resp)
}
