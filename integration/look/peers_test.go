package look

import (
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"text/tabwriter"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/mpull/mpull/integration/testenv"
	"github.com/mpull/mpull/integration/testimage"
)

// differences are all cases in which mpull answers otherwise than the tool
// that it stands for. A case that is not here fails the test, and so does one
// that is here and does not happen.
func differences() []difference {
	return []difference{
		{"manifest type", "cat/oci cat/nested cat/attested cat/nameless cat/foreign-index",
			"podman 4 shows every index as a docker list; mpull shows the index that the registry has, with its own mediaType"},
		{"manifest type", "cat/single-oci cat/zstd cat/annotated",
			"podman 4 fails on a single OCI manifest; mpull shows it"},
		{"manifest platforms", "cat/nested cat/nameless",
			"podman 4 calls an entry without a platform linux/amd64; mpull shows that there is none"},
		{"override", "cat/single-docker cat/single-oci cat/zstd cat/layers cat/hostile cat/foreign cat/full cat/annotated",
			"skopeo ignores the platform asked for where there is no index; mpull refuses and lists what there is"},
		{"override config", "cat/single-docker cat/single-oci cat/zstd cat/layers cat/hostile cat/foreign cat/full cat/annotated",
			"as before"},
		{"override", "cat/nameless",
			"skopeo takes the first entry without a platform for any platform; mpull reads the configs"},
		{"override config", "cat/nameless", "as before"},
	}
}

type difference struct{ line, entries, why string }

// line is one command line: by a peer, and the same by mpull.
type line struct {
	name  string
	peer  func(b *bench, name string) string
	mpull func(b *bench, name string) string
}

func (b *bench) podman(args ...string) result {
	return b.exec("podman", append([]string{"--root", b.root(), "--runroot", filepath.Join(b.dir, "run"), "--storage-driver", driver()}, args...)...)
}

func (b *bench) skopeo(args ...string) result {
	return b.exec("skopeo", append([]string{"--registries-conf", filepath.Join(b.dir, "registries.conf")}, args...)...)
}

// v7 is what the article asks skopeo for.
func v7() []string {
	return []string{"--override-os", "linux", "--override-arch", "arm", "--override-variant", "v7"}
}

