package registry

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"go.podman.io/image/v5/pkg/docker/config"
	"go.podman.io/image/v5/types"
)

func TestEditKeepsLinksAndUnknownKeys(t *testing.T) {
	bin := t.TempDir()
	if err := os.WriteFile(filepath.Join(bin, "docker-credential-none"), []byte("#!/bin/sh\n"), 0o700); err != nil { //nolint:gosec // a program
		t.Fatal(err)
	}
	t.Setenv("PATH", bin+":"+os.Getenv("PATH"))
	for _, compat := range []bool{false, true} {
		dir := t.TempDir()
		target, link := filepath.Join(dir, "target.json"), filepath.Join(dir, "auth.json")
		const before = `{"theme":{"dark":true},"auths":{"a.example":{"auth":"dTpw","email":"x@example"},"b.example":{"auth":"dTpw","email":"y"}},"credHelpers":{"c.example":"none"}}`
		if err := os.WriteFile(target, []byte(before), 0o640); err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink("target.json", link); err != nil {
			t.Fatal(err)
		}
		a := &Account{Registry: "b.example", sys: &types.SystemContext{AuthFilePath: link}}
		if compat {
			a.sys = &types.SystemContext{DockerCompatAuthFilePath: link}
		}
		if err := a.edit(t.Context(), func(sys *types.SystemContext) error {
			_, err := config.SetCredentials(sys, a.Registry, "user", "new")
			return err
		}); err != nil {
			t.Fatal(err)
		}
		if to, err := os.Readlink(link); err != nil || to != "target.json" {
			t.Errorf("the link leads to %q (%v)", to, err)
		}
		if info, err := os.Stat(target); err != nil || info.Mode().Perm() != 0o640 {
			t.Errorf("mode %v (%v)", info.Mode(), err)
		}
		data, err := os.ReadFile(target)
		if err != nil {
			t.Fatal(err)
		}
		var got struct {
			Theme       map[string]bool
			Auths       map[string]map[string]string
			CredHelpers map[string]string
		}
		if err := json.Unmarshal(data, &got); err != nil {
			t.Fatal(err)
		}
		if !got.Theme["dark"] || got.Auths["a.example"]["email"] != "x@example" || got.CredHelpers["c.example"] != "none" || got.Auths["b.example"]["auth"] != "dXNlcjpuZXc=" {
			t.Errorf("compat %v: the file holds %s", compat, data)
		}
		entries, err := os.ReadDir(dir)
		if err != nil || len(entries) != 2 {
			t.Errorf("left: %v (%v)", entries, err)
		}
		if compat {
			continue
		}
		if err := a.LogoutAll(t.Context()); err != nil {
			t.Fatal(err)
		}
		if data, err = os.ReadFile(target); err != nil || !strings.Contains(string(data), "dark") || strings.Contains(string(data), "example") {
			t.Errorf("after logout --all: %s (%v)", data, err)
		}
	}
}
