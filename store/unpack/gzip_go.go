//go:build !isal || !cgo

package unpack

import (
	"bufio"
	"io"

	"github.com/klauspost/compress/gzip"
)

// newGzip decompresses all members of a gzip stream.
func newGzip(in *bufio.Reader) (io.ReadCloser, error) { return gzip.NewReader(in) }
