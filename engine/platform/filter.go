package platform

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// maxPattern bounds a regular expression of --filter-by-os, in bytes.
const maxPattern = 1024

// FilterByOS reads the value of --filter-by-os as oc does: a Go regular
// expression, not anchored, held against os/arch[/variant] as the index has it. So
// "linux/arm" selects linux/arm64 too and "^linux/arm/v7$" one platform. At most
// 1024 bytes.
func FilterByOS(expr string) (func(Platform) bool, error) {
	if len(expr) > maxPattern {
		return nil, fmt.Errorf("filter by os: expression is longer than %d bytes", maxPattern)
	}
	re, err := regexp.Compile(expr)
	if err != nil {
		return nil, fmt.Errorf("filter by os: %w", err)
	}
	return func(p Platform) bool { return re.MatchString(p.String()) }, nil
}

// Pattern is a platform some of whose fields may be empty, for --filter
// platform=. An empty field matches any value.
type Pattern struct {
	p Platform
}

// ParsePattern reads os/arch[/variant], a known operating system alone or a known
// architecture alone. "linux/arm" matches every variant of arm, and so does "arm";
// "linux/arm/v7" matches arm/v7 and, as they mean the same, arm without a variant.
// "armhf" is arm/v7. Unlike [FilterByOS], "linux/arm" does not match linux/arm64.
func ParsePattern(s string) (Pattern, error) {
	parse := Parse
	if !strings.Contains(s, "/") {
		parse = parseWord
	}
	p, err := parse(s)
	return Pattern{p}, err
}

// Match reports whether q has every field that the pattern names, under
// [Platform.Normalize].
func (m Pattern) Match(q Platform) bool {
	n := q.Normalize()
	if m.p.OSVersion != "" && !sameVersion(n.OSVersion, m.p.OSVersion) {
		return false
	}
	if m.p.OS != "" && m.p.OS != n.OS || m.p.Architecture != "" && m.p.Architecture != n.Architecture {
		return false
	}
	return m.p.Variant == "" || m.p.Normalize().Variant == n.Variant
}

// String returns the pattern's fields that are not empty.
func (m Pattern) String() string {
	fields := []string{m.p.OS, m.p.Architecture, m.p.Variant}
	return strings.Join(slices.DeleteFunc(fields, func(f string) bool { return f == "" }), "/")
}
