package platform

import (
	"errors"
	"fmt"
	"strings"
)

const (
	// maxField bounds one field of a platform, in bytes. The longest name in use
	// is about a dozen.
	maxField = 32
	// maxSpecifier bounds a platform's text: three fields and two slashes.
	maxSpecifier = 3*maxField + 2
	// maxRequests bounds the elements of a fallback list.
	maxRequests = 16
)

// Parse reads "os/arch" or "os/arch/variant". Case does not matter; common
// aliases become the names of GOOS and GOARCH: linux/x86_64 is linux/amd64,
// linux/armhf is linux/arm/v7, linux/arm64/8 is linux/arm64/v8. No variant is
// added where none was written: linux/arm stays linux/arm.
//
// Fields hold [A-Za-z0-9._-] and at most 32 bytes. Names that are not known are
// accepted, since indexes carry any. Windows may have its version behind it, as
// containerd writes it: windows(10.0.17763)/amd64.
func Parse(s string) (Platform, error) {
	if len(s) > maxSpecifier {
		return Platform{}, fmt.Errorf("platform %q... is longer than %d bytes", s[:maxField], maxSpecifier)
	}
	fields := strings.Split(s, "/")
	if len(fields) < 2 || len(fields) > 3 {
		return Platform{}, fmt.Errorf("platform %q is not os/arch or os/arch/variant, as in linux/arm/v7", s)
	}
	variant := ""
	if len(fields) == 3 {
		if variant = fields[2]; variant == "" {
			return Platform{}, fmt.Errorf("platform %q has an empty variant: leave out the last slash", s)
		}
	}
	if fields[0] == "" || fields[1] == "" {
		return Platform{}, fmt.Errorf("platform %q has an empty field: write os/arch or os/arch/variant", s)
	}
	return fromFields(fields[0], fields[1], variant)
}

// fromFields checks and spells three fields; empty ones stay empty.
func fromFields(os, arch, variant string) (Platform, error) {
	os, version, err := cutVersion(os)
	if err != nil {
		return Platform{}, err
	}
	for _, f := range []struct{ name, value string }{
		{"operating system", os}, {"architecture", arch}, {"variant", variant}, {"version", version},
	} {
		if err := checkField(f.name, f.value); err != nil {
			return Platform{}, err
		}
	}
	p := spell(Platform{OS: os, Architecture: arch, Variant: variant, OSVersion: version})
	if version != p.OSVersion {
		return Platform{}, fmt.Errorf("%s(%s): only windows has a version here", p.OS, version)
	}
	if asked := spellVariant(p.Architecture, lower(variant)); asked != "" && asked != p.Variant {
		return Platform{}, fmt.Errorf("architecture %q means %s/%s, so variant %q contradicts it: write %s/%s",
			arch, p.Architecture, p.Variant, variant, p.Architecture, asked)
	}
	if lower(variant) == "v8" && p.Variant == "" {
		if err := checkAsked(Platform{OS: "linux", Architecture: p.Architecture, Variant: "v8"}); err != nil {
			return Platform{}, err
		}
		return Platform{}, fmt.Errorf("%s has no variant %q: leave it out", p.Architecture, variant)
	}
	return p, nil
}

// cutVersion takes windows(10.0.17763) apart.
func cutVersion(s string) (os, version string, err error) {
	os, version, found := strings.Cut(s, "(")
	if !found {
		return s, "", nil
	}
	version, found = strings.CutSuffix(version, ")")
	if !found || version == "" {
		return "", "", fmt.Errorf("operating system %q: a version is written as in windows(10.0.17763)", s[:min(len(s), maxSpecifier)])
	}
	return os, version, nil
}

func checkField(name, s string) error {
	if len(s) > maxField {
		return fmt.Errorf("%s %q... is longer than %d bytes", name, s[:maxField], maxField)
	}
	for _, c := range []byte(s) {
		if !isFieldByte(c) {
			return fmt.Errorf("%s %q has a character other than letters, digits, '.', '_' and '-'", name, s)
		}
	}
	return nil
}

func isFieldByte(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' ||
		c == '.' || c == '_' || c == '-'
}

// parseWord reads an operating system or an architecture standing alone; the
// other fields stay empty.
func parseWord(s string) (Platform, error) {
	if better := joined(s); better != "" {
		return Platform{}, fmt.Errorf("platform %q: write %s", s, better)
	}
	switch lower(s) {
	case "":
		return Platform{}, errors.New("a platform is empty: write os/arch, as in linux/arm64")
	case "host", "local", "current", "this", "default":
		return Platform{}, fmt.Errorf("platform %q: write native", s)
	case "all", "any", "*":
		return Platform{}, fmt.Errorf("platform %q is none: all of an image come with --all-platforms", s)
	}
	p, err := fromFields("", s, "")
	if err != nil {
		return Platform{}, fmt.Errorf("platform: %w", err)
	}
	if isArch(p.Architecture) {
		return p, nil
	}
	if archMeant(p.Architecture) != "" {
		return p, nil // which is refused with what is meant
	}
	if p = spell(Platform{OS: s}); isOS(p.OS) || osMeant(p.OS) != "" {
		return p, nil
	}
	return Platform{}, fmt.Errorf("platform %q is no known operating system or architecture: write os/arch, as in linux/arm64", s)
}
