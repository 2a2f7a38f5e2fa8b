package registry

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/opencontainers/go-digest"
	"go.podman.io/image/v5/types"
)

const conf = `unqualified-search-registries = ["one.test", "two.test"]
short-name-mode = "enforcing"
[aliases]
"short" = "three.test/long/name"
[[registry]]
prefix = "blocked.test"
location = "127.0.0.1:1/elsewhere"
blocked = true
`

func testContext(t *testing.T, conf string) *types.SystemContext {
	t.Helper()
	path := filepath.Join(t.TempDir(), "registries.conf")
	if err := os.WriteFile(path, []byte(conf), 0o600); err != nil {
		t.Fatal(err)
	}
	sys, err := Options{RegistriesConf: path}.SystemContext()
	if err != nil {
		t.Fatal(err)
	}
	return sys
}

func TestResolve(t *testing.T) {
	sys := testContext(t, conf)
	d := digest.FromString("manifest").String()
	for _, tt := range []struct{ in, name string }{
		{"docker.io/library/alpine:3.15", "docker.io/library/alpine:3.15"},
		{"docker.io/alpine", "docker.io/library/alpine:latest"},
		{"docker://one.test/a:1", "one.test/a:1"},
		{"host.test:5000/a/b@" + d, "host.test:5000/a/b@" + d},
		{"host.test:5000/a/b:tag@" + d, "host.test:5000/a/b@" + d},
		{"localhost/x", "localhost/x:latest"},
		{"short:7", "three.test/long/name:7"},
		{"oci:/tmp/dir:name:2", "localhost/name:2"},
		{"oci:/tmp/dir:docker.io/library/x:2", "docker.io/library/x:2"},
		{"docker-archive:/tmp/none.tar:quay.test/a:1", "quay.test/a:1"},
		{"oci:/tmp/dir", ""},
		{"dir:/tmp/dir", ""},
		{"oci-archive:/tmp/none.tar", ""},
	} {
		sources, err := Resolve(sys, tt.in)
		if err != nil || len(sources) != 1 {
			t.Errorf("Resolve(%q) = %v, %v", tt.in, sources, err)
			continue
		}
		got := ""
		if sources[0].Name != nil {
			got = sources[0].Name.String()
		}
		if got != tt.name {
			t.Errorf("Resolve(%q) names it %q, want %q", tt.in, got, tt.name)
		}
	}
}

func TestResolveRefuses(t *testing.T) {
	sys := testContext(t, conf)
	for _, in := range []string{"", "UPPER", "a b", "a:b:c", "x@sha256:abc", "docker://", "containers-storage:x", "nosuchtransport:\x00", "-x", "a@" + digest.FromString("x").String() + "@x"} {
		if got, err := Resolve(sys, in); err == nil {
			t.Errorf("Resolve(%q) = %v", in, got)
		}
	}
	var short *ShortNameError
	_, err := Resolve(sys, "unheard-of:1") // no terminal in tests
	if !errors.As(err, &short) || !slices.Equal(short.Candidates, []string{"one.test/unheard-of:1", "two.test/unheard-of:1"}) {
		t.Errorf("an ambiguous short name: %v", err)
	}
	_, err = Resolve(testContext(t, "unqualified-search-registries = []\n"), "unheard-of")
	if err == nil || !strings.Contains(err.Error(), "write the full name") {
		t.Errorf("a short name without registries: %v", err)
	}
}

func TestLocalNames(t *testing.T) {
	got, err := LocalNames(testContext(t, conf), "tool:1")
	if err != nil || !slices.Equal(got[:3], []string{"localhost/tool:1", "one.test/tool:1", "two.test/tool:1"}) {
		t.Errorf("LocalNames = %v, %v", got, err)
	}
}

// TestBlocked: the name that the user wrote counts, not where it leads.
func TestBlocked(t *testing.T) {
	sys := testContext(t, conf)
	sources, err := Resolve(sys, "blocked.test/a:1")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Open(t.Context(), sys, sources[0].Ref); err == nil || !strings.Contains(err.Error(), "blocked.test is blocked in") {
		t.Errorf("Open of a blocked name: %v", err)
	}
}

func TestAuthFile(t *testing.T) {
	file := filepath.Join(t.TempDir(), "auth.json")
	t.Setenv("REGISTRY_AUTH_FILE", file)
	for o, want := range map[Options]string{{}: file, {AuthFile: "/x.json"}: "/x.json"} {
		sys, err := o.SystemContext()
		if err != nil || sys.AuthFilePath != want {
			t.Errorf("%+v: auth file %q, %v", o, sys.AuthFilePath, err)
		}
		if err := o.CheckAuthFile(); err == nil {
			t.Errorf("%+v: a file that is not there is no error", o)
		}
	}
	if err := os.WriteFile(file, []byte("{}"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := (Options{}).CheckAuthFile(); err != nil {
		t.Error(err)
	}
}

func FuzzResolve(f *testing.F) {
	path := filepath.Join(f.TempDir(), "registries.conf")
	if err := os.WriteFile(path, []byte(conf), 0o600); err != nil {
		f.Fatal(err)
	}
	for _, s := range []string{"alpine", "a.test/b:1", "x@sha256:", "oci:a:b", "docker://", "containers-storage:x"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, in string) {
		sources, err := Resolve(&types.SystemContext{SystemRegistriesConfPath: path}, in)
		if err == nil && len(sources) == 0 {
			t.Errorf("Resolve(%q) gives neither a source nor an error", in)
		}
	})
}
