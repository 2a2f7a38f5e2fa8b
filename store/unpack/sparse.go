package unpack

import (
	"bytes"
	"io"
	"strconv"
	"strings"

	splittar "github.com/vbatts/tar-split/archive/tar"
)

// A tar-split record has a sparse file by its expanded size and the checksum of
// its expanded contents, and the headers. In those the PAX formats 0.0 and 0.1
// have the map of what the tar really held (GNU tar manual, "Storing Sparse
// Files"): the holes are left out again when the tar is put together. Format 1.0
// has the map among the contents, of which the record has nothing. GNU tar's own
// format, older than those, the library unpacks nowhere.

// span is a part of a sparse file that the tar has.
type span struct{ offset, end int64 }

// holes passes on what is written to it, without the holes of sparse files.
type holes struct {
	out   io.Writer
	file  bool   // what comes are the contents of a sparse file
	spans []span // of that file
	at    int64
}

// Write implements io.Writer.
func (h *holes) Write(p []byte) (int, error) {
	if !h.file {
		return h.out.Write(p)
	}
	all := len(p)
	for len(p) > 0 && len(h.spans) > 0 {
		s := h.spans[0]
		switch {
		case h.at >= s.end:
			h.spans = h.spans[1:]
			continue
		case h.at < s.offset:
			skip := min(s.offset-h.at, int64(len(p)))
			p, h.at = p[skip:], h.at+skip
			continue
		}
		n := min(s.end-h.at, int64(len(p)))
		if _, err := h.out.Write(p[:n]); err != nil {
			return 0, err
		}
		p, h.at = p[n:], h.at+n
	}
	h.at += int64(len(p))
	return all, nil
}

// headers gathers the bytes before the contents of a file.
type headers struct {
	raw     []byte
	padding int64 // of the file before, which raw begins with
	lost    bool  // too long, or behind one that was not understood
}

// maxHeaders bounds the headers of one file that are looked at.
const maxHeaders = 4 << 20

func (h *headers) add(raw []byte) {
	if h.lost = h.lost || len(h.raw)+len(raw) > maxHeaders; !h.lost {
		h.raw = append(h.raw, raw...)
	}
}

// end returns the map of the file that follows, of so many bytes expanded; ok is
// false where it is a sparse file whose map is not there. The next headers begin.
func (h *headers) end(size int64) (spans []span, sparse, ok bool) {
	raw := h.raw[min(h.padding, int64(len(h.raw))):]
	h.raw, h.padding = h.raw[:0], -size&511
	if h.lost || !bytes.Contains(raw, []byte("GNU.sparse.")) {
		return nil, false, true
	}
	if spans, sparse = mapOf(raw); !sparse {
		// One whose map the record lacks, or none: its name may look like it.
		h.lost = bytes.Contains(raw, []byte("GNU.sparse.major=1"))
		return nil, false, !h.lost
	}
	var held int64
	for _, s := range spans {
		held += s.end - s.offset
	}
	h.padding = -held & 511
	return spans, true, true
}

// mapOf reads the map of a sparse file from its headers.
func mapOf(raw []byte) ([]span, bool) {
	hdr, err := splittar.NewReader(bytes.NewReader(raw)).Next()
	if err != nil {
		return nil, false
	}
	return spansOf(hdr.PAXRecords["GNU.sparse.map"])
}

// spansOf reads a map of the formats 0.0 and 0.1: offsets and lengths, in their
// order.
func spansOf(text string) ([]span, bool) {
	spans, end := []span{}, int64(0)
	for more := true; more; {
		var first, second string
		first, text, _ = strings.Cut(text, ",")
		second, text, more = strings.Cut(text, ",")
		offset, err := strconv.ParseInt(first, 10, 64)
		length, lengthErr := strconv.ParseInt(second, 10, 64)
		if err != nil || lengthErr != nil || offset < end || length < 0 || offset+length < offset {
			return nil, false
		}
		end = offset + length
		spans = append(spans, span{offset, end})
	}
	return spans, true
}
