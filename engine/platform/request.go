package platform

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// Request is a platform that somebody wants, and how it came about. Make it with
// [Native], [Platform.Request], [ParseRequest], [ParseList] or [FromFlags].
type Request struct {
	// Platform is what is wanted, as it was written.
	Platform Platform `json:"platform"`
	// Native says that the architecture is the host's, not one that was named.
	// Only then does arm without a variant not mean arm/v7: the host's variant is
	// not known.
	Native bool `json:"native"`
	// Explicit says that the user asked. Not finding it is then an error, while a
	// default that only finds a foreign single image is worth a warning.
	Explicit bool `json:"explicit"`
}

// Native is the request that nobody made: the host's platform. The levels of an
// amd64 or arm64 host are dropped, so that it chooses what podman chooses there;
// an arm host keeps its variant (a Pi Zero wants v6).
func Native(host Platform) Request {
	p := spell(host)
	switch {
	case p.Architecture == "amd64":
		p.Variant = ""
	case p.Architecture == "arm64" && p.Variant != "":
		p.Variant = "v8"
	}
	return Request{Platform: p, Native: true}
}

// Request asks for exactly this platform, as somebody who names it does.
func (p Platform) Request() Request { return Request{Platform: p, Explicit: true} }

// ParseRequest reads one value of --platform: os/arch[/variant] as [Parse] reads
// it, "native" for the host's platform, an operating system alone ("linux": the
// rest is the host's) or a known architecture alone ("arm64": the operating
// system is the host's). wasm alone is wasi/wasm, and so is wasi. A level that
// the architecture does not have is refused, and so is an architecture in the
// place of the operating system.
func ParseRequest(s string, host Platform) (Request, error) {
	if better := tidied(s); better != "" {
		return Request{}, fmt.Errorf("platform %q: write %s", s[:min(len(s), maxSpecifier)], better)
	}
	if strings.Contains(s, "/") || len(s) > maxField {
		p, err := Parse(s)
		if better := reordered(s); better != "" {
			return Request{}, fmt.Errorf("platform %q names no operating system first: write %s", s, better)
		}
		if err != nil {
			return Request{}, err
		}
		return p.Request(), checkAsked(p)
	}
	if lower(s) == "native" {
		r := Native(host)
		r.Explicit = true
		return r, nil
	}
	p, err := parseWord(s)
	if err != nil {
		return Request{}, err
	}
	r := fill(p, host)
	return r, checkAsked(r.Platform)
}

// ParseList reads an ordered fallback: values of [ParseRequest] separated by
// commas, the preferred first, at most 16. "native,linux/arm/v7" is the host's
// platform or, where an image lacks it, linux/arm/v7.
func ParseList(s string, host Platform) ([]Request, error) {
	items := strings.SplitN(s, ",", maxRequests+1)
	if len(items) > maxRequests {
		return nil, fmt.Errorf("more than %d platforms in one list", maxRequests)
	}
	if len(items) == 2 {
		// The first of the two would always be taken.
		if os, arch := strings.TrimSpace(items[0]), strings.TrimSpace(items[1]); isWordFor(isOS, os) && isWordFor(isArch, arch) {
			return nil, fmt.Errorf("%q is a list of two platforms, of which the first is this machine's: write %s/%s", s, os, arch)
		}
	}
	requests := make([]Request, 0, len(items))
	for _, item := range items {
		r, err := ParseRequest(strings.TrimSpace(item), host)
		if err != nil {
			return nil, err
		}
		requests = append(requests, r)
	}
	return requests, nil
}

// FromFlags makes a request of --os, --arch and --variant, each empty when not
// given. What is missing is the host's, except that an architecture given without
// a variant gets none, even if it is the host's own: what the host's processor can
// do says nothing about what was asked. With all three empty it is [Native].
func FromFlags(os, arch, variant string, host Platform) (Request, error) {
	if os == "" && arch == "" && variant == "" {
		return Native(host), nil
	}
	if arch == "" && variant != "" {
		arch = host.Architecture
	}
	if strings.Contains(arch, "/") {
		return Request{}, fmt.Errorf("architecture %q is a whole platform: use --platform", arch[:min(len(arch), maxSpecifier)])
	}
	p, err := fromFields(os, arch, variant)
	if err != nil {
		return Request{}, err
	}
	r := fill(p, host)
	return r, checkAsked(r.Platform)
}

// fill completes an explicit request from the host. The host's variant comes only
// together with its architecture.
func fill(p, host Platform) Request {
	native := Native(host).Platform
	switch {
	case p.OS == "wasi" && p.Architecture == "":
		p.Architecture = "wasm" // it has no other
	case p.OS == "" && p.Architecture == "wasm":
		p.OS = "wasi"
	}
	p.OS = cmp.Or(p.OS, native.OS)
	r := p.Request()
	if p.Architecture == "" {
		r.Platform.Architecture, r.Platform.Variant = native.Architecture, native.Variant
		r.Native = true
	}
	return r
}

// Target returns the platform that r stands for: its platform, except that arm
// without a variant is arm/v7 when it was named, as in podman.
func (r Request) Target() Platform {
	p := spell(r.Platform)
	if p.Architecture == "arm" && p.Variant == "" && !r.Native {
		p.Variant = "v7"
	}
	return p
}

// Held returns which of the platforms that are here answers r, -1 for none: the
// first that is the same and, behind all of these, the first that names no
// variant where [Choose] takes it. It takes no weaker variant: what is here has a
// name of its own to be asked for.
func (r Request) Held(here []Platform) int {
	target := r.Target()
	if at := slices.IndexFunc(here, target.Same); at >= 0 {
		return at
	}
	return slices.IndexFunc(here, func(p Platform) bool {
		if !p.Complete() || spell(p).Variant != "" {
			return false
		}
		_, err := Choose([]Request{r}, []Candidate{{Platform: &p}})
		return err == nil
	})
}

// String returns the platform as it was asked for.
func (r Request) String() string { return r.Platform.String() }
