package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/mpull/mpull/engine"
	"github.com/mpull/mpull/gc"
)

const alpine = "docker.io/library/alpine:3.15"

// TestPullMovesANameAndBack goes through what mpull is for: a pull of another
// platform takes the name, which is told, listed, explained and undone.
func TestPullMovesANameAndBack(t *testing.T) {
	d := newDesk(t)
	d.steps(step{"images", 0, "REPOSITORY", "There is no store at "}, step{"image exists alpine:3.15", 1, "", "*"})
	arm := d.id("pull --platform linux/arm/v7 alpine:3.15")
	got := d.must("pull --platform linux/amd64 alpine:3.15")
	amd := strings.TrimSpace(got.out)
	if !says(got.err, "Pulling "+alpine+" for linux/amd64 ... "+alpine+" moved; it was "+arm[:12]+" for linux/arm/v7 ... mpull restore "+arm[:12]+" ... mpull prune") {
		t.Errorf("the pull says %q", got.err)
	}
	d.steps(
		step{"image exists alpine:3.15", 0, "", ""},
		step{"image exists busybox", 1, "", ""},
		step{"images", 0, "REPOSITORY ... docker.io/library/alpine  3.15 ... linux/amd64 ... " + amd[:12], ""},
		step{"images --digests --noheading --no-trunc alpine", 0, "sha256: ... sha256:" + amd, ""},
		step{"images --filter dangling=true --noheading", 0, "<none> ... <none> ... linux/arm/v7 ... " + arm[:12], ""},
		step{"images -q alpine", 0, amd[:12] + "\n", ""},
		step{"images --dangling", 0, "WAS ... " + arm[:12] + " ... " + alpine + " ... " + amd[:12] + " linux/amd64", ""},
		step{"images --tree", 0, alpine + "\n├─ linux/amd64 ... has the name ... └─ linux/arm/v7 ... dangling", ""},
		step{"images --tree --format json", 0, `"name": "` + alpine, ""},
		step{"images --filter platform=linux/arm --format {{.ID}}", 0, arm[:12] + "\n", ""},
		step{"images --format json --dangling", 0, arm, ""},
		step{"why alpine:3.15", 0, arm[:12] + "  linux/arm/v7, dangling\n  lost " + alpine + " ... to: " + amd[:12] + " ... by: mpull pull --platform linux/amd64 ... mpull restore " + arm[:12], ""},
		step{"why --format {{.Name}} alpine:3.15", 0, alpine + "\n", ""},
		step{"why " + amd[:12], 0, "lost no name", ""},
		step{"why busybox", 1, "", "Error: ... Hint: mpull images --all"},
		step{"restore " + arm[:12], 0, arm, alpine + " moved; it was " + amd[:12] + " ... " + alpine + " is " + arm[:12] + " for linux/arm/v7 now"},
		step{"restore " + arm[:12] + " " + alpine, 0, arm, "is " + arm[:12] + " for linux/arm/v7 already"},
		step{"use --platform linux/amd64 alpine:3.15", 0, amd, "moved ... is " + amd[:12] + " for linux/amd64 now"},
		step{"use --os linux --arch arm --variant v7 --progress json alpine:3.15", 0, arm, `"type":"displaced" ... "type":"restored"`},
		step{"use --platform linux/s390x alpine:3.15", 1, "", "Error: ... Hint: mpull pull --platform brings one"},
	)
}

// TestTagsComeAndGo gives names, takes them, and removes images.
func TestTagsComeAndGo(t *testing.T) {
	d := newDesk(t)
	arm := d.id("pull --quiet --platform linux/arm/v7 alpine:3.15")
	amd := d.id("pull --quiet --no-tag --platform linux/amd64 alpine:3.15")
	d.steps(
		step{"tag " + amd[:12] + " localhost/a:1 localhost/b:1", 0, "", ""},
		step{"tag nosuch localhost/a:1", 125, "", "Error: "},
		step{"tag alpine:3.15 localhost/a:1", 0, "", "localhost/a:1 moved; it was " + amd[:12] + " ... still has"},
		step{"untag " + amd[:12] + " localhost/b:1", 0, "", ""},
		step{"untag " + amd[:12] + " localhost/b:1", 125, "", "Error: "},
		step{"untag nosuch", 125, "", "Error: "},
		step{"rmi nosuch", 1, "", "Error: "},
		step{"rmi --ignore nosuch", 0, "", "*"},
		step{"rmi --platform linux/arm/v7 nosuch alpine:3.15", 1, "Untagged: " + alpine, "nosuch"},
		step{"rmi " + arm[:12], 0, "Untagged: localhost/a:1\nDeleted: " + arm, ""},
		step{"rmi --all", 0, "Deleted: " + amd, ""},
		step{"rmi --all", 0, "", "*"},
	)
}

