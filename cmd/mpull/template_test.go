package main

import (
	"bytes"
	"strings"
	"testing"

	"github.com/mpull/mpull/engine"
)

func TestWrongFields(t *testing.T) {
	for format, want := range map[string]string{
		"{{.Repostory}}":                       `there is no field "Repostory"; did you mean .Repository?`,
		"{{.id}}":                              "did you mean .Id?",
		"{{if .Native}}{{.Nam}}{{end}}":        "did you mean .Names?",
		"{{range .Displaced}}{{.Naem}}{{end}}": "did you mean .Name?",
		"{{with .Labels}}{{.a}}{{end}}{{.X}}":  `there is no field "X"`,
		"{{.ID.Short}}":                        "in a text",
		"{{.Names.First}}":                     "use range",
		"{{json .Nosuchthing}}":                "there are ",
		"{{range .Names}}{{$.Tga}}{{end}}":     "did you mean .Tag?",
		"table {{.ID}}\\t{{.Dangeling}}":       "did you mean .Dangling?",
		"{{":                                   "--format",
	} {
		if err := checkFormat[templateRow](format); err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "main.") {
			t.Errorf("%s: %v, want %s", format, err, want)
		}
	}
	for _, good := range []string{
		"", "json", "{{ json . }}", "{{.Labels.any}}", "{{range $i, $n := .Names}}{{$n}}{{end}}", "{{len .Names}} {{.CreatedAt}}",
		"{{range .}}{{.Os}}{{end}}", "{{(index .Displaced 0).By.ID}}",
	} {
		if err := checkFormat[templateRow](good); err != nil {
			t.Errorf("%s: %v", good, err)
		}
	}
}

func TestTableLayout(t *testing.T) {
	rows := []templateRow{{ID: "0123456789ab", ListedImage: engine.ListedImage{Repository: "a", Tag: "1"}}, {ID: "0123456789ac", ListedImage: engine.ListedImage{Repository: "long/name"}}}
	var b bytes.Buffer
	if err := printTemplate(&b, "table {{.ID}} {{.Repository}}:{{.Tag}}\\t{{.CreatedAt}}{{.CreatedSince}}", rows, true); err != nil {
		t.Fatal(err)
	}
	want := "IMAGE ID      REPOSITORY:TAG  CREATED ATCREATED\n0123456789ab  a:1             \n0123456789ac  long/name:      \n"
	if b.String() != want {
		t.Errorf("%q, want %q", b.String(), want)
	}
	b.Reset()
	if err := printTemplate(&b, "{{range .}}{{.Repository}}\\n{{end}}", rows, true); err != nil || b.String() != "a\nlong/name\n" {
		t.Errorf("%q, %v", b.String(), err)
	}
	b.Reset()
	if err := printTemplate(&b, "{{index .Names 0}}", append(rows, templateRow{}), true); err == nil || b.Len() > 0 {
		t.Errorf("a row that cannot be printed: %q, %v", b.String(), err)
	}
}
