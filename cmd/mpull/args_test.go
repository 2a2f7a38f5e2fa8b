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
		got, err := straighten(testApp(), append([]string{"mpull"}, strings.Fields(tt.in)...))
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
		{"pull --frobnicate alpine", "mpull pull has no flag --frobnicate; see mpull pull --help"},
		{"pull alpine --retry", "--retry needs a value"},
		{"image nosuch", `there is no command "image nosuch"`},
		{"images -xq", "has no flag -xq"},
	} {
		_, err := straighten(testApp(), append([]string{"mpull"}, strings.Fields(tt.in)...))
		var usage *usageError
		if !errors.As(err, &usage) || !strings.Contains(err.Error(), tt.want) {
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
		got, err := straighten(testApp(), append([]string{"mpull"}, words...))
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
