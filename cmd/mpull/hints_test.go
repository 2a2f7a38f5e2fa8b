package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/mpull/mpull/engine"
	"github.com/mpull/mpull/engine/platform"
	"github.com/mpull/mpull/engine/preflight"
	"github.com/mpull/mpull/engine/registry"
	"github.com/mpull/mpull/gc"
	"github.com/mpull/mpull/store"
	"github.com/mpull/mpull/store/query"
)

// TestHints holds what each error that a user can act on tells them to type.
func TestHints(t *testing.T) {
	asked := func(problem registry.Problem, change func(*registry.AskError)) error {
		e := &registry.AskError{Err: errors.New("x"), Problem: problem, Host: "quay.io", Repository: "quay.io/a/app", Tag: "3.15"}
		if change != nil {
			change(e)
		}
		return fmt.Errorf("pulling: %w", e)
	}
	for _, tt := range []struct {
		err  error
		want string
	}{
		{&query.AmbiguousError{}, "name one by its ID"},
		{&engine.InterruptedError{Kept: 5_000_000}, "5MB kept; run it again to go on"},
		{&signalError{unix.SIGINT}, ""},
		{&engine.NotLockedError{}, "mpull lock FILE IMAGE locks more names"},
		{&engine.RefusedError{Result: preflight.Result{Hint: "register an emulator"}}, "register an emulator; mpull run --force starts it all the same"},
		{&engine.RefusedError{Use: "mpull use --platform linux/amd64 x"}, "an image here would start: mpull use --platform linux/amd64 x; mpull run --force"},
		{instead("this", "that"), "this"},
		{&engine.ManifestListError{}, "mpull pull REPOSITORY@DIGEST"},
		{&engine.ManifestListError{Here: strings.Repeat("ab", 32)}, "such as abababababab"},
		{&registry.NotImageError{}, "mpull platforms lists what there is"},
		{&registry.NotImageError{Type: "application/vnd.wasm.config.v0+json"}, "WebAssembly"},
		{&engine.UnprovenError{Actual: []string{"linux/arm64"}}, "mpull pull --platform linux/arm64 ..."},
		{&engine.UnprovenError{}, "mpull check then tells whether it starts"},
		{&engine.AbsentPlatformsError{}, "--skip-missing"},
		{&query.UnknownError{Held: []store.Image{{ID: strings.Repeat("ab", 32), IsList: true}}}, "a manifest list once had that name: mpull restore abababababab"},
		{&engine.NotMeantError{NotHereError: &query.NotHereError{Name: "x", Here: []platform.Platform{{OS: "linux", Architecture: "arm", Variant: "v7"}}}}, "mpull rmi --platform linux/arm/v7 x removes that one"},
		{&engine.NotMeantError{NotHereError: &query.NotHereError{Here: []platform.Platform{{}}}}, "mpull rmi with its ID"},
		{&query.NotHereError{}, "mpull pull --platform brings one"},
		{&platform.NotFoundError{Hint: "ask for v7"}, "ask for v7"},
		{&store.ContradictionError{}, "mpull doctor"},
		{&store.ElsewhereError{Root: "/r", RunRoot: "/n", Images: "/i"}, "mpull --root /r --runroot /n --imagestore /i"},
		{&store.ElsewhereError{Shared: true}, "each machine that reads it has containers of its own"},
		{&engine.GuardedError{}, "--no-tag"},
		{&engine.PinnedError{}, "mpull rmi --force"},
		{store.ErrNotWhole, "mpull doctor --repair"},
		{&lostError{unix.EPIPE}, ""},
		{&crashError{"x"}, "please report it"},
		{&fs.PathError{Op: "write", Path: "/mnt/a.tar", Err: unix.ENOSPC}, "the disk of /mnt is full"},
		{asked(registry.NeedsLogin, nil), "mpull login quay.io, if it is there"},
		{asked(registry.NeedsLogin, func(e *registry.AskError) { e.LoggedIn = true }), "with another account"},
		{asked(registry.SpeaksHTTP, nil), "--tls-verify=false"},
		{asked(registry.UntrustedTLS, nil), "/etc/containers/certs.d/quay.io/ca.crt"},
		{asked(registry.NoSuchTag, nil), "mpull tags quay.io/a/app lists the tags that there are"},
		{asked(registry.NoSuchTag, func(e *registry.AskError) { e.Tags = []string{"3.1", "3.16", "edge"} }), "did you mean quay.io/a/app:3.1"},
		{asked(registry.NoSuchTag, func(e *registry.AskError) { e.Tags = []string{"latest", "edge"} }), "lists the 2 tags that there are"},
		{asked(registry.NoSuchRepository, nil), "check the spelling"},
		{asked(registry.NoSuchRepository, func(e *registry.AskError) { e.Repository = "docker.io/library/6587d5f44ca3" }), "that looks like an image ID"},
		{asked(registry.NoSuchHost, nil), "the name of a registry comes first"},
		{asked(registry.NobodyListens, nil), "nothing listens there"},
		{&registry.NoPolicyError{Err: errors.New("no JSON")}, "mend that file"},
		{&registry.NoPolicyError{Err: os.ErrNotExist, Named: true}, "name another with --policy-file"},
		{&registry.NoPolicyError{Err: os.ErrNotExist}, "policy.json"},
	} {
		if got := hint(tt.err); !strings.Contains(got, tt.want) || tt.want == "" && got != "" {
			t.Errorf("%T: %q, not %q", tt.err, got, tt.want)
		}
	}
}