// TestPruneAsks goes through the ways a prune can end.
func TestPruneAsks(t *testing.T) {
	d := newDesk(t)
	d.steps(step{"prune --force", 0, "", "Nothing to prune."}, step{"prune --force --format json", 0, `"outcomes": []`, "Nothing"})
	arm := d.id("pull --quiet --platform linux/arm/v7 alpine:3.15")
	amd := d.id("pull --quiet --platform linux/amd64 alpine:3.15")
	d.steps(
		step{"prune --dry-run", 0, "WAS ... " + arm[:12] + " ... " + alpine + " ... 1 item, ... come free ... Staying: ... " + amd[:12] + " ... it has a name", ""},
		step{"prune --dry-run --all", 0, "LOSES ... 1 name lost: " + alpine, ""},
		step{"prune --dry-run --keep 1", 0, "Nothing would be removed. ... among the newest of its name and platform", ""},
		step{"prune --dry-run --protect " + arm[:12], 0, "protected (" + arm[:12], ""},
		step{"prune --dry-run --filter was=busybox", 0, "not matched by was=busybox", ""},
		step{"prune --dry-run --free 1TB", 1, "1 item", "of the 1TB that --free asks for: mpull prune --all would give"},
		step{"prune --keep 1", 0, "", "Nothing to prune: 1 image without a name stays (1 among the newest"},
		step{"prune", 125, "", "IMAGE ID ... there is no terminal to ask on ... --force removes"},
		step{"df", 0, "WHAT ... layers of one image ... total", ""},
		step{"df --format {{.Images}}", 0, "2\n", ""},
		step{"df --verbose", 0, "GOES WITH ... prune ... mpull prune frees", ""},
		step{"df --verbose --format json", 0, `"`, ""},
	)
	answer := func(text string, want step) {
		t.Helper()
		d.in, d.terminal = text, true
		d.steps(want)
	}
	answer("no\n", step{"prune", 1, "", "Remove them? [y/N] Nothing was removed."})
	answer("", step{"prune", 125, "", "Error: reading the answer"})
	plan := d.must("prune --dry-run --format json").out
	d.steps(step{"prune --force --progress json --apply " + d.file("plan", plan), 0, arm, `"type":"plan" ... "type":"removed" ... "type":"pruned"`})
	d.steps(step{"prune --force --apply " + d.file("plan", plan), 125, "", "Error: "})
	d.in = plan
	d.steps(step{"prune --force --apply -", 125, "", "Error: "}, step{"prune --force --apply " + d.file("no-plan", "{}"), 125, "", "reading the plan"})
	lock := d.file("images.lock", "")
	if err := os.Remove(lock); err != nil {
		t.Fatal(err)
	}
	d.must("lock " + lock + " alpine:3.15")
	d.steps(step{"prune --all --dry-run --protect-file " + lock, 0, "Nothing would be removed. ... protected", ""})
	d.steps(step{"prune --all --dry-run --protect-file " + d.file("list", "# mine\nalpine:3.15 # base\n"), 0, "protected", ""})
	answer("y\n", step{"prune --all", 0, amd, "Reclaimed"})
}

