//go:build linux

package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"text/template"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"
)

// printJSON prints v as indented JSON, which stays JSON whatever its strings
// hold: what could steer a terminal is written as \u escapes.
func printJSON(w io.Writer, v any) error {
	b, err := json.MarshalIndent(v, "", "    ")
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(w, "%s\n", plainJSON(b))
	return err
}

// printPodmanJSON prints v as podman inspect does: indented by five, and with
// <, > and & as they are.
func printPodmanJSON(w io.Writer, v any) error {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "     ")
	if err := enc.Encode(v); err != nil {
		return err
	}
	_, err := w.Write(plainJSON(b.Bytes()))
	return err
}

// plainJSON writes every character of JSON strings that could steer a terminal
// as a \u escape, which means the same. Invalid UTF-8 becomes U+FFFD, as every
// reader of JSON takes it.
func plainJSON(b []byte) []byte {
	var out bytes.Buffer
	out.Grow(len(b))
	for len(b) > 0 {
		r, n := utf8.DecodeRune(b)
		switch {
		case r == utf8.RuneError && n == 1:
			out.WriteString(`\ufffd`)
		case r < ' ' || !steers(r):
			out.Write(b[:n])
		case r > 0xffff:
			high, low := utf16.EncodeRune(r)
			fmt.Fprintf(&out, `\u%04x\u%04x`, high, low)
		default:
			fmt.Fprintf(&out, `\u%04x`, r)
		}
		b = b[n:]
	}
	return out.Bytes()
}

// show prints what a command found as its --format says: all of it as JSON, each
// row by a template, or, without a --format, what text prints.
func show[T any](w io.Writer, format string, all any, rows []T, text func()) error {
	switch {
	case isJSON(format):
		return printJSON(w, all)
	case format != "":
		return printTemplate(w, format, rows, true)
	}
	text()
	return nil
}

// showOne is show for what is one document.
func showOne[T any](w io.Writer, format string, document T, text func()) error {
	return show(w, format, document, []T{document}, text)
}

// printRaw prints a document byte for byte; a terminal gets it escaped.
func (s *streams) printRaw(document []byte) error {
	w := s.rawOut
	if s.outTerminal {
		w = s.out
	}
	_, err := w.Write(document)
	return err
}

// isJSON tells whether --format asks for JSON, by podman's spellings.
func isJSON(format string) bool {
	inner, ok := strings.CutPrefix(strings.ReplaceAll(format, " ", ""), "{{")
	return format == "json" || ok && inner == "json.}}"
}

// templateFuncs are the functions that podman and skopeo have in --format,
// beside those of text/template.
func templateFuncs() template.FuncMap {
	return template.FuncMap{
		"json": func(v any) (string, error) {
			b, err := json.Marshal(v)
			return string(plainJSON(b)), err
		},
		"join":  strings.Join,
		"split": strings.Split,
		"upper": strings.ToUpper,
		"lower": strings.ToLower,
		"title": func(s string) string {
			r, n := utf8.DecodeRuneInString(s)
			return string(unicode.ToUpper(r)) + s[n:]
		},
		"pad": func(s string, prefix, suffix int) string {
			const most = 1000
			return strings.Repeat(" ", min(max(prefix, 0), most)) + s + strings.Repeat(" ", min(max(suffix, 0), most))
		},
		"truncate": func(s string, length int) string {
			if length >= 0 && len(s) > length {
				return s[:length]
			}
			return s
		},
	}
}
