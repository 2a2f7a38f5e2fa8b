//go:build !linux

package platform

import "runtime"

// LocalHost names the platform of this machine; only Linux has more to say.
func LocalHost() Host { return Host{Platform: Local()} }

// Local names the platform of this machine.
func Local() Platform { return Platform{OS: runtime.GOOS, Architecture: runtime.GOARCH} }