// TestLooksWithoutPulling asks the registry and makes no store.
func TestLooksWithoutPulling(t *testing.T) {
	d := newDesk(t)
	d.push("library/many:a", 1, "linux/amd64")
	d.push("library/many:b", 1, "linux/amd64")
	d.steps(
		step{"platforms alpine:3.15", 0, "OS/ARCH ... linux/amd64 ... linux/arm/v7", "*"},
		step{"platforms --sizes --noheading --filter-by-os ^linux/arm alpine:3.15", 0, "linux/arm/v7 ... B", "*"},
		step{"platforms --filter-by-os plan9 alpine:3.15", 1, "OS/ARCH", "No platform of alpine:3.15 matches plan9"},
		step{"platforms --format {{.Platform}} alpine:3.15", 0, "linux/amd64\nlinux/arm/v7\n", "*"},
		step{"image info --format json alpine:3.15", 0, `"linux/arm/v7"`, "*"},
		step{"platforms nosuch", 125, "", "Error: "},
		step{"match --platform linux/arm/v8 alpine:3.15", 0, "OUTCOME ... linux/arm/v7", "Wanted: linux/arm/v8"},
		step{"match --platform linux/s390x alpine:3.15", 1, "PLATFORM", "Nothing fits: "},
		step{"match --format {{.Platform}} --platform linux/arm/v7 alpine:3.15", 0, "linux/arm/v7\n", ""},
		step{"match --format json --platform linux/arm/v7 alpine:3.15", 0, `"linux/arm/v7"`, ""},
		step{"tags alpine", 0, "3.15\n", ""},
		step{"tags --format json --limit 1 alpine", 0, `"Repository": "docker.io/library/alpine"`, ""},
		step{"tags --limit 1 many", 0, "a\n", "1 tag of 2 are shown"},
		step{"tags --limit 2 many", 0, "a\nb\n", ""},
		step{"tags --format {{.Repository}} alpine", 0, "docker.io/library/alpine\n", ""},
		step{"inspect docker://alpine:3.15 --override-os linux --override-arch arm --override-variant v7", 0, `"Architecture": "arm"`, ""},
		step{"inspect --no-tags --format {{.Os}} docker://alpine:3.15 --platform linux/amd64", 0, "linux\n", ""},
		step{"inspect --raw docker://alpine:3.15", 0, `"manifests"`, ""},
		step{"inspect --config --platform linux/amd64 docker://alpine:3.15", 0, `"architecture": "amd64"`, ""},
		step{"inspect --config --raw --platform linux/amd64 docker://alpine:3.15", 0, `"architecture":"amd64"`, ""},
		step{"manifest inspect docker://alpine:3.15", 0, `"manifests": [`, ""},
		step{"manifest inspect --insecure --raw docker://alpine:3.15", 0, `"manifests":[`, ""},
		step{"pull --dry-run --platform linux/arm/v7 alpine:3.15", 0, alpine + "\n  instance ... linux/arm/v7 ... download ... 0 of 1 layer here", "*"},
		step{"pull --dry-run --format {{.Platform}} --platform linux/arm/v7 alpine:3.15", 0, "linux/arm/v7\n", "*"},
		step{"check --remote --platform linux/s390x,linux/ppc64le alpine:3.15", 125, "", "Error: "},
	)
	if _, err := os.Stat(d.options().Root); err == nil {
		t.Error("looking made a store")
	}
}

