package gc

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/mpull/mpull/store"
)

// fake is a Remover that remembers what it was asked to delete.
type fake struct {
	fresh   *store.Snapshot
	deleted []string
	gone    string // letter of what somebody else deleted
	inUse   string // letter of what a container uses since a moment ago
	broken  string // letter of what cannot be deleted
}

func (f *fake) DeleteDownload(_ context.Context, path string) (bool, error) {
	f.deleted = append(f.deleted, path)
	return false, nil
}

func (f *fake) Delete(ctx context.Context, choose func(*store.Snapshot) (store.Removal, error)) ([]store.Deletion, error) {
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	wanted, err := choose(f.fresh)
	if err != nil {
		return nil, err
	}
	var done []store.Deletion
	for i, id := range append(slices.Clone(wanted.Layers), wanted.Images...) {
		d := store.Deletion{ID: id, Image: i >= len(wanted.Layers), Gone: letter(id) == f.gone}
		switch letter(id) {
		case f.inUse:
			d.Err = fmt.Errorf("deleting: %w", store.ErrInUse)
		case f.broken:
			d.Err = errors.New("no space left on device")
		default:
			f.deleted = append(f.deleted, letter(id))
		}
		done = append(done, d)
	}
	return done, nil
}

func TestExecute(t *testing.T) {
	const layers = `
		layer a 100
		layer b 20 on a
		layer c 3 on a
		`
	const two = `
		layer a 100
		layer b 20 on a
		`
	const before = layers + `
		image A b was app:1 3h
		image B c was app:1 2h`
	tests := []struct {
		name          string
		before, after string
		policy        Policy
		remover       fake
		deleted, want string
	}{
		{"as planned", before, before, Policy{}, fake{}, "A B", "A removed 20, B removed 103 = 123"},
		{"a name came back", before, layers + `
			image A b app:1
			image B c was app:1 2h`, Policy{}, fake{}, "B", "A skipped named 0, B removed 3 = 3"},
		{"a container was made", before, before + `
			container x of A`, Policy{}, fake{}, "B", "A skipped used-by-container x 0, B removed 3 = 3"},
		{"a container was made at the last moment", before, before, Policy{}, fake{inUse: "A"}, "B", "A skipped used-by-container 0, B removed 3 = 3"},
		{"it was mounted", before, `
			layer a 100
			layer b 20 on a mounted
			layer c 3 on a
			image A b was app:1 3h
			image B c was app:1 2h`, Policy{}, fake{}, "B", "A skipped mounted 0, B removed 3 = 3"},
		{"what all are built on was mounted", before, `
			layer a 100 mounted
			layer b 20 on a
			layer c 3 on a
			image A b was app:1 3h
			image B c was app:1 2h`, Policy{}, fake{}, "", "A skipped mounted 0, B skipped mounted 0 = 0"},
		{"a child was built", before, before + `
			layer d 1 on b
			image C d from A app:2`, Policy{}, fake{}, "B", "A skipped parent C 0, B removed 3 = 3"},
		{"it became a member of a list", before, before + `
			list L all:1 of A`, Policy{}, fake{}, "B", "A skipped list-member L 0, B removed 3 = 3"},
		{"a list that cannot be read appeared", before, before + `
			list L all:1 damaged`, Policy{}, fake{}, "", "A skipped list-member L 0, B skipped list-member L 0 = 0"},
		{"gone already", before, `
			layer a 100
			layer c 3 on a
			image B c was app:1 2h`, Policy{}, fake{}, "B", "A already-gone 0, B removed 103 = 103"},
		{"gone at the last moment", before, before, Policy{}, fake{gone: "B"}, "A B", "A removed 20, B already-gone 0 = 20"},
		{"one cannot be deleted", before, before, Policy{}, fake{broken: "B"}, "A", "A removed 20, B failed 0 = 20"},
		{"another image took the layers", before, before + `
			image N b new:1`, Policy{}, fake{}, "A B", "A removed 0, B removed 3 = 3"},
		{"a layer that was shared is not any more", two + `
			image A b was app:1 3h
			image N a new:1`, two + `
			image A b was app:1 3h`, Policy{}, fake{}, "A", "A removed 120 = 120"},
		{"a parent of one that changed stays", two + `
			image P a was p:1 3h
			image C b from P was c:1 2h`, two + `
			image P a was p:1 3h
			image C b from P c:1`, Policy{}, fake{}, "", "C skipped named 0, P skipped parent C 0 = 0"},
		{"all: names must be the same", layers + `
			image A b app:1
			image B c web:1`, layers + `
			image A b app:1 app:2
			image B c web:1`, Policy{All: true}, fake{}, "B", "A skipped named 0, B removed 3 = 3"},
		{"incomplete, then completed", `
			layer a 1 age 48h
			image A a incomplete`, `
			layer a 1 age 48h
			image A a`, Policy{}, fake{}, "", "A skipped dangling 0 = 0"},
		{"leftovers", `
			layer a 10 age 48h
			layer b 5 on a age 48h`, `
			layer a 10 age 48h
			layer b 5 on a age 48h`, Policy{}, fake{}, "b a", "b removed 5, a removed 10 = 15"},
		{"a leftover that is mounted", `
			layer a 10 age 48h
			layer b 5 on a age 48h`, `
			layer a 10 age 48h
			layer b 5 on a age 48h mounted`, Policy{}, fake{}, "", "b skipped mounted 0, a skipped parent 0 = 0"},
		{"a leftover that is used again", `
			layer a 10 age 48h
			layer b 5 on a age 48h`, `
			layer a 10 age 48h
			layer b 5 on a age 48h
			image A a app:1`, Policy{}, fake{}, "b", "a skipped parent 0, b removed 5 = 5"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			plan, err := MakePlan(letters(t, tt.before), tt.policy, now)
			if err != nil {
				t.Fatal(err)
			}
			verified := Verify(plan, letters(t, tt.after), nil)
			tt.remover.fresh = letters(t, tt.after)
			result, err := Execute(t.Context(), plan, &tt.remover, nil)
			if err != nil {
				t.Fatal(err)
			}
			if got := outcomes(result); got != tt.want {
				t.Errorf("got  %s\nwant %s", got, tt.want)
			}
			if got := strings.Join(tt.remover.deleted, " "); got != tt.deleted {
				t.Errorf("deleted %q, want %q", got, tt.deleted)
			}
			if (result.Err() != nil) != (tt.remover.broken != "") {
				t.Errorf("the result's error is %v", result.Err())
			}
			var changed *ChangedError
			differs := strings.Contains(tt.want, "skipped") && tt.remover.inUse == "" || strings.Contains(tt.want, "already-gone") && tt.remover.gone == ""
			if errors.As(verified, &changed) != differs {
				t.Errorf("Verify says %v", verified)
			}
		})
	}
}

