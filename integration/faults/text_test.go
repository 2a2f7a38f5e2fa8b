package faults

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-containerregistry/pkg/v1/mutate"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"go.podman.io/storage"
	"go.podman.io/storage/types"

	"github.com/mpull/mpull/integration/testimage"
)

// steering are characters that do something to a terminal or to the reader's
// eye other than being shown.
func steering() []string {
	var all []string
	for c := rune(0); c < 0x20; c++ {
		all = append(all, string(c))
	}
	for _, c := range []rune{0x7f, 0x80, 0x84, 0x85, 0x8d, 0x90, 0x9b, 0x9c, 0x9d, 0x9f, 0x202a, 0x202b, 0x202c, 0x202d, 0x202e, 0x2066, 0x2067, 0x2068, 0x2069, 0x2028, 0x2029} {
		all = append(all, string(c))
	}
	return append(all, "\x1b[31m", "\x1b]0;pwn\a", "\x1b[2J\x1b[H", "\x1bP1$r\x1b\\", "\xff", "\xc2", "\xf0\x9f", "\r\n", "a\rb", "{{.ID}}", "%s%n", "\u202egnp.exe")
}

// rawBytes finds what must not reach a terminal.
func rawBytes(s string) string {
	for i, r := range s {
		_, n := utf8.DecodeRuneInString(s[i:])
		switch {
		case r == '\n' || r == '\t':
		case r < 0x20, r >= 0x7f && r <= 0x9f, r >= 0x202a && r <= 0x202e, r >= 0x2066 && r <= 0x2069, r == 0x2028, r == 0x2029, r == utf8.RuneError && n == 1:
			return fmt.Sprintf("%q at %d: %q", r, i, s[max(0, i-40):min(len(s), i+10)])
		}
	}
	return ""
}

// TestHostileText puts strings that steer a terminal into the names, labels,
// annotations, history and author of an image, and into a registry's errors and
// warnings. No command prints one raw.
func TestHostileText(t *testing.T) {
	texts := steering()
	if len(texts) < 60 {
		t.Fatalf("%d strings, not 60", len(texts))
	}
	b, reg := newBed(t), newRegistry(t)
	all := "x" + strings.Join(texts, "x")
	img, err := testimage.Image(testimage.Spec{})
	if err != nil {
		t.Fatal(err)
	}
	config, err := img.ConfigFile()
	if err != nil {
		t.Fatal(err)
	}
	config = config.DeepCopy()
	config.Author = all
	config.Config.Labels = map[string]string{"label": all, all: "value"}
	config.Config.Cmd, config.Config.Env = []string{all}, []string{"A=" + all}
	config.History = []v1.History{{CreatedBy: all, Comment: all, Author: all}}
	if img, err = mutate.ConfigFile(img, config); err != nil {
		t.Fatal(err)
	}
	img = mutate.Annotations(img, map[string]string{"note": all, all: "value"}).(v1.Image)
	if err := reg.PushImage("app:1", img); err != nil {
		t.Fatal(err)
	}
	id := strings.TrimSpace(b.Must("pull", "--tls-verify=false", reg.Host+"/app:1").Stdout)
	nameRaw(t, b.Root, b.RunRoot, id, "localhost/x"+all+":1")
	outputs := 0
	look := func(args ...string) {
		for i := range args {
			args[i] = strings.ReplaceAll(args[i], "\x00", "") // no argument can hold it
		}
		r := b.Mpull(args...)
		outputs += 2
		for _, s := range []string{r.Stdout, r.Stderr} {
			if found := rawBytes(s); found != "" {
				t.Errorf("mpull %v prints %s", args, found)
			}
		}
		if strings.Contains(r.Stderr, "goroutine ") {
			t.Errorf("mpull %v: %s", args, r)
		}
	}
	for _, args := range [][]string{
		{"images"}, {"images", "--all", "--no-trunc", "--digests"}, {"images", "--format", "json"}, {"images", "--format", "{{.ID}} {{.Names}} {{.Repository}}"},
		{"inspect", id}, {"inspect", "--format", "{{json .}}", id}, {"inspect", "--format", "{{.Author}} {{.Config.Labels}}", id},
		{"prune"}, {"why", id}, {"check", id}, {"rmi", "localhost/x" + all}, {"doctor"}, {"pull", all}, {"tag", id, all},
		{"inspect", "--tls-verify=false", "docker://" + reg.Host + "/app:1"}, {"platforms", "--tls-verify=false", reg.Host + "/app:1"},
	} {
		look(args...)
	}
	for _, text := range texts {
		reg.Fault(func(w http.ResponseWriter, req *http.Request) {
			w.Header()["Warning"] = []string{`299 - "` + strings.NewReplacer("\r", "", "\n", "").Replace(text) + `"`}
			if strings.Contains(req.URL.Path, "/manifests/") {
				w.WriteHeader(http.StatusForbidden)
				fmt.Fprintf(w, `{"errors":[{"code":"DENIED","message":%q,"detail":%q}]}`, text, text)
			}
		})
		look("pull", "--tls-verify=false", "--retry", "0", reg.Host+"/app:1")
	}
	t.Logf("%d strings, %d outputs looked at", len(texts), outputs)
}

// nameRaw gives an image a name that no tool would give: the store takes any.
func nameRaw(t *testing.T, root, runRoot, id, name string) {
	t.Helper()
	lib, err := storage.GetStore(types.StoreOptions{GraphRoot: root, RunRoot: runRoot, GraphDriverName: "overlay", GraphDriverOptions: []string{"overlay.skip_mount_home=true"}})
	if err != nil {
		t.Fatal(err)
	}
	defer lib.Free()
	if err := lib.AddNames(id, []string{strings.ToValidUTF8(name, "?")}); err != nil {
		t.Fatal(err)
	}
}