// TestImagesTravel saves images, locks their digests and brings them elsewhere.
func TestImagesTravel(t *testing.T) {
	d := newDesk(t)
	events := d.must("pull --format json --all-platforms alpine:3.15")
	if !says(events.out, `"type":"resolved" ... "type":"pulled"`) || events.err != "" {
		t.Errorf("events: %q %q", events.out, events.err)
	}
	archive, lock := filepath.Join(d.dir, "a.tar"), filepath.Join(d.dir, "images.lock")
	d.steps(
		step{"pull --progress json --platform linux/arm/v7 --policy missing alpine:3.15", 0, "\n", `"type":"pulled"`},
		step{"pull --policy never --platform linux/s390x alpine:3.15", 1, "", "Error: "},
		step{"save -o " + archive + " --all-platforms alpine:3.15", 0, "", "Saved ... Saved"},
		step{"save --quiet --platform linux/arm/v7 alpine:3.15", 0, "*", ""},
		step{"save -o " + archive + " nosuch", 1, "", "Error: "},
		step{"tags oci-archive:" + archive, 0, "alpine:3.15", "*"},
		step{"lock " + lock + " alpine:3.15", 0, "", "has the digests of 1 name; mpull pull --locked " + lock},
		step{"lock --platform linux/arm/v7 - alpine:3.15", 0, `"linux/arm/v7": "sha256:`, ""},
		step{"outdated " + lock, 0, alpine + " ... current", ""},
		step{"outdated --noheading alpine:3.15", 0, alpine + " ... current", ""},
		step{"tag alpine:3.15 docker.io/library/gone:1", 0, "", ""},
		step{"outdated", 125, alpine + " ... current ... docker.io/library/gone:1 ... unknown", "Error: "},
		step{"untag alpine:3.15 docker.io/library/gone:1", 0, "", ""},
		step{"inspect alpine:3.15", 0, `"RepoTags"`, ""},
		step{"inspect --format {{.Id}} alpine:3.15 nosuch", 1, "\n", "Error: "},
		step{"inspect --raw --platform linux/arm/v7 alpine:3.15", 0, `"layers"`, ""},
		step{"manifest inspect alpine:3.15", 0, `"manifests": [`, ""},
		step{"check --platform linux/amd64 alpine:3.15 /no/such", 127, "not-found (exit code 127)", ""},
		step{"check --explain --platform linux/amd64 --entrypoint [\"/no/such\"] alpine:3.15", 127, "not-found ...   - ", ""},
		step{"check --platform linux/amd64 --format {{.Verdict}} --entrypoint= --user 1 --workdir / alpine:3.15 /no/such", 127, "not-found\n", ""},
		step{"run --platform linux/amd64 --env A=b --env HOME alpine:3.15 /no/such", 127, "", "Error: "},
		step{"doctor", 0, "*", "Nothing is damaged."},
		step{"doctor --repair --force", 0, "*", "Nothing is damaged."},
	)
	d.push("library/alpine:3.15", 2, "linux/amd64", "linux/arm/v7")
	d.steps(
		step{"outdated -q " + lock, 1, alpine + "\n", ""},
		step{"outdated --locked " + lock + " --format {{.State}}", 1, "outdated\n", ""},
		step{"rmi --all --force", 0, "Deleted", "*"},
		step{"pull --dry-run --locked " + lock + " --platform linux/arm/v7", 0, "linux/arm/v7", "*"},
		step{"pull --locked " + lock + " --platform linux/arm/v7 --format json", 0, `"type":"pulled"`, ""},
		step{"pull --locked " + lock + " --platform linux/s390x", 125, "", "Error: "},
		step{"load -i " + archive, 0, "\n", "PLATFORM"},
		step{"load --quiet " + archive, 0, "\n", ""},
	)
	data, err := os.ReadFile(archive)
	if err != nil {
		t.Fatal(err)
	}
	d.in = string(data)
	d.steps(step{"load", 0, "\n", "*"})
	d.terminal = true
	d.steps(step{"load", 125, "", "name an archive, or give one on standard input"})
}

// TestAccountsAndMachine asks what needs no image.
func TestAccountsAndMachine(t *testing.T) {
	d := newDesk(t)
	host := d.registry.Host
	d.in = "secret\n"
	d.steps(
		step{"login --username alice --password-stdin --tls-verify=false --verbose " + host, 0, "Login Succeeded!", "Used: "},
		step{"login --get-login " + host, 0, "alice\n", ""},
		step{"login --tls-verify=false " + host, 0, "", "Already logged in to " + host + " as alice"},
		step{"login --username bob --password x --tls-verify=false " + host, 0, "Login Succeeded!", "Warning: a password on the command line"},
		step{"login --username bob --tls-verify=false " + host, 125, "", "there is no terminal to ask on"},
		step{"logout " + host, 0, "Removed login credentials for " + host, ""},
		step{"logout " + host, 125, "", "Error: "},
		step{"logout --all", 0, "Removed login credentials for all registries", ""},
		step{"info", 0, "store ... " + d.options().Root + " (not there yet)", "*"},
		step{"info --format {{.Store.Driver}}", 0, "vfs\n", "*"},
		step{"info --format json", 0, `"driver": "vfs"`, "*"},
		step{"version --format json", 0, `"Libraries"`, ""},
		step{"version --format {{.OsArch}}", 0, "linux/", ""},
		step{"completion fish", 0, "complete", ""},
		step{"__describe", 0, `"name": "mpull"`, ""},
	)
	facts := d.file("host.json", d.must("info --host").out)
	d.must("pull --quiet --platform linux/arm/v7 alpine:3.15")
	d.steps(step{"check --host " + facts + " alpine:3.15 /no/such", 127, "not-found", ""})
}