// TestPlanOfAPullInWords holds what a dry run says of the parts of a plan.
func TestPlanOfAPullInWords(t *testing.T) {
	id := strings.Repeat("ab", 32)
	for want, got := range map[string]string{
		"nothing: the image is here":                                          downloadText(&engine.PullPlan{Present: true}),
		"unknown: the manifest gives no size for a layer; 1 of 3 layers here": downloadText(&engine.PullPlan{Download: -1, Layers: 3, LayersHere: 1}),
		"2MB of 5MB; 1 of 2 layers here; an interrupted pull left 1MB":        downloadText(&engine.PullPlan{Download: 2_000_000, Bytes: 5_000_000, Kept: 1_000_000, Layers: 2, LayersHere: 1}),
		"none": nameText(&engine.PullPlan{}),
		"x":    nameText(&engine.PullPlan{Name: "x"}),
		"x moves from abababababab for linux/arm, which is kept by its digest":          nameText(&engine.PullPlan{Name: "x", Moves: &engine.PlannedMove{ID: id, Platform: "linux/arm", Kept: true}}),
		"x moves from abababababab for linux/arm, which becomes dangling and holds 3kB": nameText(&engine.PullPlan{Name: "x", Moves: &engine.PlannedMove{ID: id, Platform: "linux/arm", Dangling: true, Bytes: 3000}}),
		"x moves from abababababab for linux/arm, which stays in use otherwise":         nameText(&engine.PullPlan{Name: "x", Moves: &engine.PlannedMove{ID: id, Platform: "linux/arm"}}),
		"4 manifests left: too few for this pull":                                       rateText(&registry.RateLimit{Remaining: 4}, 5),
		"4 of 100 manifests left in 6 hours":                                            rateText(&registry.RateLimit{Remaining: 4, Limit: 100, Window: 21600}, 4),
		"not this machine's platform, but the only one there is":                        whyChosen(&engine.PullPlan{Foreign: true}),
		"1B or more needed": diskText(&engine.PullPlan{DiskNeeded: 1, DiskFree: -1}),
	} {
		if got != want {
			t.Errorf("%q, not %q", got, want)
		}
	}
}

// TestStartsHere has a word for each prediction.
func TestStartsHere(t *testing.T) {
	for want, r := range map[string]*preflight.Result{
		"not known": nil, "no command": {DataOnly: true}, "yes": {Verdict: preflight.Native}, "emulated": {Verdict: preflight.Emulated}, "no: not-found": {Verdict: preflight.NotFound},
	} {
		if got := startsHere(r); got != want {
			t.Errorf("%q, not %q", got, want)
		}
	}
}

