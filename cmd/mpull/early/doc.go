// Package early holds what comes before the libraries. Linking them costs
// every command the same: some 280 packages compile their regular expressions
// and fill their tables before main begins, which takes longer than most
// commands.
//
// A constructor in C (early.c) answers mpull version, and mpull --help off a
// terminal: it runs before Go's own runtime starts, which is most of what
// these two would cost. make generate writes the help's text, help.h; make
// build writes what this program is, build.h. Any other command line is main's,
// and so are these two where libc is not glibc or cgo is off.
//
// For those, and for Go's runtime itself, memory.c has the kernel hand out
// memory in large pieces, as they fill a few MiB of it page by page otherwise.
package early
