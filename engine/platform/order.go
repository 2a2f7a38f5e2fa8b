package platform

import (
	"slices"
)

// want is one acceptable variant and the rule that accepts it.
type want struct {
	variant string
	rule    Rule
}

// wants returns the variants that fit r, the preferred first. The order is the
// one of containers/image (internal/pkg/platform, WantedPlatforms) after podman's
// normalisation of the request, with the levels of amd64 and arm64 added.
func wants(r Request) []want {
	target := r.Target()
	arch, variant := target.Architecture, target.Variant
	if arch == "amd64" && variant == "v1" {
		variant = "" // podman asks for plain amd64 then
	}
	if variant == "" {
		return unnamed(arch)
	}
	first := RuleExact
	if spell(r.Platform).Variant == "" {
		first = ruleArmIsV7
	}
	list := []want{{variant, first}}
	for _, v := range weaker(arch, variant) {
		list = append(list, want{v, ruleWeaker})
	}
	if isBaseline(arch, variant) {
		return append(list, want{"", RuleBaseline})
	}
	return append(list, want{"", ruleNoVariant})
}

// unnamed is what fits when no variant is asked for.
func unnamed(arch string) []want {
	list := []want{{"", RuleExact}}
	if v := baseline(arch); v != "" {
		return append(list, want{v, RuleBaseline})
	}
	if arch == "arm" {
		for _, v := range levels(arch) {
			list = append(list, want{v, ruleAnyVariant})
		}
	}
	return list
}

// baseline is what an architecture means without a variant, as Go builds for it;
// "" where that is not known. arm has none: its code without a variant may be of
// any level.
func baseline(arch string) string {
	if all := levels(arch); arch != "arm" && len(all) > 0 {
		return all[len(all)-1]
	}
	return ""
}

func isBaseline(arch, variant string) bool { return variant != "" && variant == baseline(arch) }

// weaker returns the variants whose code a processor of the given variant runs,
// strongest first, without the variant itself; nil for what is not known. Sources:
// the x86-64 psABI's micro-architecture levels v1 to v4, the Arm Architecture
// Reference Manual, where v9.N contains v8.(N+5), the Power ISA's versions and the
// RISC-V profiles, by the names of GOPPC64 and GORISCV64.
func weaker(arch, variant string) []string {
	all := levels(arch)
	i, v8 := slices.Index(all, variant), 10 // where v8.9 begins the rest of arm64
	switch {
	case i < 0:
		return nil
	case arch == "arm64" && i < v8:
		return slices.Concat(all[i+1:v8], all[v8+max(i-5, 0):])
	}
	return all[i+1:]
}

// levels returns the variants of an architecture whose order is known, the
// strongest first. They are one chain, but for arm64: see weaker.
func levels(arch string) []string {
	switch arch {
	case "amd64":
		return []string{"v4", "v3", "v2", "v1"}
	case "arm":
		return []string{"v8", "v7", "v6", "v5"}
	case "arm64":
		return []string{
			"v9.9", "v9.8", "v9.7", "v9.6", "v9.5", "v9.4", "v9.3", "v9.2", "v9.1", "v9",
			"v8.9", "v8.8", "v8.7", "v8.6", "v8.5", "v8.4", "v8.3", "v8.2", "v8.1", "v8",
		}
	case "ppc64le":
		return []string{"power11", "power10", "power9", "power8"}
	case "riscv64":
		return []string{"rva23u64", "rva22u64", "rva20u64"}
	}
	return nil
}

// isLevel reports whether the order of the variant among its architecture's
// variants is known.
func isLevel(arch, variant string) bool { return slices.Contains(levels(arch), variant) }

// contains32 reports whether processors of arch may run code of the 32-bit small.
func contains32(arch, small string) bool {
	return arch == "arm64" && small == "arm" || arch == "amd64" && small == "386"
}