func outcomes(r *Result) string {
	var parts []string
	for _, o := range r.Outcomes {
		part := letter(o.ID) + " " + string(o.Status)
		if o.Reason != "" {
			part += " " + string(o.Reason)
		}
		if o.By != "" {
			part += " " + letter(o.By)
		}
		parts = append(parts, fmt.Sprint(part, " ", o.Bytes))
	}
	return strings.Join(parts, ", ") + fmt.Sprint(" = ", r.Reclaimed)
}

func TestExecuteOnceOnly(t *testing.T) {
	snap := letters(t, "layer a 1\nimage A a was app:1 3h")
	plan, err := MakePlan(snap, Policy{}, now)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Execute(t.Context(), plan, &fake{fresh: snap}, nil); err != nil {
		t.Fatal(err)
	}
	remover := &fake{fresh: snap}
	if _, err := Execute(t.Context(), plan, remover, nil); !errors.Is(err, ErrUsed) || len(remover.deleted) > 0 {
		t.Errorf("the second time: %v, deleted %v", err, remover.deleted)
	}
}

func TestExecuteEndsWithTheContext(t *testing.T) {
	snap := letters(t, "layer a 1\nimage A a was app:1 3h")
	plan, err := MakePlan(snap, Policy{}, now)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	result, err := Execute(ctx, plan, &fake{fresh: snap}, nil)
	if !errors.Is(err, context.Canceled) || result.Reclaimed != 0 {
		t.Errorf("got %+v, %v", result, err)
	}
}

