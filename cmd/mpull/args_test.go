package main

import (
	"bytes"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/urfave/cli/v2"
)

func testApp() *cli.App {
	var out, err bytes.Buffer
	return newApp(&streams{in: strings.NewReader(""), out: escaper{&out}, err: escaper{&err}, rawOut: &out, rawErr: &err})
}

func TestStraighten(t *testing.T) {
	for _, tt := range []struct{ in, want string }{
		{"alpine", "pull -- alpine"},
		{"alpine -q", "pull -q -- alpine"},
		{"-q alpine", "pull -q -- alpine"},
		{"pull alpine", "pull -- alpine"},
		{"pull alpine busybox -q", "pull -q -- alpine busybox"},
		{"--arch arm --os linux --variant v7 alpine:3.15", "pull --arch arm --os linux --variant v7 -- alpine:3.15"},
		{"alpine:3.15 --arch=arm", "pull --arch=arm -- alpine:3.15"},
		{"--override-arch arm alpine", "pull --override-arch arm -- alpine"},
		{"images", "images"},
		{"images --root /x", "--root /x images"},
		{"--root /x images -a", "--root /x images -a"},
		{"images -aq", "images -a -q"},
		{"-q images", "images -q"},
		{"ls", "images"},
		{"image rm -f alpine", "rmi -f -- alpine"},
		{"image pull --quiet alpine", "pull --quiet -- alpine"},
		{"image prune", "prune"},
		{"image ls alpine --format json", "image ls --format json -- alpine"},
		{"rmi app --force", "rmi --force -- app"},
		{"rmi -- --force", "rmi -- --force"},
		{"-- images", "pull -- images"},
		{"pull images", "pull -- images"},
		{"pull -", "pull -- -"},
		{"--retry 3 alpine", "pull --retry 3 -- alpine"},
	} {
		got, err := newLine(testApp()).straighten(append([]string{"mpull"}, strings.Fields(tt.in)...))
		if err != nil {
			t.Errorf("mpull %s: %v", tt.in, err)
			continue
		}
		if want := append([]string{"mpull"}, strings.Fields(tt.want)...); !slices.Equal(got, want) {
			t.Errorf("mpull %s is read as %q, want %q", tt.in, got, want)
		}
	}
}

func TestStraightenRefuses(t *testing.T) {
	for _, tt := range []struct{ in, want string }{
		{"imges", `did you mean "images"`},
		{"prnue --force", "did you mean"},
		{"images --qiet", "did you mean --quiet"},
		{"rmi app --forse", "did you mean --force"},
		{"pull --frobnicate alpine", "mpull pull has no flag --frobnicate"},
		{"--root alpine:3.15", `--root took "alpine:3.15" for its value; mpull --root VALUE alpine:3.15`},
		{"--root=/x", "name an image or a command"},
		{"-q", "name an image or a command"},
		{"pull --tls-verify false alpine", "--tls-verify takes no value; write --tls-verify=false"},
		{"pull --quiet=maybe alpine", `--quiet takes true or false, or nothing, not "maybe"`},
		{"pull --retry x alpine", `--retry takes a whole number, not "x"`},
		{"pull --idle-timeout 5 alpine", `--idle-timeout takes a number with a unit, such as 30s or 5m, not "5"`},
		{"prune --keep=x", `--keep takes a whole number, not "x"`},
		{"rmi -y alpine", "has no flag -y; did you mean --force?"},
		{"rmi --yes alpine", "has no flag --yes; did you mean --force?"},
		{"pull -u me:x alpine", "has no flag -u; did you mean --creds?"},
		{"pull -f alpine", "has no flag -f; with that letter there is --format"},
		{"pull -a alpine", "has no flag -a; with that letter there is --all-platforms, --arch, --as, --authfile"},
		{"--retry 3 --version", "mpull version has no flag --retry"},
		{"pull --all-tags alpine", "mpull tags NAME lists them"},
		{"pull --decryption-key k alpine", "use skopeo copy --decryption-key"},
		{"login --secret s quay.io", "--password-stdin HOST"},
		{"--retry 3 why alpine", "mpull why has no flag --retry"},
		{"--all alpine", "mpull pull has no flag --all; mpull pull --all-platforms NAME"},
		{"pull alpine --retry", "--retry needs a value"},
		{"image nosuch", `there is no command "image nosuch"`},
		{"images -xq", "has no flag -xq"},
	} {
		_, err := newLine(testApp()).straighten(append([]string{"mpull"}, strings.Fields(tt.in)...))
		var usage *usageError
		if !errors.As(err, &usage) || !strings.Contains(usage.text+"; "+usage.next, tt.want) {
			t.Errorf("mpull %s: %v, want a usage error with %q", tt.in, err, tt.want)
		}
	}
}

// FuzzStraighten holds that no command line makes it panic or lose a word
// that follows "--".
func FuzzStraighten(f *testing.F) {
	for _, s := range []string{"alpine -q", "image ls -- x", "-aq", "--arch=", "--", "run a -b"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		words := strings.Split(s, " ")
		got, err := newLine(testApp()).straighten(append([]string{"mpull"}, words...))
		if err != nil {
			return
		}
		if at := slices.Index(words, "--"); at >= 0 {
			for _, name := range words[at+1:] {
				if !slices.Contains(got, name) {
					t.Errorf("%q: %q is lost in %q", words, name, got)
				}
			}
		}
	})
}
