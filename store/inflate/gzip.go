package inflate

import (
	"bufio"
	"compress/gzip"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"io"
)

// Flags of a member (RFC 1952, 2.3.1).
const (
	hasChecksum = 2 << iota
	hasExtra
	hasName
	hasComment
)

// Reader reads what a gzip stream was made from: all its members, one after the
// other. It ends with io.EOF; with gzip.ErrHeader, gzip.ErrChecksum or ErrDamaged
// where the stream is not sound, io.ErrUnexpectedEOF where it ends early, or the
// error of what it reads from.
type Reader struct {
	blocks
	begun bool   // a member
	read  int    // up to where the window was
	sum   uint32 // CRC-32 of the member so far
	size  uint32 // of the member so far, modulo 2^32
	err   error  // once all of the window was read
}

// NewReader begins to read a gzip stream. The buffer of in has 64 bytes or more;
// no more is taken from it than the stream has.
func NewReader(in *bufio.Reader) (*Reader, error) {
	z := &Reader{blocks: blocks{
		in: in, window: new([inWindow + 8]byte),
		ofLiterals: literals(), ofDistances: distances(), ofLengths: lengths(),
	}}
	if err := z.begin(); err != nil {
		return nil, err
	}
	return z, nil
}

// Read implements io.Reader.
func (z *Reader) Read(p []byte) (int, error) {
	for z.read == z.end && z.err == nil && len(p) > 0 {
		z.err = z.more()
	}
	if z.read == z.end {
		return 0, z.err
	}
	n := copy(p, z.window[z.read:z.end])
	z.read += n
	return n, nil
}

// more decompresses the next bytes. Those that come with an error are right.
func (z *Reader) more() error {
	if !z.begun {
		if _, err := z.in.Peek(1); err != nil {
			return err // io.EOF: there is no other member
		}
		if err := z.begin(); err != nil {
			return err
		}
	}
	z.slide()
	z.read = z.end
	done, err := z.decode()
	z.sum = crc32.Update(z.sum, crc32.IEEETable, z.window[z.read:z.end])
	z.size += uint32(z.end - z.read)
	if done {
		err = z.finish()
	}
	return err
}

// begin reads the header of a member (RFC 1952, 2.3).
func (z *Reader) begin() error {
	sum := crc32.NewIEEE()
	in := io.TeeReader(z.in, sum)
	var b [10]byte
	if n, err := io.ReadFull(in, b[:]); err != nil {
		if n == 0 {
			return err
		}
		return unexpected(err)
	}
	if b[0] != 0x1f || b[1] != 0x8b || b[2] != 8 {
		return gzip.ErrHeader
	}
	flags := b[3]
	if flags&hasExtra != 0 {
		if _, err := io.ReadFull(in, b[:2]); err != nil {
			return unexpected(err)
		}
		if _, err := io.CopyN(io.Discard, in, int64(binary.LittleEndian.Uint16(b[:]))); err != nil {
			return unexpected(err)
		}
	}
	for _, text := range []byte{hasName, hasComment} {
		for more := flags&text != 0; more; more = b[0] != 0 {
			if _, err := io.ReadFull(in, b[:1]); err != nil {
				return unexpected(err)
			}
		}
	}
	if flags&hasChecksum != 0 {
		want := uint16(sum.Sum32())
		if _, err := io.ReadFull(z.in, b[:2]); err != nil {
			return unexpected(err)
		}
		if binary.LittleEndian.Uint16(b[:]) != want {
			return gzip.ErrHeader
		}
	}
	z.begun, z.read, z.sum, z.size = true, 0, 0, 0
	z.reset()
	return nil
}

// finish checks the end of a member (RFC 1952, 2.3.1).
func (z *Reader) finish() error {
	z.begun = false
	var b [8]byte
	if _, err := io.ReadFull(z.in, b[:]); err != nil {
		return unexpected(err)
	}
	if binary.LittleEndian.Uint32(b[:]) != z.sum || binary.LittleEndian.Uint32(b[4:]) != z.size {
		return gzip.ErrChecksum
	}
	return nil
}

// unexpected is the error of a stream that ends, or cannot be read, where more has
// to come.
func unexpected(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}
