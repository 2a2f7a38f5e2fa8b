package platform

import (
	"cmp"
	"strconv"
	"strings"
)

// Platform names an operating system, a processor architecture and, where the
// architecture has levels, a variant. The values are those of GOOS, GOARCH and
// the OCI image specification ("linux", "arm", "v7"). Of Windows, whose
// containers run on some versions of it only, the version belongs to it too.
//
// Values made by this package hold only [a-z0-9._-]. A Platform decoded from an
// image or an index can hold anything: escape it before a terminal sees it.
type Platform struct {
	OS           string `json:"os"`
	Architecture string `json:"architecture"`
	Variant      string `json:"variant,omitempty"`
	OSVersion    string `json:"osVersion,omitempty"` // of Windows ("10.0.17763.1"), else ""
}

// String returns os/arch or os/arch/variant; of Windows with a version
// windows(VERSION)/arch, as containerd writes it. It is "" for a platform that
// says nothing; "unknown" stands where one says only half.
func (p Platform) String() string {
	if p == (Platform{}) {
		return ""
	}
	s := cmp.Or(p.OS, "unknown")
	if p.OSVersion != "" {
		s += "(" + p.OSVersion + ")"
	}
	s += "/" + cmp.Or(p.Architecture, "unknown")
	if p.Variant != "" {
		s += "/" + p.Variant
	}
	return s
}

// Flag returns the option that asks for p, as it is typed in a shell; "" where
// none can, as p is of foreign origin and no platform.
func (p Platform) Flag() string {
	if _, err := ParseRequest(p.String(), p); err != nil {
		return ""
	}
	if p.OSVersion != "" {
		return "--platform '" + p.String() + "'"
	}
	return "--platform " + p.String()
}

// Normalize returns the one form of all platforms that mean the same: aliases
// become the names of GOOS and GOARCH, arm without a variant becomes arm/v7,
// arm64/v8 becomes arm64 and amd64/v1 becomes amd64. These are the rules of
// github.com/containerd/platforms, which podman applies to what its user asks.
// Normalize is idempotent and never fails: what it does not know it lower-cases.
//
// It serves comparing. To choose from an index use [Choose], where arm64 and
// arm64/v8, though the same, have different first preferences.
func (p Platform) Normalize() Platform {
	p = spell(p)
	switch {
	case p.Architecture == "arm" && p.Variant == "":
		p.Variant = "v7"
	case isBaseline(p.Architecture, p.Variant):
		p.Variant = ""
	}
	return p
}

// Canonical returns p in the spelling of GOOS, GOARCH and the OCI image
// specification: x86_64 is amd64, armhf is arm/v7, Linux is linux. Unlike
// [Platform.Normalize] it adds and drops no variant. Images and indexes are
// written by hand and by many tools; what is read from them goes through it once.
func (p Platform) Canonical() Platform { return spell(p) }

// CompletedBy returns what a config claims, with what it leaves out taken from
// what the index says of the image: many images are labelled only there. Where
// the two contradict each other the config is believed.
func (p Platform) CompletedBy(index Platform) Platform {
	index = spell(index)
	if index.isUnknown() || p.OS != "" && p.OS != index.OS || p.Architecture != "" && p.Architecture != index.Architecture {
		return p
	}
	return Platform{
		OS: index.OS, Architecture: index.Architecture,
		Variant: cmp.Or(p.Variant, index.Variant), OSVersion: cmp.Or(p.OSVersion, index.OSVersion),
	}
}

// Same reports whether p and q mean one platform, that is, have one normal form.
// So an image whose config says only "arm" is the linux/arm/v7 that was asked
// for, and is not linux/arm/v6: nothing in it promises to run there. A Windows
// without a version is the same as any.
func (p Platform) Same(q Platform) bool {
	a, b := p.Normalize(), q.Normalize()
	if a.OSVersion == "" || sameVersion(b.OSVersion, a.OSVersion) {
		b.OSVersion = a.OSVersion
	}
	if b.OSVersion == "" || sameVersion(a.OSVersion, b.OSVersion) {
		a.OSVersion = b.OSVersion
	}
	return a == b
}

// sameVersion reports whether have is the version wanted, which may leave out
// the last numbers: 10.0.17763 is 10.0.17763.4010, and not 10.0.177.
func sameVersion(have, wanted string) bool {
	return have == wanted || strings.HasPrefix(have, wanted+".")
}

// contradicts reports whether p says another operating system or architecture
// than q, as far as it says any.
func (p Platform) contradicts(q Platform) bool {
	p = spell(p)
	return p.OS != "" && p.OS != q.OS || p.Architecture != "" && p.Architecture != q.Architecture
}

// Complete reports whether p names both operating system and architecture.
// What does not names no platform that could be asked for.
func (p Platform) Complete() bool {
	return p.OS != "" && p.Architecture != "" && !p.isUnknown()
}

// Level is the number of p's variant, 7 of arm/v7 and 3 of amd64/v3: what needs a
// level runs on higher ones. It is 0 without a variant, and for those of another
// kind.
func (p Platform) Level() int {
	digits, ok := strings.CutPrefix(p.Variant, "v")
	if !ok {
		return 0
	}
	rest := strings.TrimLeft(digits, "0123456789") // of arm64/v8.5
	n, _ := strconv.Atoi(strings.TrimSuffix(digits, rest))
	return n
}

// isUnknown reports whether p is how attestation entries are marked in an index,
// or says nothing that could be asked for.
func (p Platform) isUnknown() bool {
	return p.OS == "" || p.Architecture == "" || p.OS == "unknown" || p.Architecture == "unknown"
}
