package platform

import (
	"fmt"
	"strings"
)

// checkAsked refuses a request that no image can answer, with what was probably
// meant: a level that the architecture does not have. What nobody knows may be
// in an index all the same, and is left to it.
func checkAsked(p Platform) error {
	v := p.Variant
	if len(v) < 2 || v[0] != 'v' || v[1] < '0' || v[1] > '9' || isLevel(p.Architecture, v) {
		return nil
	}
	var has string
	switch p.Architecture {
	case "amd64":
		has = "x86-64-v1 to v4, written as in " + p.OS + "/amd64/v3"
	case "arm":
		if v == "v4" {
			return nil // armv4t, of which no image is known
		}
		has = "v5 to v8, written as in " + p.OS + "/arm/v7"
	case "arm64":
		has = "v8, v8.1 to v8.9, v9 and v9.1 to v9.9, written as in " + p.OS + "/arm64/v8"
	default:
		return nil
	}
	return fmt.Errorf("%s has no level %q: it has %s", p.Architecture, v, has)
}

// reordered returns how a platform that names its architecture first is
// written: arm/v7 is linux/arm/v7, amd64/linux is linux/amd64; "" for others.
func reordered(s string) string {
	fields := strings.Split(lower(s), "/")
	first, _ := spellArch(fields[0])
	if !isArch(first) || isOS(fields[0]) {
		return ""
	}
	os, rest := "linux", fields[1:]
	if len(rest) > 0 && isOS(rest[0]) {
		os, rest = rest[0], rest[1:]
	}
	p, err := Parse(strings.Join(append([]string{os, fields[0]}, rest...), "/"))
	if err != nil {
		return ""
	}
	return p.String()
}

// joined returns how a platform that has something else than a slash between
// operating system and architecture is written: linux-amd64 is linux/amd64; ""
// for others.
func joined(s string) string {
	for i, c := range []byte(s) {
		if strings.IndexByte("-_:. ", c) < 0 || !isOS(lower(s[:i])) {
			continue
		}
		rest := strings.NewReplacer("-", "/", ":", "/", " ", "/").Replace(s[i+1:])
		for _, tail := range []string{s[i+1:], rest} {
			if p, err := Parse(s[:i] + "/" + tail); err == nil && isArch(p.Architecture) {
				return p.String()
			}
		}
	}
	return ""
}
