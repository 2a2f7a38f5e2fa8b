//go:build cgo

package early

// #include "early.h"
import "C"

// Version and Commit say what this program is. See early.h.
const (
	Version = C.MPULL_VERSION
	Commit  = C.MPULL_COMMIT
)
