package platform

// Platform names an operating system, a processor architecture and, where the
// architecture has levels, a variant. The values are those of GOOS, GOARCH and
// the OCI image specification ("linux", "arm", "v7").
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
