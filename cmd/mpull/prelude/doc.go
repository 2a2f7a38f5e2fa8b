// Package prelude does what has to be done before Go's runtime starts, and
// can be done by no Go program: prelude.c says what and why. It is left out
// where cgo is; all works then, but for those three.
package prelude
