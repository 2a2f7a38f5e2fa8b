package gc

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/mpull/mpull/store"
)

// TestVerifyTellsEachChange says of everything that must not go any more why.
func TestVerifyTellsEachChange(t *testing.T) {
	policy := Policy{AllDownloads: true, Downloads: []store.Download{{Path: "/x/one", Bytes: 1}, {Path: "/x/two", Bytes: 1}}}
	plan := mustPlan(t, `
		layer a 1
		layer b 1 age 48h
		layer c 1 age 48h
		layer d 1 age 48h
		layer e 1 age 48h
		image A a was app:1 3h
		image B a was app:1 2h`, policy)
	var changed *ChangedError
	err := Verify(plan, letters(t, `
		layer a 1
		layer b 1 mounted
		layer d 1
		layer e 1
		layer f 1 on e
		image B a app:1
		container x of B`), policy.Downloads[1:])
	if !errors.As(err, &changed) {
		t.Fatal(err)
	}
	var got []string
	for _, c := range changed.Changes {
		got = append(got, fmt.Sprint(letter(c.ID), " ", c.Reason, " ", letter(c.By)))
	}
	slices.Sort(got)
	if want := "/x/one gone , A gone , B used-by-container x, b mounted , c gone , e parent "; strings.Join(got, ", ") != want {
		t.Errorf("got  %s\nwant %s", strings.Join(got, ", "), want)
	}
	for n, more := range map[int]string{2: "", 3: "", 6: " and 3 more"} {
		text := (&ChangedError{changed.Changes[:n]}).Error()
		if strings.Contains(text, " more:") != (more != "") || !strings.Contains(text, more) || strings.Count(text, "(") != min(n, 3) {
			t.Errorf("%d changes: %s", n, text)
		}
	}
	if err := Verify(plan, letters(t, `
		layer a 1
		layer b 1
		layer c 1
		layer d 1
		layer e 1
		image A a was app:1 3h
		image B a was app:1 2h`), policy.Downloads); err != nil {
		t.Error(err)
	}
}

func mustPlan(t *testing.T, graph string, policy Policy) *Plan {
	t.Helper()
	plan, err := MakePlan(letters(t, graph), policy, now)
	if err != nil {
		t.Fatal(err)
	}
	return plan
}

// TestTarget says how far a prune comes that is asked for a number of bytes, and
// how far it would come with all images.
func TestTarget(t *testing.T) {
	const story = `
		layer a 10
		layer b 20
		layer c 40
		image A a was app:1 1h
		image B b was app:1 3h
		image C c app:1`
	for _, tt := range []struct {
		policy               Policy
		bytes, free, withAll int64
	}{
		{Policy{}, 30, 0, 0},
		{Policy{Free: 20}, 20, 20, 0},
		{Policy{Free: 30}, 30, 30, 0}, // just enough
		{Policy{Free: 31}, 30, 31, 40},
		{Policy{Free: 1000}, 30, 1000, 70},
		{Policy{Free: 1000, All: true}, 70, 1000, 0},
	} {
		plan := mustPlan(t, story, tt.policy)
		if plan.Bytes != tt.bytes || plan.Free != tt.free || plan.WithAll != tt.withAll {
			t.Errorf("%+v: %d bytes, of %d, with all %d", tt.policy, plan.Bytes, plan.Free, plan.WithAll)
		}
	}
}

// TestKeepPrefersHolders keeps who has the name before those that lost it, these
// by when they lost it; of equal ones always the same.
func TestKeepPrefersHolders(t *testing.T) {
	for _, tt := range []struct {
		graph string
		keep  int
		want  string
	}{
		{"image B was app:1 1h\nimage A app:1\nimage C was app:1 2h", 1, "A"},
		{"image C was app:1 3h\nimage B was app:1 1h\nimage A app:1\nimage D was app:1 2h", 2, "AB"},
		{"image A app:1\nimage D was app:1 2h\nimage B was app:1 1h\nimage C was app:1 3h", 3, "ABD"},
		{"image A was app:1 1h\nimage C was app:1 1h\nimage B was app:1 1h", 1, "C"},
	} {
		var kept []string
		for _, d := range mustPlan(t, tt.graph, Policy{All: true, Keep: tt.keep}).Images {
			if !d.Goes {
				kept = append(kept, letter(d.ID))
			}
		}
		slices.Sort(kept)
		if got := strings.Join(kept, ""); got != tt.want {
			t.Errorf("%s: %d of them: %s, not %s", tt.graph, tt.keep, got, tt.want)
		}
	}
}

