package preflight

import (
	"strings"

	"github.com/mpull/mpull/engine/platform"
)

// Platforms compares what an image says of itself with its files.
type Platforms struct {
	Claimed string `json:"claimed"`         // by the config, with the index's variant where it has none; empty when it says nothing
	Index   string `json:"index,omitempty"` // by the index, when that differs from the config
	Actual  string `json:"actual"`          // from the header of the program; empty when it has none
}

// Lie reports whether the files are for another architecture than config or
// index claim, or need a higher arm level than claimed.
func (p Platforms) Lie() bool { return p.Liar() != "" }

// Liar returns what of the image claims another platform than that of its
// files, and which, as the beginning of a sentence; "" when nothing does.
func (p Platforms) Liar() string {
	for _, c := range []struct{ who, claimed string }{{"the image", p.Claimed}, {"the index", p.Index}} {
		if c.claimed != "" && p.Actual != "" && !sameMachine(c.claimed, p.Actual) {
			return c.who + " says it is for " + c.claimed
		}
	}
	return ""
}

// claim is a platform that an image names.
func claim(p platform.Platform) string {
	if !p.Complete() {
		return "" // half a platform is no claim that a file could belie
	}
	return p.String()
}

// otherClaim is what the index claims, when the config claims something else.
func otherClaim(config, index platform.Platform) string {
	if !index.Complete() {
		return ""
	}
	levels := config.Variant == index.Variant || config.Variant == "" || index.Variant == ""
	if config.OS == index.OS && config.Architecture == index.Architecture && levels {
		return ""
	}
	return claim(index)
}

// machineOf cuts a platform's text down to os/arch.
func machineOf(p string) string {
	parts := strings.SplitN(p, "/", 3)
	return strings.Join(parts[:min(2, len(parts))], "/")
}

func machineName(p string) string {
	_, arch, _ := strings.Cut(machineOf(p), "/")
	return arch
}

// sameMachine compares a claimed platform with what a file's header shows. A
// level is compared on arm only, where attributes of the file tell it: a file
// for a lower level is no lie.
func sameMachine(claimed, actual string) bool {
	if machineOf(claimed) != machineOf(actual) {
		return false
	}
	c, a := variantOf(claimed), variantOf(actual)
	return c == "" || a == "" || machineName(claimed) != "arm" || a <= c
}

func variantOf(p string) string { return strings.TrimPrefix(p[len(machineOf(p)):], "/") }
