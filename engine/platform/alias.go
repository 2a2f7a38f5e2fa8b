package platform

import "strings"

// spell returns p in lower case, with the aliases of operating systems,
// architectures and variants replaced by the names of GOOS, GOARCH and the OCI
// image specification. It adds no variant unless the architecture's alias
// contains one (armhf is arm/v7).
func spell(p Platform) Platform {
	p.OS = lower(p.OS)
	if p.OS == "macos" {
		p.OS = "darwin"
	}
	arch, implied := spellArch(lower(p.Architecture))
	p.Architecture = arch
	p.Variant = spellVariant(arch, lower(p.Variant))
	if implied != "" {
		p.Variant = implied
	}
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
// alias implies. The aliases are those of github.com/containerd/platforms and the
// names that uname -m and dpkg --print-architecture give the same machines.
func spellArch(arch string) (name, variant string) {
	switch arch {
	case "x86_64", "x86-64":
		return "amd64", ""
	case "i386", "i486", "i586", "i686":
		return "386", ""
	case "aarch64":
		return "arm64", ""
	case "armel", "armv6", "armv6l":
		return "arm", "v6"
	case "armhf", "armv7", "armv7l":
		return "arm", "v7"
	case "armv8l":
		return "arm", "v8"
	case "ppc64el":
		return "ppc64le", ""
	case "mipsel":
		return "mipsle", ""
	case "mips64el":
		return "mips64le", ""
	case "loongarch64":
		return "loong64", ""
	}
	return arch, ""
}

// spellVariant returns "v7" for arm's "7", "v8.2" for arm64's "8.2", and drops
// the ".0" of arm64's "v8.0" and "v9.0".
func spellVariant(arch, variant string) string {
	switch arch {
	case "amd64", "arm", "arm64":
		if variant != "" && '0' <= variant[0] && variant[0] <= '9' {
			variant = "v" + variant
		}
	}
	if arch == "arm64" && (variant == "v8.0" || variant == "v9.0") {
		variant = strings.TrimSuffix(variant, ".0")
	}
	return variant
}

// isOS reports whether s is a value of GOOS for which images exist or may exist.
func isOS(s string) bool {
	switch s {
	case "aix", "android", "darwin", "dragonfly", "freebsd", "illumos", "ios", "js", "linux",
		"netbsd", "openbsd", "plan9", "solaris", "wasip1", "windows", "zos":
		return true
	}
	return false
}

// isArch reports whether s is a value of GOARCH.
func isArch(s string) bool {
	switch s {
	case "386", "amd64", "arm", "arm64", "loong64", "mips", "mips64", "mips64le", "mipsle",
		"ppc64", "ppc64le", "riscv64", "s390x", "wasm":
		return true
	}
	return false
}
