package unpack

import (
	"bufio"
	"errors"
	"io"

	"github.com/klauspost/compress/gzip"
)

// newGzip decompresses all members of a gzip stream.
func newGzip(in *bufio.Reader) (io.ReadCloser, error) {
	z, err := gzip.NewReader(in)
	if err != nil {
		return nil, err
	}
	z.Multistream(false)
	return &gzipMembers{z, in}, nil
}

// gzipMembers goes from member to member itself: the library takes a stream
// that ends in the name of a member for one that ended before it.
type gzipMembers struct {
	member *gzip.Reader // the one being read
	in     *bufio.Reader
}

func (m *gzipMembers) Close() error { return m.member.Close() }

func (m *gzipMembers) Read(p []byte) (n int, err error) {
	for n == 0 && err == nil {
		n, err = m.member.Read(p)
		if errors.Is(err, io.EOF) {
			err = m.next()
		}
		if len(p) == 0 {
			break
		}
	}
	return n, err
}

// next goes to the next member; io.EOF when there is none.
func (m *gzipMembers) next() error {
	if _, err := m.in.Peek(1); err != nil {
		return err
	}
	err := m.member.Reset(m.in)
	m.member.Multistream(false)
	if errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	return err
}
