package engine

import (
	"fmt"

	"github.com/opencontainers/go-digest"

	"github.com/mpull/mpull/engine/ask"
	"github.com/mpull/mpull/engine/platform"
	"github.com/mpull/mpull/engine/preflight"
)

// PullPolicy says when a registry is asked. It is honoured per platform: an
// image of another platform under the same name does not count as present.
type PullPolicy string

// Pull policies, with podman's names.
const (
	PullAlways  PullPolicy = "always"  // ask, and take what the registry has
	PullMissing PullPolicy = "missing" // ask only when that platform is not here
	PullNewer   PullPolicy = "newer"   // ask; when that fails, what is here will do
	PullNever   PullPolicy = "never"   // never ask
)

// ParsePullPolicy reads a policy; "" is PullAlways.
func ParsePullPolicy(s string) (PullPolicy, error) {
	switch p := PullPolicy(s); p {
	case "":
		return PullAlways, nil
	case PullAlways, PullMissing, PullNewer, PullNever:
		return p, nil
	}
	return "", fmt.Errorf("unknown pull policy %q: use always, missing, newer or never", s)
}

// PullOptions says what to pull and what to do with names. The zero value
// pulls the host's platform and gives it the name.
type PullOptions struct {
	Platforms []Fallback // the images wanted; nil means the host's platform
	All       bool       // every platform that the source offers, or the lock has, instead of Platforms
	Policy    PullPolicy // "" means PullAlways
	// Lock makes a pull one of exactly its digests, which get their tags: those of
	// the inputs, all without any. A platform that is not locked is a
	// *NotLockedError, and As is not looked at.
	Lock *Lock
	As   string // name for the result; "" means the source's own
	// SkipMissing makes what an index names and the source does not have a
	// warning instead of an error. It goes with All.
	SkipMissing bool
	NoTag       bool // give the image its repo@digest name only
	Keep        bool // give the image that loses the name its repo@digest name, so that nothing prunes it
	Retry       Retry
	Limits      Limits
	Command     string // recorded with a displacement, e.g. "pull --platform linux/arm/v7"
}

// Fallback is one image wanted, as platforms to try in order.
type Fallback = []platform.Request

// PullResult is one image pulled, or found to be here.
type PullResult struct {
	ID       string
	Name     string // the name it has now
	Digest   digest.Digest
	Platform platform.Platform
	Rule     platform.Rule // why this instance was chosen
	Present  bool          // nothing was fetched

	Check *preflight.Result // whether it starts here; nil when it was not looked at, or cannot be
	Size  int64             // as Images has it; 0 when this is the only result
}

// Retry says how often something that failed in passing is tried again.
type Retry = ask.Retry

// InterruptedError says that a pull ended early, and what of its layers is kept
// for the next one.
type InterruptedError = ask.InterruptedError
