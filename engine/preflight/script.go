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
	head = head[:headSize]
	end := bytes.IndexByte(head, '\n')
	if end < 0 {
		name := skip(head[2:], blank)
		if len(name) == 0 || len(skip(name, func(c byte) bool { return !ends(c) })) == 0 {
			return "", false
		}
		end = headSize - 1
	}
	line := head[2:end]
	for len(line) > 0 && blank(line[len(line)-1]) {
		line = line[:len(line)-1]
	}
	name := skip(line, blank)
	if len(name) == 0 {
		return "", false
	}
	rest := skip(name, func(c byte) bool { return !ends(c) })
	return string(name[:len(name)-len(rest)]), true
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

func blank(c byte) bool { return c == ' ' || c == '\t' }

func ends(c byte) bool { return blank(c) || c == 0 }

// skip drops leading bytes while drop says so.
func skip(b []byte, drop func(byte) bool) []byte {
	for len(b) > 0 && drop(b[0]) {
		b = b[1:]
	}
	return b
}
