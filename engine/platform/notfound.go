package platform

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// maxListed bounds the platforms that an error message lists.
const maxListed = 32

// NotFoundError says that an image has none of the platforms asked for. Find it
// with errors.As.
type NotFoundError struct {
	// Requests is what was tried, in order.
	Requests []Request
	// Offered is what the image has, each once, in the order of the index. The
	// values are foreign and may hold anything.
	Offered []Platform
	// Nearest is the offered platform closest to the first request: its
	// architecture with another variant, else its 32-bit relative; nil when there
	// is none. It may not run where the asked one does.
	Nearest *Platform
	// Versions is what fits when that is several versions of Windows, of which
	// one must be named.
	Versions []Platform
	// Hint is what to type next; "" where nobody has looked at the machine.
	Hint string
}

func newNotFoundError(requests []Request, candidates []Candidate) *NotFoundError {
	e := &NotFoundError{Requests: requests}
	seen := make(map[Platform]bool)
	for _, c := range candidates {
		if c.Hidden || c.Artifact || c.Platform == nil {
			continue
		}
		p := spell(*c.Platform)
		if p.isUnknown() || seen[p] {
			continue
		}
		seen[p] = true
		e.Offered = append(e.Offered, p)
	}
	if len(requests) > 0 {
		e.Nearest = nearest(requests[0].Target(), e.Offered)
	}
	return e
}

// nearest prefers the asked architecture with the weakest variant, which asks
// least of the processor, then the 32-bit relative with the strongest.
func nearest(target Platform, offered []Platform) (best *Platform) {
	bestScore := 0
	for i, p := range offered {
		level := len(weaker(p.Architecture, p.Variant))
		score := 0
		switch {
		case p.OS != target.OS:
		case p.Architecture == target.Architecture:
			score = 1000 - level
		case contains32(target.Architecture, p.Architecture):
			score = 100 + level
		}
		if score > bestScore {
			best, bestScore = &offered[i], score
		}
	}
	return best
}

// Explicit reports whether the user asked for any of the requests.
func (e *NotFoundError) Explicit() bool {
	return slices.ContainsFunc(e.Requests, func(r Request) bool { return r.Explicit })
}

// Error is one line that lists what is there, safe for a terminal.
func (e *NotFoundError) Error() string {
	asked := make([]string, len(e.Requests))
	for i, r := range e.Requests {
		asked[i] = printable(r.Target())
	}
	if len(asked) == 0 {
		asked = []string{"platform asked for"}
	}
	if len(e.Versions) > 0 {
		return fmt.Sprintf("this image has %s for several versions: %s", strings.Join(asked, " or "), list(e.Versions))
	}
	return fmt.Sprintf("no %s in this image; it offers %s", strings.Join(asked, " or "), cmp.Or(list(e.Offered), "no platform"))
}

// list is platforms of foreign origin in one line.
func list(platforms []Platform) string {
	var names []string
	for i, p := range platforms {
		if i == maxListed {
			return fmt.Sprintf("%s and %d more", strings.Join(names, ", "), len(platforms)-i)
		}
		names = append(names, printable(p))
	}
	return strings.Join(names, ", ")
}

// printable returns a platform of foreign origin in a form safe for one line of a
// terminal: quoted unless all of it is what a platform may hold, and bounded.
func printable(p Platform) string {
	s := p.String()
	if len(s) > maxSpecifier {
		return strconv.QuoteToASCII(s[:maxSpecifier]) + "..."
	}
	for _, c := range []byte(s) {
		if c != '/' && c != '(' && c != ')' && !isFieldByte(c) {
			return strconv.QuoteToASCII(s)
		}
	}
	return s
}
