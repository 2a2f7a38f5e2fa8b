package unpack

import (
	"bufio"
	"fmt"
	"io"

	"github.com/klauspost/compress/zstd"
	"go.podman.io/storage/pkg/archive"

	"github.com/mpull/mpull/store/inflate"
)

// maxZstdWindow is what the zstd program accepts without being asked for more
// (ZSTD_WINDOWLOG_LIMIT_DEFAULT, 27 bits). A frame may demand gigabytes.
const maxZstdWindow = 128 << 20

// minZstdWindow is what each zstd stream may look back on, whatever its first
// frame says: the frames after it need not be like it. It is so much that
// DefaultWorkers streams never wait for each other.
const minZstdWindow = maxZstdWindow / DefaultWorkers

// decompress returns the tar in r. Like the library it goes by the first
// bytes, and takes what it does not know for an uncompressed tar. Where the
// decompressor needs much memory, room is asked for it first.
func decompress(r io.Reader, room func(window int64) (release func(), err error)) (io.ReadCloser, error) {
	in := bufio.NewReaderSize(r, copyBuffer)
	head, err := in.Peek(10)
	if err != nil && err != io.EOF {
		return nil, err
	}
	switch c := archive.DetectCompression(head); c {
	case archive.Uncompressed:
		return io.NopCloser(in), nil
	case archive.Gzip:
		z, err := inflate.NewReader(in)
		return io.NopCloser(z), err
	case archive.Zstd:
		return newZstd(in, room)
	default:
		return nil, &UnsupportedError{Reason: fmt.Sprintf("compression %s", c.Extension())}
	}
}

func newZstd(in *bufio.Reader, room func(window int64) (release func(), err error)) (io.ReadCloser, error) {
	window := zstdWindow(in)
	release, err := room(window)
	if err != nil {
		return nil, err
	}
	d, err := zstd.NewReader(in, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxWindow(uint64(window)))
	if err != nil {
		release()
		return nil, err
	}
	return &zstdReader{d.IOReadCloser(), release}, nil
}

// zstdWindow returns how many bytes a zstd stream looks back on, by its first
// frame: the most that is allowed where that does not say.
func zstdWindow(in *bufio.Reader) int64 {
	head, _ := in.Peek(zstd.HeaderMaxSize) // what is wrong with it, the decoder says
	var h zstd.Header
	if h.Decode(head) != nil || h.Skippable {
		return maxZstdWindow
	}
	window := h.WindowSize
	if h.SingleSegment {
		window = h.FrameContentSize
	}
	return int64(min(max(window, minZstdWindow), maxZstdWindow))
}

// zstdReader gives the memory of its decompressor back when it is closed.
type zstdReader struct {
	io.ReadCloser
	release func()
}

func (z *zstdReader) Close() error {
	err := z.ReadCloser.Close()
	z.release()
	return err
}
