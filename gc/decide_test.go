package gc

import (
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/mpull/mpull/store"
)

func TestMakePlan(t *testing.T) {
	const story = `
		layer a 100
		layer b 20 on a
		layer c 3 on a
		image N b app:1
		image O c was app:1 2h arch arm/v7`
	tests := []struct {
		name, graph string
		policy      Policy
		want        string
	}{
		{"nothing", ``, Policy{}, "0"},
		{"a tag that moved", story, Policy{}, "+N named, -O dangling, 3"},
		{"all", story, Policy{All: true}, "-N unused, -O unused, 123"},
		{"a name by digest pins", `
			layer a 1
			image A a app@sha256:0
			image B a app@sha256:0 app:1`, Policy{}, "+A pinned, +B named, 0"},
		{"a layer that an additional store has, too, comes free here", `
			layer a 10
			layer z 5
			layer b 1 on a
			layer a 10 read-only
			image A b was app:1 2h
			image Z z app:2`, Policy{}, "-A dangling, +Z named, 11"},
		{"nor does it matter where the additional store's is listed", `
			layer a 10
			layer a 10 read-only
			layer b 1 on a
			image A b was app:1 2h`, Policy{}, "-A dangling, 11"},
		{"what is mounted stays", `
			layer a 100 mounted
			layer b 1 on a
			layer c 1
			image A a was app:1 3h
			image B b app:1
			image C c app:2`, Policy{All: true}, "+A mounted, +B mounted, -C unused, 1"},
		{"what the user spares stays, named or not, unless it is in use anyway", `
			layer a 1
			layer b 2
			layer c 4
			image A a was app:1 3h
			image B b app:2
			image C c app:3
			container x of C`, Policy{All: true, Spares: func(img *store.Image) (Reason, string) {
			if img.ID != id("B") {
				return Protected, "app"
			}
			return "", ""
		}}, "+A protected app, -B unused, +C used-by-container x, 2"},
		{"what came a moment ago stays, with names and without", `
			layer a 1 age 5m
			layer b 2 age 15m
			layer c 4 age 5m
			image A a app:1
			image B b app:2
			image C c was app:3 1m`, Policy{All: true, Grace: 10 * time.Minute}, "+A too-young, -B unused, +C too-young, 2"},
		{"what was pulled again a moment ago stays", `
			layer a 1 age 240h
			layer b 2 age 240h
			image A a app:1
			image B b app:2`, Policy{All: true, Grace: 10 * time.Minute, Touched: func(img *store.Image) time.Time {
			if img.ID == id("A") {
				return now.Add(-time.Minute)
			}
			return time.Time{}
		}}, "+A too-young, -B unused, 2"},
		{"a grace is for all images, not for those that dangle", `
			layer a 1 age 5m
			image A a was app:1 1m`, Policy{Grace: 10 * time.Minute}, "-A dangling, 1"},
		{"nothing goes where there is room enough", `
			layer a 1
			layer b 2 age 240h
			image A a was app:1 3h`, Policy{All: true, Enough: true}, "+A target-reached, +layer b, 0"},
		{"a container holds", `
			layer a 1
			image A a was app:1 2h
			container x of A`, Policy{All: true}, "+A used-by-container x, 0"},
		{"big data counts", `
			layer a 10
			image A a data 7 was app:1 2h`, Policy{}, "-A dangling, 17"},
		{"a shared layer counts once", `
			layer a 100
			layer b 10 on a
			layer c 1 on a
			image A b was app:1 2h
			image B c was app:1 1h`, Policy{}, "-A dangling, -B dangling, 111"},
		{"mapped copies of the top layer count", `
			layer a 100
			layer b 10 on a
			layer m 5 on a
			image A b mapped m was app:1 2h`, Policy{}, "-A dangling, 115"},

		// Parents, by podman's rule.
		{"a named child keeps its parent", `
			layer a 1
			layer b 1 on a
			image P a was p:1 2h
			image C b from P app:1`, Policy{}, "+C named, +P parent C, 0"},
		{"a child on the same layer too", `
			layer a 1
			image P a was p:1 2h
			image C a from P app:1`, Policy{}, "+C named, +P parent C, 0"},
		{"a parent goes after its last child", `
			layer a 100
			layer b 20 on a
			layer c 3 on b
			image G a was p:1 3h
			image P b from G was p:1 2h
			image C c from P was app:1 1h`, Policy{},
			"-C dangling, -G parent-of-removed P, -P parent-of-removed C, 123"},
		{"one of two children keeps it", `
			layer a 1
			layer b 1 on a
			image P a was p:1 2h
			image C b from P was c:1 1h
			image D b from P d:1`, Policy{}, "-C dangling, +D named, +P parent D, 0"},
		{"a grandchild is no child", `
			layer a 1
			layer b 1 on a
			layer c 1 on b
			image G a was p:1 2h
			image P b from G p:1
			image C c from G app:1`, Policy{}, "+C named, +G parent P, +P named, 0"},
		{"nor is one two layers up", `
			layer a 1
			layer b 1 on a
			layer c 1 on b
			image G a was p:1 2h
			image C c from G app:1`, Policy{}, "+C named, -G dangling, 0"},
		{"the same layers with another history are no parent", `
			layer a 1
			layer b 1 on a
			image A a was p:1 2h
			image C b app:1`, Policy{}, "-A dangling, +C named, 0"},
		{"images without layers are kin by history", `
			image P was p:1 2h
			image C from P app:1`, Policy{}, "+C named, +P parent C, 0"},
		{"a read-only child counts", `
			layer a 1
			image P a was p:1 2h
			image C a from P read-only`, Policy{}, "+C read-only, +P parent C, 0"},
		{"all removes parents", `
			layer a 1
			layer b 10 on a
			image P a
			image C b from P app:1
			container x of C`, Policy{All: true}, "+C used-by-container x, -P unused, 0"},
		{"a filter on the child keeps the parent", `
			layer a 1
			layer b 1 on a
			image P a was p:1 2h label x=1
			image C b from P was c:1 1h`, Policy{Filters: mustFilters(t, "label=x")},
			"+C filtered-out label=x, +P parent C, 0"},

		// Manifest lists.
		{"a named list keeps its members", `
			layer a 1
			image A a was app:1 2h
			list L all:1 of A`, Policy{}, "+A list-member L, +L named, 0"},
		{"a nameless list goes, then its members", `
			layer a 1
			image A a was app:1 2h
			list L was all:1 2h of A`, Policy{}, "-A parent-of-removed L, -L dangling, 1"},
		{"all removes lists and members", `
			layer a 1
			image A a was app:1 2h
			list L all:1 of A`, Policy{All: true}, "-A unused, -L unused, 1"},
		{"a list that cannot be read may name any image", `
			layer a 1
			image A a was app:1 2h
			list L all:1 damaged`, Policy{}, "+A list-member L, +L named, 0"},

		// What is not whole.
		{"incomplete and old", `
			layer a 1 age 25h
			image A a incomplete`, Policy{}, "-A incomplete, 1"},
		{"incomplete and young", `
			layer a 1 age 23h
			image A a incomplete`, Policy{}, "+A too-young, 0"},
		{"damaged", `
			layer a 1 age 1000h
			image A a damaged`, Policy{}, "+A damaged, 0"},
		{"a damaged image may be a child", `
			layer a 1
			image A a was app:1 2h
			image B a damaged`, Policy{}, "+A parent B, +B damaged, 0"},
		{"the top layer is missing", `
			image A was app:1 2h mapped z`, Policy{}, "-A dangling, 0"},
		{"read-only stores", `
			layer a 1 read-only
			layer b 1 on a
			image A a read-only
			image B b was app:1 2h`, Policy{All: true}, "+A read-only, -B unused, 1"},

		// Ages.
		{"never named and young: a pull by another tool", `
			layer a 1 age 9m
			image A a`, Policy{}, "+A too-young, 0"},
		{"never named and older", `
			layer a 1 age 10m
			image A a`, Policy{}, "-A dangling, 1"},
		{"never named, no age asked", `
			layer a 1 age 1s
			image A a`, Policy{MinAge: -1}, "-A dangling, 1"},
		{"had a name: no pull", `
			layer a 1 age 1s
			image A a had app:1`, Policy{}, "-A dangling, 1"},
		{"until counts from the displacement", `
			layer a 1 age 1000h
			image A a was app:1 2h
			image B a was app:1 4h`, Policy{Filters: mustFilters(t, "until=3h")},
			"+A filtered-out until=3h, -B dangling, 0"},
		{"until counts from the pull, not from the build", `
			layer a 1 age 1h
			layer b 1 age 4h
			image A a had app:1
			image B b had app:1`, Policy{Filters: mustFilters(t, "until=3h")},
			"+A filtered-out until=3h, -B dangling, 1"},

		// How many, how much.
		{"keep one of each name and platform", `
			layer a 1
			image A a was app:1 1h
			image B a was app:1 2h
			image C a was app:1 3h arch arm/v7
			image D a was web:1 4h`, Policy{Keep: 1},
			"+A kept-by-count, -B dangling, +C kept-by-count, +D kept-by-count, 0"},
		{"with all the holder is the newest", `
			layer a 1
			image A a app:1
			image B a was app:1 1h`, Policy{All: true, Keep: 1}, "+A kept-by-count, -B unused, 0"},
		{"free enough, oldest first", `
			layer a 10
			layer b 10
			layer c 10
			image A a was app:1 1h
			image B b was app:1 3h
			image C c was app:1 2h`, Policy{Free: 15},
			"+A target-reached, -B dangling, -C dangling, 20"},
		{"free by leftovers alone", `
			layer a 10
			layer z 10 age 48h
			image A a was app:1 1h`, Policy{Free: 10}, "+A target-reached, -layer z, 10"},

		// Leftovers.
		{"unreferenced layers, children first", `
			layer a 100 age 48h
			layer b 10 on a age 47h
			layer c 1 on b age 1h
			layer d 1000 on a age 47h`, Policy{}, "-layer d, +layer a, +layer b, +layer c, 1000"},
		{"a leftover on an image's layer", `
			layer a 100
			layer z 10 on a age 48h
			image A a was app:1 1h`, Policy{}, "-A dangling, -layer z, 110"},
		{"a young leftover keeps an image's layer", `
			layer a 100
			layer z 10 on a age 1h
			image A a was app:1 1h`, Policy{}, "-A dangling, +layer z, 0"},
		{"filters ask for images", `
			layer z 10 age 48h`, Policy{Filters: mustFilters(t, "label=x")}, "+layer z, 0"},
		{"parents in a ring", `
			layer a 1 on b age 48h
			layer b 1 on a age 48h
			image A a was app:1 1h`, Policy{}, "-A dangling, 0"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			plan, err := MakePlan(letters(t, tt.graph), tt.policy, now)
			if err != nil {
				t.Fatal(err)
			}
			if got := brief(plan); got != tt.want {
				t.Errorf("got  %s\nwant %s", got, tt.want)
			}
			if err := plan.validate(); err != nil {
				t.Errorf("the plan does not stand its own check: %v", err)
			}
		})
	}
}

