package registry

import (
	"strings"
	"testing"
)

func TestAccountKey(t *testing.T) {
	for in, want := range map[string]string{
		"quay.io": "quay.io", "https://quay.io/": "quay.io", "docker://quay.io/team": "quay.io/team", "localhost": "localhost",
		"127.0.0.1:5000": "127.0.0.1:5000", "docker.io": "docker.io", "quay.io/team/app": "quay.io/team/app", "": "",
	} {
		if got, err := accountKey(in); err != nil || got != want {
			t.Errorf("%q: %q, %v, not %q", in, got, err, want)
		}
	}
	for _, in := range []string{"alpine", "quay.io/team:1", "quay.io/team@sha256:" + strings.Repeat("a", 64), "quay.io /x", "user@quay.io", "-x.y", "quay.io/\x1b[31m"} {
		if got, err := accountKey(in); err == nil {
			t.Errorf("%q was taken, as %q", in, got)
		}
	}
}

func FuzzAccountKey(f *testing.F) {
	for _, s := range []string{"quay.io", "https://a.b/c", "[::1]:5", "a:b@c", ""} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		key, err := accountKey(s)
		if err != nil || key == "" {
			return
		}
		if again, err := accountKey(key); err != nil || again != key {
			t.Fatalf("%q became %q, and that %q, %v", s, key, again, err)
		}
		if strings.ContainsAny(key, " \t\n\x1b@") {
			t.Fatalf("%q became %q", s, key)
		}
	})
}
