package platform

import (
	"cmp"
	"slices"
	"strings"
)

// spell returns p in lower case, without blanks around its fields, with the aliases of operating systems,
// architectures and variants replaced by the names of GOOS, GOARCH and the OCI
// image specification. It adds no variant unless the architecture's alias
// contains one (armhf is arm/v7). Only Windows keeps its version: of others it
// decides nothing.
func spell(p Platform) Platform {
	switch p.OS = lower(strings.TrimSpace(p.OS)); p.OS {
	case "macos":
		p.OS = "darwin"
	case "wasip1":
		p.OS = "wasi" // as most images of it say
	}
	if p.OS != "windows" {
		p.OSVersion = ""
	}
	arch, implied := spellArch(lower(strings.TrimSpace(p.Architecture)))
	p.Architecture = arch
	p.Variant = cmp.Or(implied, spellVariant(arch, lower(strings.TrimSpace(p.Variant))))
	return p
}

// lower lowers ASCII letters and leaves all other bytes alone. strings.ToLower
// maps foreign letters such as the Kelvin sign to ASCII and replaces invalid
// bytes, so that two different names would become one.
func lower(s string) string {
	b := []byte(s)
	for i, c := range b {
		if 'A' <= c && c <= 'Z' {
			b[i] = c + 'a' - 'A'
		}
	}
	return string(b)
}

// spellArch returns the GOARCH name of an architecture and the variant that its
// alias implies. The aliases are those of github.com/containerd/platforms, the
// names that uname -m, dpkg --print-architecture and rpm give the same machines,
// and those of the repositories of Docker's official images (arm32v7).
func spellArch(arch string) (name, variant string) {
	if name, variant, ok := spellLevel(arch); ok {
		return name, variant
	}
	if other, ok := aliases[arch]; ok {
		name, variant, _ = strings.Cut(other, "/")
		return name, variant
	}
	return arch, ""
}

// aliases are architectures by their other names, with the variants that those imply.
//
//nolint:gochecknoglobals // a constant table
var aliases = map[string]string{
	"x86_64": "amd64", "x86-64": "amd64", "x64": "amd64",
	"i386": "386", "i486": "386", "i586": "386", "i686": "386", "x86": "386", "x86_32": "386", "x86-32": "386", "ia32": "386",
	"aarch64": "arm64", "aarch64_be": "arm64be", "armeb": "armbe", "armel": "arm/v6", "armhf": "arm/v7", "armhfp": "arm/v7", "armv8l": "arm/v8",
	"wasm32": "wasm", "ppc64el": "ppc64le", "powerpc64le": "ppc64le", "mipsel": "mipsle", "mips64el": "mips64le",
	"loongarch64": "loong64", "riscv64gc": "riscv64", "rv64gc": "riscv64", "rv64": "riscv64",
}

// spellLevel takes apart the names that have the level in them: x86-64-v3,
// amd64v3, arm64v8, arm32v7, armv7, armv7l, armv6hf.
func spellLevel(arch string) (name, variant string, ok bool) {
	for _, p := range []struct{ prefix, arch, levels string }{
		{"x86-64-v", "amd64", "1234"}, {"amd64v", "amd64", "1234"}, {"amd64-v", "amd64", "1234"},
		{"arm64v", "arm64", "89"}, {"arm64-v", "arm64", "89"}, {"arm32v", "arm", "5678"},
	} {
		level, found := strings.CutPrefix(strings.ReplaceAll(arch, "_", "-"), p.prefix)
		if found && len(level) == 1 && strings.Contains(p.levels, level) {
			return p.arch, "v" + level, true
		}
	}
	level, found := strings.CutPrefix(arch, "armv")
	if found && level != "" && '5' <= level[0] && level[0] <= '7' && isWord(level[1:]) {
		return "arm", "v" + level[:1], true
	}
	return "", "", false
}

// isWord reports whether s has lower-case letters only.
func isWord(s string) bool {
	return strings.Trim(s, "abcdefghijklmnopqrstuvwxyz") == ""
}

// spellVariant returns "v7" for arm's "7", "v7l", "armv7" and "armhf", "v3" for
// amd64's "x86-64-v3", "v8" for arm64's "armv8", "v8.2" for its "8.2", and drops
// the ".0" of arm64's "v8.0" and "v9.0" and the "v8" of what is not arm.
func spellVariant(arch, variant string) string {
	if a, v := spellArch(variant); a == arch && v != "" {
		return v
	}
	if level, ok := strings.CutPrefix(variant, "armv"); ok && (arch == "arm" || arch == "arm64") {
		variant = "v" + level
	}
	switch arch {
	case "amd64", "386", "ppc64le", "riscv64", "s390x":
		if variant == "v8" {
			return "" // buildah on arm64 gave its own to all images (podman#22730)
		}
	}
	switch arch {
	case "amd64", "arm", "arm64":
		if variant != "" && '0' <= variant[0] && variant[0] <= '9' {
			variant = "v" + variant
		}
	}
	if arch == "arm" && len(variant) > 2 && variant[0] == 'v' && '5' <= variant[1] && variant[1] <= '8' && isWord(variant[2:]) {
		variant = variant[:2]
	}
	if arch == "arm64" && (variant == "v8.0" || variant == "v9.0") {
		variant = strings.TrimSuffix(variant, ".0")
	}
	return variant
}

// isOS reports whether s is a value of GOOS for which images exist or may exist,
// wasi standing for wasip1.
func isOS(s string) bool {
	return slices.Contains([]string{
		"aix", "android", "darwin", "dragonfly", "freebsd", "illumos", "ios", "js", "linux",
		"netbsd", "openbsd", "plan9", "solaris", "wasi", "windows", "zos",
	}, s)
}

// isArch reports whether s is a value of GOARCH, or a machine that QEMU emulates.
func isArch(s string) bool {
	return slices.Contains([]string{
		"386", "alpha", "amd64", "arm", "arm64", "arm64be", "armbe", "loong64", "m68k", "mips", "mips64", "mips64le", "mips64p32", "mips64p32le", "mipsle",
		"ppc", "ppc64", "ppc64le", "riscv32", "riscv64", "s390x", "sh4", "sparc", "sparc64", "wasm",
	}, s)
}
