package unpack

import (
	"bufio"
	"fmt"
	"io"

	"github.com/klauspost/compress/zstd"
	"go.podman.io/storage/pkg/archive"
)

// maxZstdWindow is what the zstd program accepts without being asked for more
// (ZSTD_WINDOWLOG_LIMIT_DEFAULT, 27 bits). A frame may demand gigabytes.
const maxZstdWindow = 128 << 20

// decompress returns the tar in r. Like the library it goes by the first
// bytes, and takes what it does not know for an uncompressed tar.
func decompress(r io.Reader) (io.ReadCloser, error) {
	in := bufio.NewReaderSize(r, copyBuffer)
	head, err := in.Peek(10)
	if err != nil && err != io.EOF {
		return nil, err
	}
	switch c := archive.DetectCompression(head); c {
	case archive.Uncompressed:
		return io.NopCloser(in), nil
	case archive.Gzip:
		return newGzip(in)
	case archive.Zstd:
		d, err := zstd.NewReader(in, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxWindow(maxZstdWindow))
		if err != nil {
			return nil, err
		}
		return d.IOReadCloser(), nil
	default:
		return nil, &UnsupportedError{Reason: fmt.Sprintf("compression %s", c.Extension())}
	}
}
