package unpack

import (
	"archive/tar"
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"hash/crc64"
	"io"
	"path"
	"strings"

	splittar "github.com/vbatts/tar-split/archive/tar"
	"go.podman.io/storage/pkg/archive"
	"golang.org/x/sys/unix"
)

const (
	// copyBuffer is small enough to stay in the cache between reading it,
	// adding it to the checksum and writing it.
	copyBuffer = 32 << 10
	// maxHeader bounds the bytes of one entry's headers. Each may be 1 MiB,
	// but any number can come in a row, and tar-split needs them in memory.
	maxHeader = 8 << 20
)

// untarrer reads one uncompressed layer, creates its files and records its
// headers for tar-split.
//
// The library parses a layer twice at the same time, with Go's archive/tar to
// create files and with tar-split's copy of it to record headers. Here the
// latter reads the stream, and each header it returns is parsed again by the
// former, so that a layer which only one of them accepts is refused. That is
// spared where there is nothing to disagree about.
type untarrer struct {
	in         *headerLimit
	split      *splittar.Reader
	record     *recorder
	files      *extractor
	uids, gids map[uint32]struct{} // the numbers that files belong to, which layers.json lists
	count      func() error        // called for each entry
	list       *lister             // nil: the files are not listed
	buffer     []byte
	recorded   int64 // bytes of the stream that the record has, or knows a file for
}

// headerLimit fails a reader after a number of bytes.
type headerLimit struct {
	io.Reader
	left int64 // negative: no limit
}

func (l *headerLimit) Read(p []byte) (int, error) {
	if l.left == 0 {
		return 0, &LimitError{"bytes of one tar header", maxHeader}
	}
	if l.left > 0 {
		p = p[:min(int64(len(p)), l.left)]
	}
	n, err := l.Reader.Read(p)
	if l.left > 0 {
		l.left -= int64(n)
	}
	return n, err
}

// newUntarrer unpacks in to the tree and writes tar-split's record to record.
func newUntarrer(in io.Reader, to *tree, how manner, record io.Writer, count func() error) *untarrer {
	limited := &headerLimit{in, -1}
	r := splittar.NewReader(limited)
	r.RawAccounting = true
	return &untarrer{
		in:     limited,
		split:  r,
		record: &recorder{out: record, seen: map[string]struct{}{}},
		files:  &extractor{tree: to, manner: how},
		uids:   map[uint32]struct{}{},
		gids:   map[uint32]struct{}{},
		count:  count,
		buffer: make([]byte, copyBuffer),
	}
}

// run unpacks to the end of the stream, what follows the archive included.
func (u *untarrer) run() error {
	padding := int64(0) // of the entry before
	for {
		u.in.left = maxHeader
		recorded, err := u.split.Next()
		u.in.left = -1
		if err != nil && !errors.Is(err, io.EOF) {
			return refuse("reading tar", err)
		}
		raw := u.split.RawBytes()
		hdr, parseErr := parseHeader(raw, padding, recorded)
		if (parseErr == nil) != (err == nil) || errors.Is(parseErr, io.EOF) != errors.Is(err, io.EOF) {
			return refuse("parsing tar header", errors.Join(errParsers, parseErr, err))
		}
		if err := u.segment(raw); err != nil {
			return err
		}
		if errors.Is(err, io.EOF) {
			break
		}
		padding = u.split.ExpectedPadding()
		if err := u.entry(hdr, recorded); err != nil {
			return refuse("unpacking "+hdr.Name, err)
		}
	}
	if err := u.trailer(); err != nil {
		return err
	}
	if u.files.removed {
		return refuse("unpacking", fmt.Errorf("an entry replaces another: %w", errTorn))
	}
	return refuse("setting directory times", u.files.finish())
}

var (
	errParsers = errors.New("tar readers disagree")
	// errTorn is the reason to refuse what contradicts itself: the library
	// unpacks it, but what it did is looked at then (Writer.Destination).
	errTorn = errors.New("its tar might not be put together again from its files")
)

// parseHeader parses the headers of one entry, which follow the padding of the
// one before. It returns io.EOF for the end of the archive. recorded is what
// tar-split's parser made of them, nil after an error.
func parseHeader(raw []byte, padding int64, recorded *splittar.Header) (*tar.Header, error) {
	raw = raw[min(padding, int64(len(raw))):]
	if recorded != nil && isPlain(raw) {
		return &tar.Header{
			Typeflag: recorded.Typeflag, Name: recorded.Name, Linkname: recorded.Linkname, Size: recorded.Size,
			Mode: recorded.Mode, Uid: recorded.Uid, Gid: recorded.Gid, ModTime: recorded.ModTime,
		}, nil
	}
	return tar.NewReader(bytes.NewReader(raw)).Next()
}

