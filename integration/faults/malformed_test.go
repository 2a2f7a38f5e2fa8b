package faults

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"strconv"
	"strings"
	"testing"

	"github.com/opencontainers/go-digest"

	"github.com/mpull/mpull/integration/testimage"
)

// document is a manifest or index that a registry may hand out.
type document struct {
	mediaType string
	body      []byte
}

const (
	ociManifest = "application/vnd.oci.image.manifest.v1+json"
	ociIndex    = "application/vnd.oci.image.index.v1+json"
	dockerV2    = "application/vnd.docker.distribution.manifest.v2+json"
	dockerList  = "application/vnd.docker.distribution.manifest.list.v2+json"
)

// TestMalformedDocuments serves manifests, indexes and configs that are not
// what they should be. No pull succeeds with one that is wrong, none panics,
// nothing is stored, and nothing but manifests and blobs is asked for.
func TestMalformedDocuments(t *testing.T) {
	b := newBed(t)
	server := &liar{}
	reg := newRegistry(t)
	reg.Wrap(func(http.Handler) http.Handler { return server })
	right := rightDocuments(t)
	documents := append(madeUp(right), mutated(right, figure(t, 20, 200, 2000))...)
	configs := badConfigs(figure(t, 10, 100, 1000))
	run := func(d document, config []byte, what string) {
		server.serve(d, config)
		r := b.Mpull("pull", "--quiet", "--retry", "0", "--tls-verify=false", reg.Host+"/app:1")
		if r.Code != 125 || !strings.Contains(r.Stderr, "Error: ") || strings.Contains(r.Stderr, "goroutine ") {
			t.Errorf("%s: %s\n%.300s", what, r, d.body)
		}
		if len(r.Stderr) > 4500 {
			t.Errorf("%s: an error of %d bytes", what, len(r.Stderr))
		}
	}
	for i, d := range documents {
		run(d, right.config, "document "+strconv.Itoa(i))
	}
	for i, c := range configs {
		run(right.around(c), c, "config "+strconv.Itoa(i))
	}
	if v := sound(t, b, false); len(v.Names) > 0 || v.Half > 0 || v.Unreferenced > 0 {
		t.Errorf("something was stored: %+v", v)
	}
	server.check(t)
	t.Logf("%d manifests and indexes, %d configs", len(documents), len(configs))
}

// liar hands out one document under any tag, and blobs by their digest.
type liar struct {
	document
	blobs map[string][]byte
	odd   []string
}

func (l *liar) serve(d document, config []byte) {
	l.document = d
	l.blobs = map[string][]byte{digest.FromBytes(config).String(): config}
}

func (l *liar) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	path := req.URL.EscapedPath()
	switch {
	case path == "/v2/":
	case strings.HasPrefix(path, "/v2/app/manifests/"):
		w.Header().Set("Content-Type", l.mediaType)
		_, _ = w.Write(l.body)
	case strings.HasPrefix(path, "/v2/app/blobs/sha256:") && l.blobs[path[len("/v2/app/blobs/"):]] != nil:
		_, _ = w.Write(l.blobs[path[len("/v2/app/blobs/"):]])
	default:
		if !strings.HasPrefix(path, "/v2/app/blobs/sha") || strings.Contains(path, "..") {
			l.odd = append(l.odd, path)
		}
		w.WriteHeader(http.StatusNotFound)
	}
}

func (l *liar) check(t *testing.T) {
	for _, path := range l.odd {
		t.Errorf("asked for %q", path)
	}
}

// documents are right ones to start from.
type documents struct {
	manifest, index, config []byte
}

func rightDocuments(t *testing.T) documents {
	t.Helper()
	img, err := testimage.Image(testimage.Spec{})
	if err != nil {
		t.Fatal(err)
	}
	var d documents
	if d.manifest, err = img.RawManifest(); err != nil {
		t.Fatal(err)
	}
	if d.config, err = img.RawConfigFile(); err != nil {
		t.Fatal(err)
	}
	d.index = fmt.Appendf(nil, `{"schemaVersion":2,"mediaType":%q,"manifests":[{"mediaType":%q,"size":%d,"digest":%q,"platform":{"os":"linux","architecture":"amd64"}}]}`,
		dockerList, dockerV2, len(d.manifest), digest.FromBytes(d.manifest))
	return d
}

