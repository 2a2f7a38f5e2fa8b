package platform

// Platform names an operating system, a processor architecture and, where the
// architecture has levels, a variant. The values are those of GOOS, GOARCH and
// the OCI image specification ("linux", "arm", "v7").
//
// Values made by this package hold only [a-z0-9._-]. A Platform decoded from an
// image or an index can hold anything: escape it before a terminal sees it.
type Platform struct {
	OS           string `json:"os"`
	Architecture string `json:"architecture"`
	Variant      string `json:"variant,omitempty"`
}

// String returns os/arch or os/arch/variant.
func (p Platform) String() string {
	s := p.OS + "/" + p.Architecture
	if p.Variant != "" {
		s += "/" + p.Variant
	}
	return s
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

// Same reports whether p and q mean one platform, that is, have one normal form.
// So an image whose config says only "arm" is the linux/arm/v7 that was asked
// for, and is not linux/arm/v6: nothing in it promises to run there.
func (p Platform) Same(q Platform) bool {
	return p.Normalize() == q.Normalize()
}

// isUnknown reports whether p is how attestation entries are marked in an index,
// or says nothing at all.
func (p Platform) isUnknown() bool {
	return p == Platform{} || p.OS == "unknown" || p.Architecture == "unknown"
}
