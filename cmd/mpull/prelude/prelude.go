//go:build cgo

package prelude

import "C"

import "runtime/debug"

// A crash ends by SIGABRT, not with 2; from here on, as other packages can crash
// before main begins.
var _ = func() struct{} {
	debug.SetTraceback("crash")
	return struct{}{}
}()
