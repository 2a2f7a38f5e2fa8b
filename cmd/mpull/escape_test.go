package main

import (
	"bytes"
	"strings"
	"testing"
	"unicode/utf8"
)

func TestEscape(t *testing.T) {
	for _, tt := range []struct{ in, want string }{
		{"docker.io/library/alpine:3.15", "docker.io/library/alpine:3.15"},
		{"\x1b]0;pwn\a", `\x1b]0;pwn\x07`},
		{"a\nb\tc\rd", `a\nb\tc\rd`},
		{"\u009b31m", `\x9b31m`},
		{"\x9b31m", `\x9b31m`},
		{"\x7f", `\x7f`},
		{"evil\u202egnp.exe", `evil\u202egnp.exe`},
		{"\u2066x\u2069", `\u2066x\u2069`},
		{"\u2028\u2029\ufeff\u200b", `\u2028\u2029\ufeff\u200b`},
		{"\U000e0041", `\U000e0041`},
		{"größer 日本語 🐳", "größer 日本語 🐳"},
		{"\xff\xfe", `\xff\xfe`},
		{"", ""},
	} {
		if got := escape(tt.in); got != tt.want {
			t.Errorf("escape(%q) = %q, want %q", tt.in, got, tt.want)
		}
	}
}

func FuzzEscape(f *testing.F) {
	f.Add("plain")
	f.Add("\x1b[31m\u009b\u202e\xff")
	f.Fuzz(func(t *testing.T, s string) {
		var b bytes.Buffer
		if n, err := (escaper{&b}).Write([]byte(s)); n != len(s) || err != nil {
			t.Fatalf("Write = %d, %v", n, err)
		}
		safe(t, b.String(), "\n\t")
		safe(t, escape(s), "")
		safe(t, oneLine(s), "")
	})
}

// safe checks each character against the list that may steer a terminal,
// written another way than the code has it.
func safe(t *testing.T, s, keep string) {
	t.Helper()
	if !utf8.ValidString(s) {
		t.Errorf("%q is no UTF-8", s)
	}
	for _, r := range s {
		if strings.ContainsRune(keep, r) {
			continue
		}
		if r < 0x20 || r == 0x7f || r >= 0x80 && r < 0xa0 || strings.ContainsRune("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\u2028\u2029\u061c\u200e\u200f", r) {
			t.Errorf("%q has %U", s, r)
		}
	}
}