// TestCompletesWhatIsHere completes words from what is in the store.
func TestCompletesWhatIsHere(t *testing.T) {
	d := newDesk(t)
	arm := d.id("pull --quiet --platform linux/arm/v7 alpine:3.15")
	d.must("pull --quiet --platform linux/amd64 alpine:3.15")
	here := newTalk()
	here.store = d.options()
	for typed, want := range map[string]string{
		"restore ":                          arm[:12] + "\tlinux/arm/v7, was " + alpine,
		"restore " + arm[:12] + " ":         alpine + "\tlost by " + arm[:12],
		"use --platform ":                   "linux/amd64\there\nlinux/arm/v7\there\n",
		"pull --platform linux/riscv64 alp": "alpine:3.15\tlinux/amd64\n",
		"pull alpine:3.15 --platform=":      "--platform=linux/arm/v7\there\n",
		"rmi " + arm[:4]:                    arm[:12] + "\tlinux/arm/v7\n",
		"pull --policy=":                    "--policy=always\n--policy=missing\n",
		"pull --cert-dir ":                  ":dirs\n",
		"check alpine:3.15 ":                ":files\n",
		"images --fo":                       "--format\t",
		"lock ":                             ":files\n",
		"prune --protect " + alpine[:10]:    alpine + "\tlinux/amd64\n",
	} {
		got := here.complete(t.Context(), newApp(here.streams), strings.Split(typed, " "))
		if !strings.Contains(got, want) || here.err.Len() > 0 {
			t.Errorf("mpull %s<TAB> offers\n%s%s\nwant %q", typed, got, &here.err, want)
		}
	}
}

// TestPullJob reads the flags of a pull into what the engine is asked for.
func TestPullJob(t *testing.T) {
	retry := engine.Retry{Times: 5}
	o := pullOptions{
		platform: platformFlags{lists: []string{"linux/arm/v7,linux/amd64", "linux/arm64"}}, registry: registryFlags{idle: time.Minute},
		policy: "missing", as: "localhost/x", maxSize: "2GB", maxEntries: 7, noTag: true, keep: true, locked: "",
	}
	job, err := o.job(retry, 1)
	if err != nil {
		t.Fatal(err)
	}
	if len(job.Platforms) != 2 || len(job.Platforms[0]) != 2 || job.As != "localhost/x:latest" || job.Limits.MaxBytes != 2_000_000_000 || job.Limits.MaxEntries != 7 ||
		!job.NoTag || !job.Keep || job.Retry != retry || job.Command != "pull --platform linux/arm/v7,linux/amd64 --platform linux/arm64" {
		t.Errorf("%+v", job)
	}
	locked := pullOptions{policy: "always", locked: "images.lock"}
	if job, err := locked.job(retry, 0); err != nil || job.Command != "pull --locked" {
		t.Errorf("%+v %v", job, err)
	}
	for want, change := range map[string]func(*pullOptions){
		"--as names one image; 2 were given": func(*pullOptions) {},
		"--as: ":                             func(o *pullOptions) { o.as = "A B" },
		"--max-size":                         func(o *pullOptions) { o.maxSize = "0" },
		"--max-entries must not be negative": func(o *pullOptions) { o.maxEntries = -1 },
		"use either --all-platforms":         func(o *pullOptions) { o.all = true },
		"--skip-missing goes with":           func(o *pullOptions) { o.skipMissing = true },
		"always, missing, newer or never":    func(o *pullOptions) { o.policy = "often" },
	} {
		wrong := o
		change(&wrong)
		if _, err := wrong.job(retry, 2); !strings.Contains(told(err), want) {
			t.Errorf("%v, not %q", err, want)
		}
	}
}