// isPlain tells of headers that they are a single one of POSIX's, for a file, a
// link or a directory, with nothing but digits in its numbers: what everybody
// reads alike.
func isPlain(raw []byte) bool {
	const mode, checksum, kind, link, magic = 100, 148, 156, 157, 257 // offsets (POSIX.1-2024, pax, "ustar Interchange Format")
	if len(raw) != 512 || string(raw[magic:magic+8]) != "ustar\x0000" || !strings.ContainsRune("0125", rune(raw[kind])) {
		return false
	}
	for _, c := range raw[mode:checksum] {
		if (c < '0' || c > '7') && c != 0 && c != ' ' {
			return false
		}
	}
	return raw[kind] != '1' && raw[kind] != '2' && raw[kind] != '5' || strings.Trim(string(raw[124:136]), "0 \x00") == ""
}

// maxSparse is the largest sparse file that is left to the library's path: a
// header of a few bytes can promise eight exabytes.
const maxSparse = 1 << 40

// entry creates one entry and records it.
func (u *untarrer) entry(hdr *tar.Header, recorded *splittar.Header) error {
	if err := u.count(); err != nil {
		return err
	}
	if hdr.Name != recorded.Name || hdr.Size != recorded.Size || hdr.Typeflag != recorded.Typeflag {
		return errParsers
	}
	if isSparse(hdr.PAXRecords, hdr.Typeflag) {
		// The library would write out, and record, every zero of it.
		if hdr.Size > maxSparse {
			return &LimitError{"bytes of a sparse file", maxSparse}
		}
		return errors.New("sparse file")
	}
	if !strings.HasPrefix(path.Base(hdr.Name), archive.WhiteoutPrefix) {
		u.uids[uint32(recorded.Uid)] = struct{}{}
		u.gids[uint32(recorded.Gid)] = struct{}{}
	}
	crc := crc64.New(crc64.MakeTable(crc64.ISO))
	taken := false
	listing := u.list.begin(hdr)
	see := func(p []byte) {
		crc.Write(p)
		if listing != nil {
			listing.Write(p)
		}
	}
	err := u.files.extract(hdr, func(fd int) error { taken = true; return u.copy(fd, see) })
	if err != nil {
		return err
	}
	if recorded.Size > 0 && !taken {
		return fmt.Errorf("it has contents and is no file: %w", errTorn)
	}
	if err := u.copy(-1, see); err != nil { // what no file took
		return err
	}
	listing.end()
	var sum []byte
	if recorded.Size > 0 {
		sum = crc.Sum(nil)
	}
	u.recorded += recorded.Size
	return u.record.file(recorded.Name, recorded.Size, sum)
}

// copy writes the rest of the current entry's data to fd, unless that is
// negative, and shows it to see.
func (u *untarrer) copy(fd int, see func(p []byte)) error {
	for {
		n, err := u.split.Read(u.buffer)
		see(u.buffer[:n])
		if fd >= 0 {
			if err := writeAll(fd, u.buffer[:n]); err != nil {
				return err
			}
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

func writeAll(fd int, p []byte) error {
	for len(p) > 0 {
		n, err := unix.Write(fd, p)
		if err == unix.EINTR {
			continue
		}
		if err != nil {
			return err
		}
		p = p[n:]
	}
	return nil
}

// trailer records what follows the end of the archive. tar-split does so in
// pieces of up to 1 MiB.
func (u *untarrer) trailer() error {
	rest := bufio.NewReaderSize(u.in, copyBuffer)
	if _, err := rest.Peek(1); err == io.EOF {
		return nil
	}
	piece := make([]byte, 1<<20)
	for {
		n, err := readChunk(rest, piece)
		if err := u.segment(piece[:n]); err != nil {
			return err
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return refuse("reading tar", err)
		}
	}
}

// segment records bytes of the archive that are not file data.
func (u *untarrer) segment(raw []byte) error {
	if len(raw) == 0 {
		return nil
	}
	u.recorded += int64(len(raw))
	return u.record.segment(raw)
}