func TestEmpty(t *testing.T) {
	for graph, want := range map[string]bool{
		"":                                    true,
		"layer z 1 age 1h":                    true, // it stays
		"layer z 1 age 48h":                   false,
		"layer y 1 age 1h\nlayer z 1 age 48h": false,
		"image A app:1":                       true,
		"image A was app:1 1h":                false,
	} {
		if got := mustPlan(t, graph, Policy{}).Empty(); got != want {
			t.Errorf("%q: empty = %t", graph, got)
		}
	}
}

// TestExecuteTells names what was lost with an image, and lets a leftover that
// cannot be deleted hold what it stands on.
func TestExecuteTells(t *testing.T) {
	const story = `
		layer a 100
		layer z 10 on a age 48h
		image A a app:1 app:2
		image B app:3`
	for broken, want := range map[string]string{
		"":  "z removed 10, B removed 0, A removed 100 = 110",
		"z": "z failed 0, B removed 0, A removed 0 = 0",
		"A": "z removed 10, B removed 0, A failed 0 = 10",
	} {
		result, err := Execute(t.Context(), mustPlan(t, story, Policy{All: true}), &fake{fresh: letters(t, story), broken: broken}, nil)
		if err != nil {
			t.Fatal(err)
		}
		if got := outcomes(result); got != want {
			t.Errorf("got  %s\nwant %s", got, want)
		}
		for _, o := range result.Outcomes {
			lost := map[string]string{"A": "app:1 app:2", "B": "app:3"}[letter(o.ID)]
			if o.Status != Removed {
				lost = ""
			}
			if strings.Join(o.Names, " ") != lost {
				t.Errorf("%s %s, names %v", letter(o.ID), o.Status, o.Names)
			}
		}
	}
}

// TestExecuteLeavesDownloads begins nothing once its context has ended.
func TestExecuteLeavesDownloads(t *testing.T) {
	policy := Policy{AllDownloads: true, Downloads: []store.Download{{Path: "/x/one", Bytes: 3}}}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	remover := &fake{fresh: &store.Snapshot{}}
	if _, err := Execute(ctx, mustPlan(t, "", policy), remover, nil); !errors.Is(err, context.Canceled) || len(remover.deleted) > 0 {
		t.Errorf("deleted %v: %v", remover.deleted, err)
	}
	result, err := Execute(t.Context(), mustPlan(t, "", policy), remover, nil)
	if err != nil || !slices.Equal(remover.deleted, []string{"/x/one"}) || result.Reclaimed != 3 {
		t.Errorf("deleted %v, %+v: %v", remover.deleted, result, err)
	}
}

// TestPlanReads writes who keeps an image and what name it lost, where there is
// one to write.
func TestPlanReads(t *testing.T) {
	plan := mustPlan(t, `
		image A was app:1 3h
		image B app:2
		container x of B`, Policy{})
	text := strings.NewReplacer(id("x"), "x").Replace(plan.String())
	want := fmt.Sprintf("remove %.12s dangling was \"app:1\" 0 bytes\nkeep %.12s used-by-container \"x\" \"app:2\" 0 bytes\n0 bytes come free\n", id("A"), id("B"))
	if text != want {
		t.Errorf("got\n%swant\n%s", text, want)
	}
}

// TestAgesOfPolicies counts an age that is given, the usual one of none, and
// none where it is less than nothing.
func TestAgesOfPolicies(t *testing.T) {
	for age, want := range map[time.Duration]string{
		0: "+A too-young, -B dangling, 0", -1: "-A dangling, -B dangling, 0", 2 * time.Minute: "-A dangling, -B dangling, 0", 2 * time.Hour: "+A too-young, +B too-young, 0",
	} {
		plan := mustPlan(t, "layer a 0 age 5m\nlayer b 0 age 1h\nimage A a\nimage B b", Policy{MinAge: age})
		if got := brief(plan); got != want {
			t.Errorf("%s: got %s, want %s", age, got, want)
		}
	}
}
