package preflight

import (
	"bytes"
	"strings"
)

// parseScript finds the interpreter in a #! line, as load_script of
// fs/binfmt_script.c does since Linux 5.1. head holds the first 256 bytes of
// the file, padded with zeros. Spaces and tabs around the name do not count, a
// carriage return does. A line that does not end within the head is taken only
// when the name does; a line without a name is no script.
func parseScript(head []byte) (interpreter string, ok bool) {
	if len(head) < headSize || head[0] != '#' || head[1] != '!' {
		return "", false
	}
	const blanks, ends = " \t", " \t\x00"
	line, _, whole := bytes.Cut(head[2:headSize], []byte("\n"))
	if !whole {
		if !bytes.ContainsAny(bytes.TrimLeft(line, blanks), ends) {
			return "", false
		}
		line = line[:len(line)-1]
	}
	name := bytes.Trim(line, blanks)
	if len(name) == 0 {
		return "", false
	}
	if end := bytes.IndexAny(name, ends); end >= 0 {
		name = name[:end]
	}
	return string(name), true
}

// envProgram is the program that env looks for when a #! line starts it: "" where
// that is told by options other than -S.
func envProgram(head []byte) string {
	line, _, _ := bytes.Cut(head, []byte("\n"))
	for i, word := range strings.Fields(strings.TrimRight(string(line), "\x00")) {
		switch {
		case i == 0, i == 1 && bytes.HasPrefix(line, []byte("#! ")), word == "-S", strings.Contains(word, "="):
		case word[0] == '-' || strings.ContainsAny(word, "$\\\"'"):
			return ""
		default:
			return word
		}
	}
	return ""
}

// returns reports whether a #! line ends with a carriage return: as part of the
// interpreter's name, or of what is handed to it.
func returns(head []byte) bool {
	line, _, ok := bytes.Cut(head, []byte("\n"))
	return ok && bytes.HasSuffix(line, []byte("\r"))
}
