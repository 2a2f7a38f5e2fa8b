package main

import (
	"bytes"
	"encoding/json"
	"reflect"
	"strings"
	"testing"
	"unicode/utf8"
)

// FuzzPrintPodmanJSON: what is printed holds nothing that steers a terminal, and is
// read as the same value.
func FuzzPrintPodmanJSON(f *testing.F) {
	for _, s := range []string{"plain", "\x1b[31m", "\u009b2J", "\u202e", "\U000e0041", "\u2028<&>", "\xff\xfe", "a\x7fb", "\U0001F433"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		var b bytes.Buffer
		if err := printPodmanJSON(&b, []string{s}); err != nil {
			t.Fatal(err)
		}
		for _, r := range b.String() {
			if steers(r) && r != '\n' {
				t.Errorf("%q is printed with %U", s, r)
			}
		}
		var got []string
		if err := json.Unmarshal(b.Bytes(), &got); err != nil {
			t.Fatalf("%q is printed as %q: %v", s, b.String(), err)
		}
		if want := []string{strings.ToValidUTF8(s, "\ufffd")}; utf8.ValidString(s) && !reflect.DeepEqual(got, want) {
			t.Errorf("%q is read back as %q", s, got)
		}
	})
}

func TestPrintTemplate(t *testing.T) {
	row := struct {
		Name string
		List []string
	}{"ab\u202e", []string{"x", "y"}}
	for _, c := range []struct{ format, want string }{
		{"{{.Name}}", "ab\u202e\n"}, // the stream escapes it
		{"{{json .Name}}", "\"ab\\u202e\"\n"},
		{"table {{upper .Name | printf \"%.2s\"}}\\t{{join .List \",\"}}", "NAME  LIST\nAB    x,y\n"},
		{"{{println .List}}{{title \"abc\"}} {{lower \"ABC\"}}", "[x y]\nAbc abc\n"},
		{"{{pad \"a\" 1 2}}|{{truncate \"abcdef\" 3}}|{{index (split \"a,b\" \",\") 1}}", " a  |abc|b\n"},
	} {
		var b bytes.Buffer
		if err := printTemplate(&b, c.format, []any{row}, true); err != nil || b.String() != c.want {
			t.Errorf("%s: %q, want %q (%v)", c.format, b.String(), c.want, err)
		}
	}
	for _, bad := range []string{"{{", "{{.Nope}}", "{{nofunc .Name}}"} {
		if err := printTemplate(&bytes.Buffer{}, bad, []any{row}, true); err == nil {
			t.Errorf("%s is accepted", bad)
		}
	}
}

func TestPodmanFields(t *testing.T) {
	for in, want := range map[string]string{
		"{{.Id}}": "{{.ID}}", "{{ .Id }} {{.Idle}}": "{{ .ID }} {{.Idle}}", "{{.Config.Healthcheck}}": "{{.HealthCheck}}",
	} {
		if got := podmanFields(in); got != want {
			t.Errorf("%s: %s, want %s", in, got, want)
		}
	}
}
