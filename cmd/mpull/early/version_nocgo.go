//go:build !cgo

package early

// Version and Commit say what this program is: unknown, as without cgo nothing
// reads build.h.
const (
	Version = "0.1.0-dev"
	Commit  = "unknown"
)