func TestDecisionTellsTheStory(t *testing.T) {
	plan, err := MakePlan(letters(t, `
		layer a 100
		layer b 10 on a
		image N a app:2
		image O b was app:1 3h was app:2 1h arch arm/v7 data 5
		image H a had web:1`), Policy{}, now)
	if err != nil {
		t.Fatal(err)
	}
	byLetter := map[string]Decision{}
	for _, d := range plan.Images {
		byLetter[letter(d.ID)] = d
	}
	o := byLetter["O"]
	if o.Was != "app:2" || o.ByOtherTool || o.Platform != "linux/arm/v7" || !o.Since.Equal(now.Add(-time.Hour)) || o.Alone != 15 || o.Bytes != 15 || o.Data != 5 {
		t.Errorf("got %+v", o)
	}
	if h := byLetter["H"]; h.Was != "web:1" || !h.ByOtherTool || h.Alone != 0 {
		t.Errorf("got %+v", h)
	}
	if n := byLetter["N"]; n.Goes || n.Bytes != 0 || !reflect.DeepEqual(n.Names, []string{"app:2"}) {
		t.Errorf("got %+v", n)
	}
}

func TestMeasureIsAskedOnlyAboutWhatMayGo(t *testing.T) {
	asked := measureFunc(func(kind, id string) int64 {
		if strings.HasPrefix(kind, "layer") && letter(id) != "c" || kind == "image" && letter(id) != "O" {
			t.Errorf("asked about %s %s", kind, letter(id))
		}
		return 1000
	})
	plan, err := MakePlan(letters(t, `
		layer a 100
		layer b 20 on a
		layer c 3 on a
		image N b app:1
		image O c was app:1 2h`), Policy{Measure: asked}, now)
	if err != nil {
		t.Fatal(err)
	}
	if plan.Bytes != 2000 || plan.Images[0].Alone != 2000 {
		t.Errorf("got %d bytes, %d alone", plan.Bytes, plan.Images[0].Alone)
	}
}

