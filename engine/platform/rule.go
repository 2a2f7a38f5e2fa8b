package platform

// Rule identifies why a candidate was taken, passed over or refused. The values
// are stable; scripts may rely on them. [Rule.Text] explains one in a sentence. The
// constants are those by which callers decide something.
type Rule string

// Rules that accept a candidate.
const (
	RuleExact       Rule = "exact"
	ruleArmIsV7     Rule = "arm-is-v7"
	RuleBaseline    Rule = "baseline"
	ruleWeaker      Rule = "weaker-variant"
	ruleNoVariant   Rule = "no-variant"
	ruleAnyVariant  Rule = "any-variant"
	ruleSpelling    Rule = "spelling"
	RuleNoPlatform  Rule = "no-platform"
	RuleUnnamed     Rule = "unnamed" // accepted by default, refused when a platform was asked for
	ruleCompression Rule = "compression"
	RuleDuplicate   Rule = "duplicate"
)

// Rules that refuse a candidate.
const (
	RuleHidden       Rule = "hidden"
	ruleArtifact     Rule = "artifact"
	ruleOtherVersion Rule = "other-os-version"
	ruleManyVersions Rule = "several-os-versions"
	ruleUnknown      Rule = "unknown-platform"
	ruleOtherOS      Rule = "other-os"
	ruleOtherArch    Rule = "other-architecture"
	ruleOnlyAsked    Rule = "only-when-asked"
	ruleStronger     Rule = "stronger-variant"
	ruleOtherVariant Rule = "other-variant"
)

// Text returns the rule as one clause without a full stop, for people.
func (r Rule) Text() string {
	switch r {
	case RuleExact:
		return "it is what was asked for"
	case ruleArmIsV7:
		return "arm without a variant means arm/v7, as in podman"
	case RuleBaseline:
		return "the architecture without a variant and its first level are the same"
	case ruleWeaker:
		return "a weaker variant, which runs where the asked one does"
	case ruleNoVariant:
		return "the entry names no variant, so it is taken after those that do"
	case ruleAnyVariant:
		return "the host's variant is not known, so the strongest is preferred"
	case ruleSpelling:
		return "the entry fits, but spells its platform in another way"
	case RuleNoPlatform:
		return "the entry names no platform; only the image's config can tell"
	case ruleCompression:
		return "same platform in another compression; zstd is preferred"
	case RuleDuplicate:
		return "same platform as an earlier entry; the first is taken"
	case RuleHidden:
		return "an attestation or other entry that is not an image"
	case ruleArtifact:
		return "an artifact, not an image"
	case RuleUnnamed:
		return "neither the index nor the image's config names a platform"
	case ruleOtherVersion:
		return "another version of the operating system"
	case ruleManyVersions:
		return "it fits, and so does another version of the operating system: name one"
	case ruleUnknown:
		return "the entry's platform is unknown"
	case ruleOtherOS:
		return "another operating system"
	case ruleOtherArch:
		return "another architecture"
	case ruleOnlyAsked:
		return "a 32-bit relative of the architecture, taken only when asked for"
	case ruleStronger:
		return "a variant that may use instructions the asked one lacks"
	case ruleOtherVariant:
		return "a variant of which no order is known"
	}
	return string(r)
}