// around returns a right manifest of a config.
func (d documents) around(config []byte) document {
	var m map[string]any
	_ = json.Unmarshal(d.manifest, &m)
	m["config"] = map[string]any{"mediaType": "application/vnd.docker.container.image.v1+json", "size": len(config), "digest": digest.FromBytes(config)}
	body, _ := json.Marshal(m)
	return document{dockerV2, body}
}

// madeUp are documents that somebody has thought of.
func madeUp(d documents) []document {
	var all []document
	manifest := func(body string) {
		all = append(all, document{ociManifest, []byte(body)}, document{dockerV2, []byte(body)})
	}
	index := func(body string) {
		all = append(all, document{ociIndex, []byte(body)}, document{dockerList, []byte(body)})
	}
	for _, body := range []string{"", "null", "[]", "0", `""`, "{", "\x00", "{}", `{"schemaVersion":1}`, `{"schemaVersion":2}`, `{"schemaVersion":1e400}`,
		`{"schemaVersion":NaN}`, strings.Repeat("[", 10_000), strings.Repeat(`{"a":`, 10_000), "<html>not found</html>"} {
		manifest(body)
		index(body)
	}
	config, layer := digest.FromBytes(d.config).String(), digest.FromString("layer").String()
	descriptor := func(digest, size string) string { return fmt.Sprintf(`{"digest":%q,"size":%s}`, digest, size) }
	whole := func(config, layers string) string {
		return fmt.Sprintf(`{"schemaVersion":2,"config":%s,"layers":[%s]}`, config, layers)
	}
	for _, bad := range []string{"", "sha256:", "foo:bar", "sha256:../../../etc/passwd", "../../x", "sha256:" + layer[7:70], "sha256:" + strings.ToUpper(layer[7:]),
		"md5:d41d8cd98f00b204e9800998ecf8427e", "sha256:" + layer[7:] + "0", "sha256:" + layer[7:] + "/..", "sha256:%2e%2e%2f" + layer[16:], "sha512:" + layer[7:]} {
		manifest(whole(descriptor(bad, "10"), descriptor(layer, "10")))
		manifest(whole(descriptor(config, strconv.Itoa(len(d.config))), descriptor(bad, "10")))
		index(fmt.Sprintf(`{"schemaVersion":2,"manifests":[{"mediaType":%q,"digest":%q,"size":10,"platform":{"os":"linux","architecture":"amd64"}}]}`, dockerV2, bad))
	}
	for _, size := range []string{"-1", "9223372036854775807", "9223372036854775808", "1e30", `"10"`, "null", "1.5"} {
		manifest(whole(descriptor(config, size), descriptor(layer, size)))
	}
	both := fmt.Sprintf(`{"schemaVersion":2,"config":%s,"layers":[],"manifests":[]}`, descriptor(config, "10"))
	manifest(both)
	index(both)
	all = append(all,
		document{ociIndex, d.manifest}, document{dockerList, d.manifest}, document{dockerV2, d.index}, document{ociManifest, d.index},
		document{dockerList, []byte(`{"schemaVersion":2,"manifests":[]}`)}, document{dockerList, []byte(`{"schemaVersion":2,"manifests":null}`)},
		document{dockerList, []byte(`{"schemaVersion":2,"manifests":[null,{},{"platform":null},{"digest":null}]}`)},
		document{ociManifest, append(d.manifest[:len(d.manifest)-1:len(d.manifest)-1], bytes.Repeat([]byte{' '}, 4<<20)...)},
		document{ociManifest, []byte(whole(descriptor(config, "10"), strings.Repeat(descriptor(layer, "10")+",", 30_000)+descriptor(layer, "10")))},
		document{ociIndex, []byte(`{"schemaVersion":2,"manifests":[` + strings.Repeat(descriptor(layer, "10")+",", 30_000) + descriptor(layer, "10") + `]}`)},
		document{ociIndex, fmt.Appendf(nil, `{"schemaVersion":2,"manifests":[{"mediaType":%q,"digest":%q,"size":10}]}`, ociIndex, layer)},
		document{ociIndex, fmt.Appendf(nil, `{"schemaVersion":2,"manifests":[{"mediaType":%q,"digest":%q,"size":10,"platform":{"os":%q,"architecture":"amd64"}}]}`, ociManifest, layer, strings.Repeat("x", 1<<16))},
	)
	return all
}