type measureFunc func(kind, id string) int64

func (f measureFunc) Layer(id string) int64 { return f("layer", id) }
func (f measureFunc) Image(id string) int64 { return f("image", id) }

func TestPoliciesThatMakeNoSense(t *testing.T) {
	for _, policy := range []Policy{{Keep: -1}, {Free: -1}} {
		if plan, err := MakePlan(&store.Snapshot{}, policy, now); err == nil {
			t.Errorf("%+v: got plan %v", policy, plan)
		}
	}
	if _, err := MakePlan(nil, Policy{}, now); err == nil {
		t.Error("a plan without a snapshot")
	}
}

func TestDownloadsAreLeftovers(t *testing.T) {
	policy := Policy{Downloads: []store.Download{
		{Path: "/x/old", Since: now.Add(-25 * time.Hour), Bytes: 5},
		{Path: "/x/new", Since: now.Add(-23 * time.Hour), Bytes: 7},
	}}
	plan, err := MakePlan(letters(t, ``), policy, now)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := brief(plan), "-download /x/old, +download /x/new, 5"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	policy.AllDownloads = true
	if plan, err = MakePlan(letters(t, ``), policy, now); err != nil {
		t.Fatal(err)
	}
	if got, want := brief(plan), "-download /x/old, -download /x/new, 12"; got != want {
		t.Errorf("with all: got %s, want %s", got, want)
	}
}