// TestPrunePolicy reads the flags of a prune into what may go.
func TestPrunePolicy(t *testing.T) {
	text := func(s string) *string { return &s }
	keep := 3
	o := pruneOptions{
		all: true, leftovers: true, filters: []string{"dangling=true", "platform!=linux/arm"}, keep: &keep,
		whenUsed: text("85%"), untilUsed: text("80"), minAge: text("2h"), protect: []string{"a"},
	}
	policy, err := o.policy(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if !policy.All || !policy.AllDownloads || len(policy.Filters) != 2 || policy.Keep != 3 || policy.Disk.When != 85 || policy.Disk.Until != 80 ||
		policy.MinAge != 2*time.Hour || *policy.Young != 2*time.Hour || !slices.Equal(policy.Protect, []string{"a"}) {
		t.Errorf("%+v", policy)
	}
	for age, want := range map[string]time.Duration{"0": -1, "0s": -1, "3d": 72 * time.Hour} {
		if policy, err := (pruneOptions{minAge: text(age)}).policy(t.Context()); err != nil || policy.MinAge != want {
			t.Errorf("--min-age %s: %s, %v", age, policy.MinAge, err)
		}
	}
	if policy, err := (pruneOptions{}).policy(t.Context()); err != nil || policy.Young != nil || policy.MinAge != 0 {
		t.Errorf("without flags: %+v, %v", policy, err)
	}
}

// TestWhyStays has words for each reason, and no two the same.
func TestWhyStays(t *testing.T) {
	seen := map[string]gc.Reason{}
	for _, reason := range []gc.Reason{
		gc.UsedByContainer, gc.Mounted, gc.Parent, gc.ListMember, gc.Named, gc.Pinned, gc.TooYoung, gc.ReadOnly, gc.PinnedByCRIO,
		gc.Protected, gc.KeptByCount, gc.FilteredOut, gc.TargetReached, gc.Damaged,
	} {
		words := whyStays(&gc.Decision{Reason: reason, ByName: "x", By: "y"})
		if other, ok := seen[words]; ok || words == "" {
			t.Errorf("%s and %s are both %q", reason, other, words)
		}
		seen[words] = reason
	}
	when := time.Date(2026, 1, 2, 3, 4, 5, 0, time.Local)
	for want, images := range map[string][]gc.Decision{
		"":                          {{Reason: gc.Named, Names: []string{"a"}}},
		": the disk is not that":    {{Reason: gc.TargetReached}},
		"1 image pulled or built a": {{Reason: gc.TooYoung, Since: when}},
		": 2 images without a name stay (1 too young, 1 used by containers); --min-age 0": {{Reason: gc.TooYoung, Since: when}, {Reason: gc.UsedByContainer}},
		": 1 image without a name stays (1 in manifest lists); --dry-run":                 {{Reason: gc.ListMember}},
	} {
		if got := whyNothing(&gc.Plan{Images: images}, time.Hour); !strings.Contains(got, want) || want == "" && got != "" {
			t.Errorf("%q, not %q", got, want)
		}
	}
}

// TestEventsOfEachCommandAreJSON holds that with --progress json every line of
// standard error is an event, also when a command fails.
func TestEventsOfEachCommandAreJSON(t *testing.T) {
	d := newDesk(t)
	for _, line := range []string{
		"pull --progress json alpine:3.15 --platform linux/amd64", "pull --progress json --platform linux/s390x alpine:3.15", "tag --progress json alpine:3.15 localhost/x",
		"restore --progress json nosuch", "pull --progress json --policy often x", "pull --progress json --dry-run --platform linux/s390x alpine:3.15", "prune --progress json", "prune --progress json --all --force", "prune --progress json --free 1GB",
	} {
		got := d.mpull(line)
		for event := range strings.Lines(got.err) {
			if !json.Valid([]byte(event)) {
				t.Errorf("mpull %s: %q is no event", line, event)
			}
		}
		if got.code != 0 && !strings.Contains(got.err, `"type":"error"`) && !strings.Contains(got.err, `"type":"note"`) {
			t.Errorf("mpull %s = %d says %q", line, got.code, got.err)
		}
	}
}

// TestDoctorRepairs damages a store: that is found, told, and removed when asked
// for.
func TestDoctorRepairs(t *testing.T) {
	d := newDesk(t)
	d.must("pull --quiet --platform linux/amd64 alpine:3.15")
	layers, err := filepath.Glob(filepath.Join(d.options().Root, "vfs", "dir", "*"))
	if err != nil || len(layers) != 1 {
		t.Fatal(layers, err)
	}
	if err := os.RemoveAll(layers[0]); err != nil {
		t.Fatal(err)
	}
	d.steps(
		step{"doctor", 1, "damaged layer ... damaged image ... " + alpine, ""},
		step{"doctor --repair", 125, "damaged", "there is no terminal to ask on"},
		step{"doctor --repair --force", 0, "removed ", "bring it back:  mpull pull " + alpine + " ... Nothing is damaged."},
	)
}
