//go:build !linux

package platform

import "runtime"

// LocalHost names the platform of this machine; only Linux has more to say.
func LocalHost() Host {
	return Host{Platform: Platform{OS: runtime.GOOS, Architecture: runtime.GOARCH}}
}