func TestPlanSurvivesJSON(t *testing.T) {
	plan, err := MakePlan(letters(t, `
		layer a 100
		layer b 20 on a
		layer z 5 age 48h
		layer y 5 age 1h
		image A b was app:1 3h data 3
		image P a had web:1
		image C a from P app:1
		container x of C`), Policy{}, now)
	if err != nil {
		t.Fatal(err)
	}
	data, err := json.Marshal(plan)
	if err != nil {
		t.Fatal(err)
	}
	again, err := ReadPlan(bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(plan, again) {
		t.Errorf("wrote %v\nread  %v", plan, again)
	}
}

func TestReadPlanRefuses(t *testing.T) {
	image := func(fields string) string {
		return `{"version":1,"images":[{"id":"` + id("A") + `",` + fields + `}],"bytes":0}`
	}
	for name, text := range map[string]string{
		"nothing":                ``,
		"another format":         `[]`,
		"another version":        `{"version":2}`,
		"two values":             `{"version":1}{"version":1}`,
		"an ID that is a path":   `{"version":1,"images":[{"id":"../../x","goes":true,"reason":"dangling"}]}`,
		"an unknown reason":      image(`"goes":true,"reason":"because"`),
		"a reason that keeps":    image(`"goes":true,"reason":"named"`),
		"a named dangling image": image(`"goes":true,"reason":"dangling","names":["app:1"]`),
		"negative bytes":         image(`"goes":true,"reason":"dangling","bytes":-1`),
		"a wrong sum":            image(`"goes":true,"reason":"dangling","bytes":5`),
		"an image twice":         `{"version":1,"images":[{"id":"` + id("A") + `","reason":"named"},{"id":"` + id("A") + `","reason":"named"}]}`,
		"a relative download":    `{"version":1,"leftovers":[{"kind":"download","id":"x","goes":true}]}`,
		"an unclean download":    `{"version":1,"leftovers":[{"kind":"download","id":"/x/../y","goes":true}]}`,
		"an unknown leftover":    `{"version":1,"leftovers":[{"kind":"file","id":"/x","goes":true}]}`,
	} {
		if plan, err := ReadPlan(strings.NewReader(text)); err == nil {
			t.Errorf("%s: got %v", name, plan)
		}
	}
}

func FuzzReadPlan(f *testing.F) {
	plan, err := MakePlan(letters(f, "layer a 100\nlayer z 1 age 48h\nimage A a was app:1 3h\nimage B a app:1"), Policy{}, now)
	if err != nil {
		f.Fatal(err)
	}
	data, err := json.Marshal(plan)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(data)
	f.Add([]byte(`{"version":1}`))
	snap := letters(f, "layer a 100\nimage A a app:1")
	f.Fuzz(func(t *testing.T, data []byte) {
		plan, err := ReadPlan(bytes.NewReader(data))
		if err != nil {
			return
		}
		remover := &fake{fresh: snap}
		if _, err := Execute(t.Context(), plan, remover, nil); err != nil {
			t.Fatal(err)
		}
		named := slices.ContainsFunc(plan.Images, func(d Decision) bool {
			return d.Reason == Unused && d.ID == id("A") && slices.Equal(d.Names, []string{"app:1"})
		})
		if slices.Contains(remover.deleted, "A") && !named {
			t.Errorf("a plan deleted an image with a name that it did not name: %s", data)
		}
	})
}
