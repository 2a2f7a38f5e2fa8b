package engine

import (
	"encoding/json"
	"strings"
	"testing"

	imgspecv1 "github.com/opencontainers/image-spec/specs-go/v1"
)

// TestCommandAsString checks that a config whose command is a string is told
// from one that cannot be read at all.
func TestCommandAsString(t *testing.T) {
	for blob, want := range map[string]string{
		`{"config":{"Entrypoint":"/app --flag"}}`:                  `Entrypoint ["/app","--flag"]`,
		`{"config":{"Cmd":"/app","Entrypoint":["/x"],"User":"7"}}`: `Cmd ["/app"]`,
		`{"config":{"Entrypoint":7}}`:                              "",
		`{"config":{"Env":"A=1"}}`:                                 "",
		`{"config":`:                                               "",
	} {
		var config imgspecv1.Image
		err := json.Unmarshal([]byte(blob), &config)
		if oneString(err) != (want != "") {
			t.Errorf("%s: %v", blob, err)
			continue
		}
		if want == "" {
			continue
		}
		if why, hint := notLists([]byte(blob)); !strings.Contains(why, "no list") || !strings.Contains(hint, want) {
			t.Errorf("%s: %q, %q", blob, why, hint)
		}
	}
}