// mutated are right documents with some bytes changed, dropped or doubled. The
// media type stays, so that each reaches its parser. A manifest names what the
// registry does not have, so none can be pulled.
func mutated(d documents, n int) []document {
	random := rand.New(rand.NewPCG(11, 13))
	var all []document
	for range n {
		doc := document{dockerV2, bytes.Clone(d.manifest)}
		if random.IntN(2) == 0 {
			doc = document{dockerList, bytes.Clone(d.index)}
		}
		for range 1 + random.IntN(4) {
			at := random.IntN(len(doc.body))
			switch random.IntN(3) {
			case 0:
				doc.body[at] ^= byte(1 << random.IntN(8))
			case 1:
				doc.body = append(doc.body[:at], doc.body[min(at+1+random.IntN(8), len(doc.body)):]...)
			default:
				part := doc.body[at:min(at+1+random.IntN(30), len(doc.body))]
				doc.body = append(doc.body[:at:at], append(bytes.Clone(part), doc.body[at:]...)...)
			}
		}
		all = append(all, doc)
	}
	return all
}

// badConfigs are configs that do not fit the layers of the manifest, or are no
// configs.
func badConfigs(n int) [][]byte {
	layer := digest.FromString("layer").String()
	all := [][]byte{nil}
	for _, s := range []string{"null", "[]", "0", `"x"`, "{", "{}", "\x00", strings.Repeat("[", 10_000), strings.Repeat(`{"config":`, 10_000),
		`{"os":1}`, `{"os":null,"architecture":null}`, `{"os":"linux","architecture":"amd64"}`, `{"os":"linux","architecture":"amd64","rootfs":null}`,
		`{"os":"linux","architecture":"amd64","rootfs":{"type":"layers","diff_ids":[]}}`,
		`{"os":"linux","architecture":"amd64","rootfs":{"type":"layers","diff_ids":["../../etc"]}}`,
		`{"os":"linux","architecture":"amd64","rootfs":{"type":"layers","diff_ids":["` + layer + `"]}}`,
		`{"os":"linux","architecture":"amd64","rootfs":{"type":"layers","diff_ids":["` + layer + `","` + layer + `"]}}`,
		`{"os":"linux","architecture":"amd64","created":"yesterday"}`, `{"os":"linux","architecture":"amd64","history":[{"created":1}]}`,
		`{"os":"linux","architecture":"amd64","config":{"Env":"x"}}`, `{"os":"linux","architecture":"amd64","config":{"Cmd":{}}}`,
		`{"os":"linux","architecture":"amd64","history":[` + strings.Repeat(`{"empty_layer":false},`, 1000) + `{}]}`} {
		all = append(all, []byte(s))
	}
	random := rand.New(rand.NewPCG(17, 19))
	for len(all) < n {
		c := []byte(`{"os":"linux","architecture":"amd64","config":{"Cmd":["sh"]},"rootfs":{"type":"layers","diff_ids":["` + layer + `"]},"history":[{"created_by":"x"}]}`)
		for range 1 + random.IntN(4) {
			c[random.IntN(len(c))] ^= byte(1 << random.IntN(8))
		}
		all = append(all, c)
	}
	return all
}
