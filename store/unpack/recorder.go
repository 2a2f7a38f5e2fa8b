package unpack

import (
	"encoding/base64"
	"encoding/json"
	"io"
	"path"
	"strconv"
	"unicode/utf8"

	splitstorage "github.com/vbatts/tar-split/tar/storage"
)

// recorder writes a tar-split record, line by line what tar-split's own packer
// writes (its tar/storage/packer.go), without the detour of encoding/json: that
// was a twentieth of a big pull.
type recorder struct {
	out      io.Writer
	line     []byte
	seen     map[string]struct{}
	position int
}

// segment adds bytes of the archive that are no file's contents.
func (r *recorder) segment(raw []byte) error {
	r.line = append(r.line[:0], `{"type":2,"payload":`...)
	return r.end(raw)
}

// file adds a file, whose contents have the checksum, nil where there are none.
func (r *recorder) file(name string, size int64, sum []byte) error {
	clean := path.Clean(name)
	if _, twice := r.seen[clean]; twice {
		return splitstorage.ErrDuplicatePath
	}
	r.seen[clean] = struct{}{}
	r.line = append(r.line[:0], `{"type":1`...)
	switch {
	case name == "":
	case utf8.ValidString(name):
		quoted, err := quote(name)
		if err != nil {
			return err
		}
		r.line = append(append(r.line, `,"name":`...), quoted...)
	default:
		r.line = r.encode(append(r.line, `,"name_raw":`...), []byte(name))
	}
	if size != 0 {
		r.line = strconv.AppendInt(append(r.line, `,"size":`...), size, 10)
	}
	r.line = append(r.line, `,"payload":`...)
	return r.end(sum)
}

// quote is a name as JSON has it.
func quote(name string) (string, error) {
	for _, c := range []byte(name) {
		if c < ' ' || c > '~' || c == '"' || c == '\\' || c == '<' || c == '>' || c == '&' {
			quoted, err := json.Marshal(name)
			return string(quoted), err
		}
	}
	return `"` + name + `"`, nil
}

func (r *recorder) encode(to, data []byte) []byte {
	return append(base64.StdEncoding.AppendEncode(append(to, '"'), data), '"')
}

// end ends an entry with its payload.
func (r *recorder) end(payload []byte) error {
	if payload == nil {
		r.line = append(r.line, "null"...)
	} else {
		r.line = r.encode(r.line, payload)
	}
	r.line = append(strconv.AppendInt(append(r.line, `,"position":`...), int64(r.position), 10), "}\n"...)
	r.position++
	_, err := r.out.Write(r.line)
	return err
}
