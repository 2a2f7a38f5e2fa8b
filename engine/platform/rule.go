package platform

import "cmp"

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
func (r Rule) Text() string { return cmp.Or(texts()[r], string(r)) }

func texts() map[Rule]string {
	return map[Rule]string{
		RuleExact:        "it is what was asked for",
		ruleArmIsV7:      "arm without a variant means arm/v7, as in podman",
		RuleBaseline:     "the architecture without a variant and its first level are the same",
		ruleWeaker:       "a weaker variant, which runs where the asked one does",
		ruleNoVariant:    "the entry names no variant, so it is taken after those that do",
		ruleAnyVariant:   "the host's variant is not known, so the strongest is preferred",
		ruleSpelling:     "the entry fits, but spells its platform in another way",
		RuleNoPlatform:   "the entry names no platform; only the image's config can tell",
		ruleCompression:  "same platform in another compression; zstd is preferred",
		RuleDuplicate:    "same platform as an earlier entry; the first is taken",
		RuleHidden:       "an attestation or other entry that is not an image",
		ruleArtifact:     "an artifact, not an image",
		RuleUnnamed:      "neither the index nor the image's config names a platform",
		ruleOtherVersion: "another version of the operating system",
		ruleManyVersions: "it fits, and so does another version of the operating system: name one",
		ruleUnknown:      "the entry's platform is unknown",
		ruleOtherOS:      "another operating system",
		ruleOtherArch:    "another architecture",
		ruleOnlyAsked:    "a 32-bit relative of the architecture, taken only when asked for",
		ruleStronger:     "a variant that may use instructions the asked one lacks",
		ruleOtherVariant: "a variant of which no order is known",
	}
}
