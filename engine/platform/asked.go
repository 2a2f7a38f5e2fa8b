package platform

import (
	"cmp"
	"fmt"
	"strings"
)

// checkAsked refuses a request that no image can answer, with what was probably
// meant: a name that is often written for another, or a level that the
// architecture does not have. What nobody knows may be in an index all the same,
// and is left to it.
func checkAsked(p Platform) error {
	if meant := meant(p); meant != "" {
		return fmt.Errorf("%s is no platform: write %s", p, meant)
	}
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

// meant is what to write for a platform of which a part is a common mistake, ""
// for others.
func meant(p Platform) string {
	if isOS(p.Variant) && isArch(p.Architecture) { // linux/amd64/linux, docker/linux/amd64
		p.Variant = ""
		return p.String()
	}
	if isOS(p.Architecture) && !isOS(p.OS) && isArch(p.Variant) {
		return p.Architecture + "/" + p.Variant
	}
	os, arch := osMeant(p.OS), archMeant(p.Architecture)
	if os == "" && arch == "" {
		return ""
	}
	p.OS, p.Architecture = cmp.Or(os, p.OS), cmp.Or(arch, p.Architecture)
	if p.Architecture == "arm64" && p.OS == "linux" && p.Variant == "" && arch != "" {
		return "linux/arm64, or linux/arm/v8 for 32-bit programs"
	}
	return p.String()
}

// osMeant is the operating system that people mean by a name that is none.
func osMeant(os string) string {
	return map[string]string{
		"win": "windows", "win32": "windows", "win64": "windows",
		"mac": "darwin", "osx": "darwin", "macosx": "darwin",
		"gnu": "linux", "gnulinux": "linux", "alpine": "linux", "debian": "linux", "ubuntu": "linux", "fedora": "linux", "rhel": "linux",
	}[os]
}

// archMeant is the architecture that people mean by a name that is none, or is
// that of two.
func archMeant(arch string) string {
	return map[string]string{
		"amd": "amd64", "intel": "amd64", "intel64": "amd64",
		"arm-v7": "arm/v7", "arm7": "arm/v7", "armv7-hf": "arm/v7", "arm-v6": "arm/v6", "arm6": "arm/v6",
		"armv8": "arm64", "armv9": "arm64", "armv8a": "arm64", "armv8-a": "arm64", "arm8": "arm64", "arm64-8": "arm64", "arm-v8": "arm64",
		"loongarch": "loong64", "loong": "loong64", "riscv": "riscv64", "s390": "s390x",
		"ppc64-le": "ppc64le", "ppc64_le": "ppc64le", "powerpc64el": "ppc64le",
	}[arch]
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
	if len(rest) > 0 && spellOf(rest[0]) == first {
		rest = rest[1:]
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

// tidied returns how a platform is written that has blanks around its slashes,
// other slashes, too many parts, or the version of Windows behind it, where that
// is a platform; "" for others.
func tidied(s string) string {
	if len(s) > 4*maxSpecifier {
		return ""
	}
	var parts []string
	for part := range strings.SplitSeq(strings.ReplaceAll(s, `\`, "/"), "/") {
		if part = strings.TrimSpace(part); part != "" {
			parts = append(parts, part)
		}
	}
	if n := len(parts); n > 1 {
		if arch, version, ok := strings.Cut(parts[n-1], ":"); ok && lower(parts[0]) == "windows" && isArch(spellOf(arch)) {
			parts = []string{"windows(" + version + ")", arch}
		}
	}
	for len(parts) > 3 && isOS(lower(parts[0])) {
		parts = parts[:3]
	}
	better := strings.Join(parts, "/")
	if better == s || len(parts) < 2 {
		return ""
	}
	p, err := Parse(better)
	if err != nil || !isOS(p.OS) || !isArch(p.Architecture) {
		return ""
	}
	return p.String()
}

func spellOf(arch string) string {
	name, _ := spellArch(lower(arch))
	return name
}

// isWordFor reports whether s, in any spelling, is of a kind of names.
func isWordFor(kind func(string) bool, s string) bool {
	return kind(lower(s)) || kind(spellOf(s))
}
