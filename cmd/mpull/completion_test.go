package main

import (
	"bytes"
	"os"
	"strings"
	"testing"
)

func TestPrintCompletion(t *testing.T) {
	for shell, file := range map[string]string{"bash": "mpull.bash", "zsh": "_mpull", "fish": "mpull.fish"} {
		var out bytes.Buffer
		if err := printCompletion(&streams{rawOut: &out}, shell); err != nil {
			t.Fatal(err)
		}
		installed, err := os.ReadFile("../../contrib/completions/" + file)
		if err != nil || out.String() != string(installed) {
			t.Errorf("mpull completion %s is not what is installed (%v)", shell, err)
		}
	}
	var out bytes.Buffer
	if err := printCompletion(&streams{rawOut: &out}, "tcsh"); err == nil || out.Len() > 0 {
		t.Errorf("a shell without completion: %v, %q", err, &out)
	}
}

// TestCompletesWhatACommandTakes holds that each command that offers words
// offers those it takes.
func TestCompletesWhatACommandTakes(t *testing.T) {
	for _, tt := range []struct{ line, want, not string }{
		{"image ", "prune rm ls", "xyz"},
		{"completion ", "bash zsh fish", "alpine"},
		{"prune --filter ", "until= dangling=true", "xyz"},
		{"prune --protect-file ", ":files", "xyz"},
		{"prune ", "", "bash"},
		{"help ", "prune all", "xyz"},
	} {
		var out bytes.Buffer
		s := &streams{in: strings.NewReader(""), out: escaper{&out}, err: escaper{&out}, rawOut: &out, rawErr: &out}
		run(t.Context(), append([]string{"mpull", completeName}, strings.Split(tt.line, " ")...), s)
		for _, want := range strings.Fields(tt.want) {
			if !strings.Contains("\n"+out.String(), "\n"+want) {
				t.Errorf("mpull %s<TAB> does not offer %s:\n%s", tt.line, want, &out)
			}
		}
		if strings.Contains(out.String(), tt.not) {
			t.Errorf("mpull %s<TAB> offers %s:\n%s", tt.line, tt.not, &out)
		}
	}
}