// remoteLines are the article's lines about an image that is not pulled.
func remoteLines() []line {
	const mediaType, platforms = ".mediaType", ".manifests[].platform"
	return []line{
		{"manifest type",
			func(b *bench, n string) string { return b.jq(b.podman("manifest", "inspect", n).out, "-r", mediaType) },
			func(b *bench, n string) string { return b.jq(b.mpull("manifest", "inspect", n).out, "-r", mediaType) }},
		{"manifest platforms",
			func(b *bench, n string) string {
				return onlyLists(b.jq(b.podman("manifest", "inspect", n).out, "-rc", platforms))
			},
			func(b *bench, n string) string {
				return onlyLists(b.jq(b.mpull("manifest", "inspect", n).out, "-rc", platforms))
			}},
		{"raw type",
			func(b *bench, n string) string {
				return b.jq(b.skopeo("inspect", "--raw", "docker://"+n).out, "-r", mediaType)
			},
			func(b *bench, n string) string {
				return b.jq(b.mpull("inspect", "--raw", "docker://"+n).out, "-r", mediaType)
			}},
		{"raw platforms",
			func(b *bench, n string) string {
				return b.jq(b.skopeo("inspect", "--raw", "docker://"+n).out, "-rc", platforms)
			},
			func(b *bench, n string) string {
				return b.jq(b.mpull("inspect", "--raw", "docker://"+n).out, "-rc", platforms)
			}},
		{"raw bytes",
			func(b *bench, n string) string { return b.skopeo("inspect", "--raw", "docker://"+n).out },
			func(b *bench, n string) string { return b.mpull("inspect", "--raw", "docker://"+n).out }},
		{"inspect",
			func(b *bench, n string) string { return summary(b, b.skopeo("inspect", "docker://"+n)) },
			func(b *bench, n string) string { return summary(b, b.mpull("inspect", "docker://"+n)) }},
		{"override",
			func(b *bench, n string) string {
				return summary(b, b.skopeo(append(v7(), "inspect", "docker://"+n)...))
			},
			func(b *bench, n string) string { return summary(b, b.mpull(append(v7(), "inspect", "docker://"+n)...)) }},
		{"override config",
			func(b *bench, n string) string {
				return summary(b, b.skopeo(append(v7(), "inspect", "--config", "docker://"+n)...))
			},
			func(b *bench, n string) string {
				return summary(b, b.mpull(append([]string{"inspect", "--config", "docker://" + n}, v7()...)...))
			}},
		{"raw config",
			func(b *bench, n string) string { return b.skopeo("inspect", "--config", "--raw", "docker://"+n).out },
			func(b *bench, n string) string { return b.mpull("inspect", "--config", "--raw", "docker://"+n).out }},
		{"template",
			func(b *bench, n string) string {
				return b.skopeo("inspect", "--format", "{{.Name}} {{.Digest}} {{.Os}}/{{.Architecture}} {{.Layers}}", "docker://"+n).out
			},
			func(b *bench, n string) string {
				return b.mpull("inspect", "--format", "{{.Name}} {{.Digest}} {{.Os}}/{{.Architecture}} {{.Layers}}", "docker://"+n).out
			}},
		{"tags",
			func(b *bench, n string) string {
				return summary(b, b.skopeo("list-tags", "docker://"+n[:strings.LastIndexByte(n, ':')]))
			},
			func(b *bench, n string) string { return summary(b, b.mpull("tags", "--format", "json", n)) }},
	}
}

// localLines are the article's lines about an image that is here.
func localLines() []line {
	return []line{
		{"local architecture",
			func(b *bench, n string) string { return b.jq(b.podman("inspect", n).out, "-r", ".[].Architecture") },
			func(b *bench, n string) string { return b.jq(b.mpull("inspect", n).out, "-r", ".[].Architecture") }},
		{"local image",
			func(b *bench, n string) string { return summary(b, b.podman("image", "inspect", n)) },
			func(b *bench, n string) string { return summary(b, b.mpull("image", "inspect", n)) }},
		{"local template",
			func(b *bench, n string) string {
				return b.podman("image", "inspect", "--format", "{{.Id}} {{.Size}} {{json .RepoTags}} {{.Config.Cmd}}", n).out
			},
			func(b *bench, n string) string {
				return b.mpull("image", "inspect", "--format", "{{.Id}} {{.Size}} {{json .RepoTags}} {{.Config.Cmd}}", n).out
			}},
		{"local config",
			func(b *bench, n string) string {
				return b.skopeo("inspect", "--config", "--raw", fmt.Sprintf("containers-storage:[%s@%s+%s]%s", driver(), b.root(), filepath.Join(b.dir, "run"), n)).out
			},
			func(b *bench, n string) string {
				return b.mpull("inspect", "--config", "--raw", "containers-storage:"+n).out
			}},
	}
}

// onlyLists drops jq's complaint about a document that has no manifests.
func onlyLists(s string) string {
	if strings.HasPrefix(s, "jq:") {
		return ""
	}
	return s
}

// added are the fields that mpull has beside the peers', and those that only
// newer peers have.
func added() []string {
	return []string{"Variant", "InstanceDigest", "LayersData", "Platform", "Displaced", "PlatformCheck"}
}

// summary is a document in one form, without the added fields, and whether the
// program succeeded.
func summary(b *bench, r result) string {
	b.Helper()
	if r.code != 0 {
		return "failed"
	}
	v := document(b.T, r.out)
	strip(v)
	if list, ok := v.([]any); ok {
		for _, one := range list {
			strip(one)
		}
	}
	return fmt.Sprintf("%#v", v)
}

