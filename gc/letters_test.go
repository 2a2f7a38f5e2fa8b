package gc

import (
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/opencontainers/go-digest"

	"github.com/mpull/mpull/store"
	"github.com/mpull/mpull/store/query"
)

// now is the time of every test here.
var now = time.Date(2026, 7, 1, 12, 0, 0, 0, time.UTC)

// letters reads a snapshot from lines such as
//
//	layer a 100 age 5m        base layer of 100 bytes, made 5 minutes ago
//	layer b 20 on a
//	image P a                 top layer a, no name
//	image C b from P app:1    built on P, named app:1
//	image D b was app:1 2h    lost app:1 two hours ago, by mpull
//	image E b had app:1       lost it by another tool
//	list L all:1 of C D
//	container x of C          with a layer of its own on C's
//
// Words after image: from X, was NAME AGE, had NAME, label K=V, arch A/V,
// data N, read-only, damaged, incomplete, mapped L; else a name, or the top
// layer's letter. A layer is a day old, unless said otherwise.
func letters(t testing.TB, text string) *store.Snapshot {
	t.Helper()
	l := &lettersReader{t: t, snap: &store.Snapshot{TakenAt: now}, layers: map[string]store.Layer{}, images: map[string]store.Image{}}
	for line := range strings.Lines(text) {
		words := strings.Fields(line)
		if len(words) == 0 {
			continue
		}
		l.words = words[2:]
		switch words[0] {
		case "layer":
			l.layer(words[1])
		case "image", "list":
			l.image(words[1], words[0] == "list")
		case "container":
			l.container(words[1])
		default:
			t.Fatalf("line %q", line)
		}
	}
	return l.snap
}

type lettersReader struct {
	t      testing.TB
	snap   *store.Snapshot
	layers map[string]store.Layer
	images map[string]store.Image
	words  []string
}

func (l *lettersReader) next() string {
	if len(l.words) == 0 {
		l.t.Fatal("the line ends too early")
	}
	word := l.words[0]
	l.words = l.words[1:]
	return word
}

func (l *lettersReader) age() time.Time {
	d, err := time.ParseDuration(l.next())
	if err != nil {
		l.t.Fatal(err)
	}
	return now.Add(-d)
}

func (l *lettersReader) number() int64 {
	n, err := strconv.ParseInt(l.next(), 10, 64)
	if err != nil {
		l.t.Fatal(err)
	}
	return n
}

func (l *lettersReader) layer(name string) {
	layer := store.Layer{ID: id(name), Created: now.Add(-24 * time.Hour)}
	for len(l.words) > 0 {
		switch word := l.next(); word {
		case "on":
			layer.Parent = id(l.next())
		case "age":
			layer.Created = l.age()
		case "read-only":
			layer.ReadOnly = true
		case "mounted":
			layer.Mounts = 1
		default:
			layer.UncompressedSize, _ = strconv.ParseInt(word, 10, 64)
		}
	}
	l.layers[name] = layer
	l.snap.Layers = append(l.snap.Layers, layer)
}

func (l *lettersReader) image(name string, list bool) {
	img := store.Image{ID: id(name), Digest: digest.Digest("digest-" + name), IsList: list, Created: now.Add(-1000 * time.Hour), BigData: map[string]int64{}}
	config := &store.Config{OS: "linux", Architecture: "amd64", Labels: map[string]string{}, History: []store.History{{CreatedBy: name}}}
	img.Config = config
	for len(l.words) > 0 {
		switch word := l.next(); word {
		case "from":
			config.History = append(slices.Clone(l.images[l.next()].Config.History), config.History...)
		case "was":
			name := l.next()
			img.Displaced = append(img.Displaced, store.Displacement{Name: name, At: l.age()})
			img.NamesHistory = append(img.NamesHistory, name)
		case "had":
			img.NamesHistory = append(img.NamesHistory, l.next())
		case "label":
			k, v, _ := strings.Cut(l.next(), "=")
			config.Labels[k] = v
		case "arch":
			config.Architecture, config.Variant, _ = strings.Cut(l.next(), "/")
		case "data":
			img.BigData["manifest"] = l.number()
		case "mapped":
			img.MappedTopLayers = append(img.MappedTopLayers, id(l.next()))
		case "of":
			for len(l.words) > 0 {
				img.Members = append(img.Members, digest.Digest("digest-"+l.next()))
			}
		case "read-only":
			img.ReadOnly = true
		case "damaged":
			img.Config, img.ConfigError = nil, errors.New("unexpected end of JSON input")
		case "incomplete":
			img.Config, img.ConfigError = nil, fmt.Errorf("manifest is missing: %w", fs.ErrNotExist)
		default:
			if _, ok := l.layers[word]; ok {
				img.TopLayer = id(word)
			} else {
				img.Names = append(img.Names, word)
			}
		}
	}
	for at := img.TopLayer; at != "" && img.Config != nil && len(config.DiffIDs) < 9; at = l.layers[letter(at)].Parent {
		config.DiffIDs = append([]digest.Digest{digest.Digest(at)}, config.DiffIDs...)
	}
	if list {
		img.Config = nil
	}
	l.images[name] = img
	l.snap.Images = append(l.snap.Images, img)
}

func (l *lettersReader) container(name string) {
	l.next() // of
	img := l.images[l.next()]
	c := store.Container{ID: id(name), Names: []string{name + "-name"}, ImageID: img.ID, LayerID: id(name + "-layer")}
	layer := store.Layer{ID: c.LayerID, Parent: img.TopLayer, Created: now}
	l.snap.Layers = append(l.snap.Layers, layer)
	l.snap.Containers = append(l.snap.Containers, c)
}

// id makes a real ID of letters; letter gives them back.
func id(name string) string { return fmt.Sprintf("%064x", name) }

func letter(id string) string {
	var b []byte
	if _, err := fmt.Sscanf(strings.TrimLeft(id, "0"), "%x", &b); err != nil {
		return id
	}
	return string(b)
}

// brief writes a plan as "-A dangling, +B parent of C", images in the order of
// their letters, then leftovers, then bytes.
func brief(p *Plan) string {
	var lines []string
	for _, d := range p.Images {
		line := sign(d.Goes) + letter(d.ID) + " " + string(d.Reason)
		if isID(d.By) {
			line += " " + letter(d.By)
		} else if d.By != "" {
			line += " " + d.By
		}
		lines = append(lines, line)
	}
	slices.SortFunc(lines, func(a, b string) int { return strings.Compare(a[1:], b[1:]) })
	for _, l := range p.Leftovers {
		lines = append(lines, sign(l.Goes)+string(l.Kind)+" "+letter(l.ID))
	}
	return strings.Join(append(lines, fmt.Sprint(p.Bytes)), ", ")
}

func sign(goes bool) string {
	if goes {
		return "-"
	}
	return "+"
}

func mustFilters(t testing.TB, texts ...string) []query.Filter {
	t.Helper()
	var filters []query.Filter
	for _, text := range texts {
		f, err := query.ParseFilter(text)
		if err != nil {
			t.Fatal(err)
		}
		filters = append(filters, f)
	}
	return filters
}
