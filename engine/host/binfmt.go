package host

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// headSize is BINPRM_BUF_SIZE of include/uapi/linux/binfmts.h: the kernel
// decides from the first 256 bytes of a file, padded with zeros.
const headSize = 256

// Binfmt is the state of the kernel's binfmt_misc: programs registered to
// start files that the kernel itself does not know.
type Binfmt struct {
	// Enabled is the switch for all handlers. It is false as well when
	// binfmt_misc is not there.
	Enabled bool `json:"enabled"`
	// Handlers are in the order in which the kernel asks them: the one
	// registered last comes first.
	Handlers []Handler `json:"handlers,omitempty"`
	// Unread says why handlers could not be read; empty when they were. With
	// it, a file that no other rule starts cannot be judged.
	Unread string `json:"unread,omitempty"`
	// Hidden says that there are handlers that were not to be seen where the
	// facts were read, and that the kernel is not here to be asked. A container
	// does not see the host's handlers, which take its files all the same.
	Hidden bool `json:"hidden,omitempty"`
}

// Handler is one entry of binfmt_misc.
type Handler struct {
	Name        string `json:"name"`
	Enabled     bool   `json:"enabled"`
	Interpreter string `json:"interpreter"`
	// Flags are the letters the kernel shows: P keep argv[0], O pass the
	// file open, C credentials of the file, F interpreter opened when the
	// handler was registered.
	Flags string `json:"flags,omitempty"`
	// Extension, without the dot, makes the handler match names.
	Extension string `json:"extension,omitempty"`
	// Offset, Magic and Mask make it match bytes. A nil Mask means all bits.
	Offset int      `json:"offset,omitempty"`
	Magic  HexBytes `json:"magic,omitempty"`
	Mask   HexBytes `json:"mask,omitempty"`
	// Opened holds what is known of the interpreter of a handler with flag F:
	// the kernel starts that open file, wherever it came from. Nil means
	// that its content is not known.
	Opened *OpenedFile `json:"opened,omitempty"`
	// Unsure says why it is not known what the handler starts; "" when it is.
	Unsure  string `json:"-"`
	started string // path of what the kernel started for it when it was asked
}

// OpenedFile is the beginning of a file that the kernel holds open.
type OpenedFile struct {
	Size int64  `json:"size"` // of the whole file, in bytes
	Head []byte `json:"head"` // its first bytes, at most 4096
}

// HexBytes is a byte string that is hexadecimal in JSON, as the kernel shows it.
type HexBytes []byte

// MarshalText writes the bytes in hexadecimal.
func (b HexBytes) MarshalText() ([]byte, error) { return []byte(hex.EncodeToString(b)), nil }

// UnmarshalText reads hexadecimal digits.
func (b *HexBytes) UnmarshalText(text []byte) error {
	d, err := hex.DecodeString(string(text))
	*b = d
	return err
}

// Has reports whether the handler carries the flag ('P', 'O', 'C' or 'F').
func (e Handler) Has(flag byte) bool { return strings.IndexByte(e.Flags, flag) >= 0 }

// InAnyImage reports whether what the handler starts is there in any image: it
// is held open (flag F), and as far as that is known asks for no loader, which
// the kernel would look for in the image.
func (e Handler) InAnyImage() bool {
	return e.Has('F') && (e.Opened == nil || !asksForLoader(e.Opened.Head))
}

// asksForLoader reports whether the beginning of a program has a PT_INTERP.
func asksForLoader(head []byte) bool {
	_, interp, whole := programHeaders(head)
	return whole && interp
}

// Match returns the first enabled handler that takes a file with this head (as
// many of its first 256 bytes as there are) started by the name path. It is
// search_binfmt_handler of fs/binfmt_misc.c.
func (b Binfmt) Match(head []byte, path string) (Handler, bool) {
	if !b.Enabled {
		return Handler{}, false
	}
	var buf [headSize]byte
	copy(buf[:], head)
	for _, e := range b.Handlers {
		if e.Enabled && e.matches(&buf, path) {
			return e, true
		}
	}
	return Handler{}, false
}

func (e Handler) matches(buf *[headSize]byte, path string) bool {
	if e.validate() != nil {
		return false
	}
	if len(e.Magic) == 0 {
		dot := strings.LastIndexByte(path, '.')
		return dot >= 0 && path[dot+1:] == e.Extension
	}
	for i, m := range e.Magic {
		diff := buf[e.Offset+i] ^ m
		if e.Mask != nil {
			diff &= e.Mask[i]
		}
		if diff != 0 {
			return false
		}
	}
	return true
}

// validate applies the rules of create_entry in fs/binfmt_misc.c.
func (e Handler) validate() error {
	switch {
	case e.Name == "" || len(e.Name) > 255:
		return errors.New("no usable name")
	case e.Interpreter == "" || len(e.Interpreter) > 4096 || strings.IndexByte(e.Interpreter, 0) >= 0:
		return errors.New("no usable interpreter")
	case strings.Trim(e.Flags, "POCF") != "" || len(e.Flags) > 4:
		return fmt.Errorf("unknown flags %q", e.Flags)
	case (len(e.Magic) == 0) == (e.Extension == ""):
		return errors.New("needs either magic or extension")
	case len(e.Extension) > 255:
		return errors.New("extension too long")
	case e.Offset < 0 || len(e.Magic) > headSize || e.Offset > headSize-len(e.Magic):
		return fmt.Errorf("magic does not fit the first %d bytes", headSize)
	case e.Mask != nil && len(e.Mask) != len(e.Magic):
		return errors.New("mask and magic differ in length")
	case e.Opened != nil && len(e.Opened.Head) > maxOpenedHead:
		return fmt.Errorf("opened file has more than %d bytes", maxOpenedHead)
	}
	return nil
}

// maxOpenedHead bounds what is kept of an interpreter that the kernel holds open.
const maxOpenedHead = 4096

// parseHandler reads the text of one file below /proc/sys/fs/binfmt_misc, as
// entry_status of fs/binfmt_misc.c writes it. name is the name of that file.
func parseHandler(name string, text []byte) (Handler, error) {
	e := Handler{Name: name}
	for i, line := range bytes.Split(bytes.TrimSuffix(text, []byte("\n")), []byte("\n")) {
		if err := e.parseLine(i, string(line)); err != nil {
			return Handler{}, fmt.Errorf("reading binfmt handler %q: %w", name, err)
		}
	}
	if err := e.validate(); err != nil {
		return Handler{}, fmt.Errorf("reading binfmt handler %q: %w", name, err)
	}
	return e, nil
}

func (e *Handler) parseLine(n int, line string) error {
	if n == 0 {
		e.Enabled = line == "enabled"
		if !e.Enabled && line != "disabled" {
			return fmt.Errorf("first line is neither enabled nor disabled")
		}
		return nil
	}
	key, value, _ := strings.Cut(line, " ")
	var err error
	switch key {
	case "interpreter":
		e.Interpreter = value
	case "flags:":
		e.Flags = value
	case "offset":
		e.Offset, err = strconv.Atoi(value)
	case "magic":
		err = e.Magic.UnmarshalText([]byte(value))
	case "mask":
		err = e.Mask.UnmarshalText([]byte(value))
	case "extension":
		e.Extension = strings.TrimPrefix(value, ".")
	default:
		err = fmt.Errorf("unknown line %q", line)
	}
	return err
}
