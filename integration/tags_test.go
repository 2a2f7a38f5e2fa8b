package integration

import (
	"os"
	"strings"
	"testing"
)

// TestBuildTagsAgree holds the files that name the build tags, one for each
// kind of reader, against each other.
func TestBuildTagsAgree(t *testing.T) {
	tags := []string{"containers_image_openpgp", "exclude_graphdriver_btrfs", "containers_image_docker_daemon_stub", "urfave_cli_no_docs"}
	for file, form := range map[string]string{
		"../.envrc":                "export GOFLAGS=-tags=" + strings.Join(tags, ",") + "\n",
		"../.vscode/settings.json": "-tags=" + strings.Join(tags, ",") + `"`,
		"../.golangci.yml":         "    - " + strings.Join(tags, "\n    - ") + "\n",
		"../Makefile":              "include .envrc\n",
	} {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Error(err)
			continue
		}
		if !strings.Contains(string(text), form) {
			t.Errorf("%s does not have %q", strings.TrimPrefix(file, "../"), form)
		}
	}
}