// TestMovedInWords says of an image that lost its name what becomes of it.
func TestMovedInWords(t *testing.T) {
	for want, m := range map[string]engine.MovedEvent{
		"is kept as x@sha256:1":                   {Kept: "x@sha256:1"},
		"still has 2 other names":                 {Fate: engine.Fate{Decision: gc.Decision{Names: []string{"a", "b"}}}},
		"dangling now and holds 5kB":              {Fate: engine.Fate{Decision: gc.Decision{Goes: true, Alone: 5000}}},
		"a prune keeps it: used by container web": {Fate: engine.Fate{Decision: gc.Decision{Reason: gc.UsedByContainer, ByName: "web"}}},
	} {
		d := newTalk()
		m.Loser = &store.Image{ID: strings.Repeat("ab", 32)}
		tellMoved(d.streams, &m)
		if got := d.err.String(); !says(got, "moved; it was abababababab for an unknown platform ... "+want+" ... mpull restore abababababab") {
			t.Errorf("%q, not %q", got, want)
		}
	}
}

// TestDamageInWords says what is damaged, and what to do about it.
func TestDamageInWords(t *testing.T) {
	for _, tt := range []struct {
		d             store.Damage
		state, advice string
	}{
		{store.Damage{Kind: store.Leftover}, "leftover x: p; q\n", ""},
		{store.Damage{Kind: store.Note, Names: []string{"a", "b"}}, "note image x (a, b): p; q\n", ""},
		{store.Damage{Kind: store.Unlisted, Unproven: true}, "unread ", "put the list back from a copy, or move that directory away"},
		{store.Damage{Kind: store.Unlisted, Removable: true}, "damaged ", "mpull doctor --repair ends that"},
		{store.Damage{Kind: store.DamagedFile}, "damaged ", "put that file back from a copy"},
	} {
		d := newTalk()
		tt.d.ID, tt.d.Problems = "x", []string{"p", "q"}
		if d.showDamage(stateOf(&tt.d), &tt.d); !strings.HasPrefix(d.out.String(), tt.state) || !strings.Contains(d.err.String(), tt.advice) {
			t.Errorf("%q and %q, not %q and %q", &d.out, &d.err, tt.state, tt.advice)
		}
	}
	d := newTalk()
	if err := d.verdict([]store.Damage{{Kind: store.Unlisted, Unproven: true}}); exitCode(err) != exitFailed || !strings.Contains(err.Error(), "1 object could not be read") {
		t.Error(err)
	}
	if err := d.verdict([]store.Damage{{Unproven: true}, {}}); exitCode(err) != exitNo {
		t.Error(err)
	}
}

// TestDfBars draws the parts of a store.
func TestDfBars(t *testing.T) {
	d := newTalk()
	d.width = 80
	d.printTotals(gc.Totals{UniqueLayers: 750, Other: 249, Leftovers: 1, Total: 1000})
	if !says(d.out.String(), "layers of one image ... ███████████████       75% ... ▏                      0% ... ████▉                 25%") {
		t.Errorf("\n%s", &d.out)
	}
}

// TestSizesAndTimes writes values as every table has them.
func TestSizesAndTimes(t *testing.T) {
	for want, got := range map[string]string{
		"unknown size": size(-1), "1.23GB": size(1_234_000_000), "20.3 kB": spacedSize(20_300), "-": since(time.Time{}), "sha256:ab": imageID("ab", true),
		"a@sha256:123456789012": shortName("a@sha256:1234567890123"), "2 retries": plural(2, "retry"), "c": lastPart("a/b/c"), "a manifest list": whatItIs("", true), ", a manifest list,": forWhat("", true),
	} {
		if got != want {
			t.Errorf("%q, not %q", got, want)
		}
	}
}
