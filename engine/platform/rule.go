package platform

// Rule identifies why a candidate was taken, passed over or refused. The values
// are stable; scripts may rely on them. [Rule.Text] explains one in a sentence.
type Rule string

// Rules that accept a candidate.
const (
	RuleExact       Rule = "exact"
	RuleArmIsV7     Rule = "arm-is-v7"
	RuleBaseline    Rule = "baseline"
	RuleWeaker      Rule = "weaker-variant"
	RuleNoVariant   Rule = "no-variant"
	RuleAnyVariant  Rule = "any-variant"
	RuleSpelling    Rule = "spelling"
	RuleNoPlatform  Rule = "no-platform"
	RuleUnnamed     Rule = "unnamed" // accepted by default, refused when a platform was asked for
	RuleCompression Rule = "compression"
	RuleDuplicate   Rule = "duplicate"
)

// Rules that refuse a candidate.
const (
	RuleHidden       Rule = "hidden"
	RuleArtifact     Rule = "artifact"
	RuleOtherVersion Rule = "other-os-version"
	RuleManyVersions Rule = "several-os-versions"
	RuleUnknown      Rule = "unknown-platform"
	RuleOtherOS      Rule = "other-os"
	RuleOtherArch    Rule = "other-architecture"
	RuleOnlyAsked    Rule = "only-when-asked"
	RuleStronger     Rule = "stronger-variant"
	RuleOtherVariant Rule = "other-variant"
)

// Text returns the rule as one clause without a full stop, for people.
func (r Rule) Text() string {
	switch r {
	case RuleExact:
		return "it is what was asked for"
	case RuleArmIsV7:
		return "arm without a variant means arm/v7, as in podman"
	case RuleBaseline:
		return "the architecture without a variant and its first level are the same"
	case RuleWeaker:
		return "a weaker variant, which runs where the asked one does"
	case RuleNoVariant:
		return "the entry names no variant, so it is taken after those that do"
	case RuleAnyVariant:
		return "the host's variant is not known, so the strongest is preferred"
	case RuleSpelling:
		return "the entry fits, but spells its platform in another way"
	case RuleNoPlatform:
		return "the entry names no platform; only the image's config can tell"
	case RuleCompression:
		return "same platform in another compression; zstd is preferred"
	case RuleDuplicate:
		return "same platform as an earlier entry; the first is taken"
	case RuleHidden:
		return "an attestation or other entry that is not an image"
	case RuleArtifact:
		return "an artifact, not an image"
	case RuleUnnamed:
		return "neither the index nor the image's config names a platform"
	case RuleOtherVersion:
		return "another version of the operating system"
	case RuleManyVersions:
		return "it fits, and so does another version of the operating system: name one"
	case RuleUnknown:
		return "the entry's platform is unknown"
	case RuleOtherOS:
		return "another operating system"
	case RuleOtherArch:
		return "another architecture"
	case RuleOnlyAsked:
		return "a 32-bit relative of the architecture, taken only when asked for"
	case RuleStronger:
		return "a variant that may use instructions the asked one lacks"
	case RuleOtherVariant:
		return "a variant of which no order is known"
	}
	return string(r)
}
