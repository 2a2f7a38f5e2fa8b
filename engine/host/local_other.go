//go:build !linux

package host

import (
	"runtime"

	"github.com/mpull/mpull/engine/platform"
)

// Local names the platform of this machine; only Linux has more to say.
func Local() *Machine { return &Machine{facts: Facts{Platform: Wants()}} }

// Wants names the platform of this machine.
func Wants() platform.Platform {
	return platform.Platform{OS: runtime.GOOS, Architecture: runtime.GOARCH}
}

// askKernel has nobody to ask.
func askKernel([]byte) (Handler, bool) { return Handler{}, false }