func strip(v any) {
	if m, ok := v.(map[string]any); ok {
		for _, f := range added() {
			delete(m, f)
		}
	}
}

// TestPeers holds every line against the real podman and skopeo, on every
// image of the catalogue.
func TestPeers(t *testing.T) {
	testenv.Need(t, "podman", "skopeo", "jq")
	b := catalogue(t)
	b.known = map[string]result{}
	used := map[string]bool{}
	for _, e := range b.entries {
		for _, l := range remoteLines() {
			b.compare(e, l, used)
		}
	}
	t.Run("local", func(t *testing.T) {
		if os.Geteuid() != 0 {
			t.Skip("podman reads this store only as root")
		}
		for _, e := range b.entries {
			b.pull(pullArgs(b, e)...)
			for _, l := range localLines() {
				b.compare(e, l, used)
			}
		}
	})
	for _, d := range differences() {
		for _, entry := range strings.Fields(d.entries) {
			if !used[d.line+" "+entry] {
				t.Errorf("%s of %s does not differ any more: %s", d.line, entry, d.why)
			}
		}
	}
}

// pullArgs pulls the host's platform, or what there is.
func pullArgs(b *bench, e testimage.Entry) []string {
	name := b.registry.Host + "/" + e.Name
	if e.Name == "cat/foreign-index:1" {
		return []string{"--platform", "linux/s390x", name}
	}
	return []string{name}
}

func (b *bench) compare(e testimage.Entry, l line, used map[string]bool) {
	b.Helper()
	name := b.registry.Host + "/" + e.Name
	entry, _, _ := strings.Cut(e.Name, ":")
	peer, mine := l.peer(b, name), l.mpull(b, name)
	if reflect.DeepEqual(peer, mine) {
		return
	}
	for _, d := range differences() {
		if d.line == l.name && strings.Contains(" "+d.entries+" ", " "+entry+" ") {
			used[l.name+" "+entry] = true
			return
		}
	}
	b.Errorf("%s of %s (%s) differs\npeer:  %s\nmpull: %s", l.name, e.Name, e.Why, peer, mine)
}

// TestTableOfOC compares platforms with the table that oc image info prints of
// an index: one line for each entry, os/arch[/variant] and the digest
// (openshift/oc, pkg/cli/image/info). oc itself is not needed.
func TestTableOfOC(t *testing.T) {
	b := catalogue(t)
	for _, entry := range []string{"library/alpine:3.15", "cat/oci:1", "cat/novariant:1", "cat/foreign-index:1", "cat/twins:1"} {
		var index v1.ImageIndex
		for _, e := range b.entries {
			if e.Name == entry {
				index = e.Index
			}
		}
		var want, got strings.Builder
		table(t, index, &want)
		w := tabwriter.NewWriter(&got, 0, 0, 1, ' ', 0)
		for _, l := range b.must("image", "info", "--noheading", b.name(entry)).lines() {
			cells := strings.Fields(l)
			fmt.Fprintf(w, "%s\t%s\n", cells[0], cells[1])
		}
		flush(t, w)
		if got.String() != want.String() {
			t.Errorf("%s: got\n%swant\n%s", entry, got.String(), want.String())
		}
	}
}

func table(t *testing.T, index v1.ImageIndex, out *strings.Builder) {
	t.Helper()
	manifest, err := index.IndexManifest()
	if err != nil {
		t.Fatal(err)
	}
	w := tabwriter.NewWriter(out, 0, 0, 1, ' ', 0)
	for _, m := range manifest.Manifests {
		p := m.Platform.OS + "/" + m.Platform.Architecture
		if m.Platform.Variant != "" {
			p += "/" + m.Platform.Variant
		}
		fmt.Fprintf(w, "%s\t%s\n", p, m.Digest)
	}
	flush(t, w)
}

func flush(t *testing.T, w *tabwriter.Writer) {
	t.Helper()
	if err := w.Flush(); err != nil {
		t.Fatal(err)
	}
}
