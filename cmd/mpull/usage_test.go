package main

import (
	"strings"
	"testing"

	"github.com/mpull/mpull/store"
)

// TestWrongValues gives each command what it does not take: all of them end with
// 125, print no data and name the flag, and none makes a store.
func TestWrongValues(t *testing.T) {
	d := newDesk(t)
	d.registry.Requests() // those that filled it
	for line, want := range map[string]string{
		"--root= images":                                      "--root has an empty value; leave it away for the default",
		"--policy-file= images":                               "--policy-file has an empty value",
		"--root /dev/null images":                             "--root /dev/null is no folder",
		"pull --idle-timeout 0s x":                            "--idle-timeout must be more than 0",
		"pull --authfile /no/file x":                          "/no/file",
		"pull --creds me x":                                   "--creds me has no password, and there is no terminal to ask on",
		"pull --progress loud x":                              `unknown --progress "loud": use auto, plain, json or none`,
		"pull --format {{.ID}} x":                             "a --format other than json goes with --dry-run",
		"pull --locked /no/file":                              "reading the lock file",
		"pull --locked /no/file --as y x":                     "--locked does not go with --as",
		"load a b":                                            "usage: mpull load [flags] [FILE]",
		"load -i a b":                                         "load reads one archive: a or b",
		"load https://host/a.tar":                             "curl -fL https://host/a.tar | mpull load",
		"load /no/file":                                       "reading the archive",
		"load --progress loud a":                              "unknown --progress",
		"images --sort colour":                                "colour",
		"images --format {{.Nam}}":                            `there is no field "Nam"; did you mean .Names?`,
		"images --tree --format {{.ID}}":                      "--tree prints text or --format json",
		"images --filter since":                               "since",
		"image exists":                                        "usage: mpull image exists IMAGE",
		"image info a b":                                      "usage: mpull image info [flags] IMAGE",
		"image inspect":                                       "usage: mpull image inspect [flags] IMAGE...",
		"platforms":                                           "usage: mpull platforms [flags] IMAGE",
		"platforms --filter-by-os ( x":                        "(",
		"tags --limit -1 x":                                   "--limit -1: use 0 for all tags",
		"tags --format {{.Tag}} x":                            "did you mean .Tags?",
		"inspect --type container x":                          "mpull inspects images only",
		"inspect --raw --format json x":                       "--raw prints bytes as they are",
		"inspect --raw a b":                                   "stand for one image; 2 were given",
		"inspect docker://a docker://b":                       "stand for one image; 2 were given",
		"inspect --platform linux/arm,linux/amd64 x":          "a local image is of one platform; several were given",
		"inspect --platform a --platform b docker://x":        "--platform",
		"inspect --config --format {{.Nothing}} x":            `there is no field "Nothing"`,
		"inspect --format {{.Nothing}} docker://x":            `there is no field "Nothing"`,
		"manifest inspect":                                    "usage: mpull manifest inspect [flags] IMAGE",
		"match --format {{.X}} x":                             `there is no field "X"`,
		"match --platform linux/arm --platform linux/arm64 x": "one --platform, please",
		"prune x":                                "usage: mpull prune [flags]",
		"prune --format yaml":                    `unknown --format "yaml": use json`,
		"prune --keep -1":                        "--keep -1: the number must not be negative",
		"prune --free much":                      "--free:",
		"prune --free=":                          "--free:",
		"prune --when-used 101":                  `--when-used "101": write a percentage from 1% to 100%`,
		"prune --until-used x":                   `--until-used "x": write a percentage`,
		"prune --when-used 80% --until-used 85%": "it is the lower of the two",
		"prune --free 1GB --until-used 85%":      "use either --free or --when-used and --until-used",
		"prune --min-age yesterday":              `--min-age "yesterday": write an age such as 10m, 12h or 7d`,
		"prune --min-age=":                       "--min-age",
		"prune --protect=":                       "--protect needs a reference",
		"prune --protect-file /no/file":          "reading what is protected",
		"prune --apply plan --all":               "--apply removes what the plan says; --all belongs to making one",
		"prune --apply plan --keep 0":            "--keep belongs to making one",
		"prune --apply=":                         "--apply has an empty value",
		"prune --progress loud":                  "unknown --progress",
		"df x":                                   "usage: mpull df [flags]",
		"df --format {{.X}}":                     `there is no field "X"`,
		"df -v --format {{.X}}":                  `there is no field "X"`,
		"tag x":                                  "usage: mpull tag IMAGE NAME...",
		"tag --progress loud x y":                "unknown --progress",
		"untag":                                  "usage: mpull untag IMAGE [NAME...]",
		"rmi":                                    "usage: mpull rmi [flags] IMAGE...",
		"rmi --all x":                            "rmi --all removes all images: it takes no name and no platform",
		"rmi --all --platform linux/arm":         "it takes no name and no platform",
		"rmi --platform linux/arm --platform linux/arm64 x": "rmi takes one platform",
		"rmi --platform linux/arm --os linux x":             "not both",
		"rmi --arch z80/x x":                                "z80",
		"check":                                             "usage: mpull check [flags] IMAGE [COMMAND...]",
		"check --host /no/file x":                           "reading the host's facts",
		"check --host /dev/null x":                          "reading /dev/null",
		"check --platform linux/arm,linux/arm64 x":          "check takes one platform",
		"check --remote --platform linux/arm --arch arm x":  "not both",
		"check --format {{.X}} x":                           `there is no field "X"`,
		"run":                                               "usage: mpull run [flags] IMAGE [COMMAND...]",
		"run --network bridge x":                            `unknown --network "bridge": use none or host`,
		"run --env =x x":                                    `--env "=x": use NAME=VALUE`,
		"run -t x":                                          "--tty passes a terminal on, and there is none here",
		"run --platform linux/arm,linux/arm64 x":            "run takes one platform",
		"why":                                               "usage: mpull why [flags] IMAGE",
		"why --format {{.X}} x":                             `there is no field "X"`,
		"restore":                                           "usage: mpull restore IMAGE [NAME]",
		"restore a b c":                                     "usage: mpull restore IMAGE [NAME]",
		"restore --progress loud x":                         "unknown --progress",
		"use x":                                             "use takes exactly one platform: --platform OS/ARCH[/VARIANT]",
		"use --platform linux/arm,linux/arm64 x":            "use takes exactly one platform",
		"use --platform linux/what/is/this x":               "--platform linux/what/is/this:",
		"login":                                             "usage: mpull login [flags] REGISTRY",
		"login --password-stdin quay.io":                    "--password-stdin needs --username",
		"login --username a --password b --password-stdin quay.io": "use either --password or --password-stdin",
		"logout":                     "usage: mpull logout [flags] REGISTRY | --all",
		"logout --all host":          "usage: mpull logout",
		"info x":                     "usage: mpull info [flags]",
		"info --format {{.X}}":       `there is no field "X"`,
		"doctor x":                   "usage: mpull doctor [flags]",
		"lock":                       "usage: mpull lock [flags] FILE [IMAGE...]",
		"lock alpine:3.15":           "mpull lock images.lock alpine:3.15",
		"lock /dev/null x":           "reading the lock file /dev/null",
		"outdated --locked /no/file": "reading the lock file",
		"save":                       "usage: mpull save -o FILE [flags] IMAGE...",
		"save --format docker-dir x": "mpull writes one archive that is oci-archive and docker-archive",
		"save --all-platforms --platform linux/arm -o f x": "use either --all-platforms or chosen ones",
		"version --format {{.X}}":                          `there is no field "X"`,
		"completion":                                       "usage: mpull completion bash|zsh|fish",
		"__describe x":                                     "usage: mpull __describe",
		"pull --as= x":                                     "--as has an empty value",
		"pull --locked= x":                                 "--locked has an empty value",
		"pull --max-size= x":                               "--max-size has an empty value",
		"outdated --locked=":                               "--locked has an empty value",
		"check --host= x":                                  "--host has an empty value",
		"check --remote --platform linux/arm --platform linux/amd64 x": "check --remote takes one platform, or a list",
	} {
		got := d.mpull(line)
		if got.code != exitFailed || got.out != "" || !strings.Contains(got.err, want) {
			t.Errorf("mpull %s = %d\nout: %s\nerr: %s\nwant %q", line, got.code, got.out, got.err, want)
		}
		if strings.Count(got.err, "\n") > 2 || !strings.HasPrefix(got.err, "Error: ") {
			t.Errorf("mpull %s says more than a line and a hint:\n%s", line, got.err)
		}
	}
	if store.Present(d.options()) {
		t.Error("a wrong value made a store")
	}
	if asked := d.registry.Requests(); len(asked) > 0 {
		t.Errorf("for wrong values the registry was asked: %q", asked)
	}
}

// TestEmptyRegistry logs out of the registry in a variable that is not set: that
// names none, and beside --all it does not stand for all of them.
func TestEmptyRegistry(t *testing.T) {
	d := newDesk(t)
	for _, words := range [][]string{{"logout", ""}, {"logout", "--all", ""}} {
		if got := d.words(words); got.code != exitFailed || !strings.Contains(got.err, "usage: mpull logout") {
			t.Errorf("mpull %q = %d\nout: %s\nerr: %s", words, got.code, got.out, got.err)
		}
	}
}
