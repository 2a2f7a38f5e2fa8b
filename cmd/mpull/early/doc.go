// Package early answers what need not wait for the libraries. Linking them costs
// every command the same: some 280 packages compile their regular expressions
// and fill their tables before main begins, which takes longer than most
// commands. Go initializes packages that are ready in the order of their
// import paths (The Go Programming Language Specification, "Program
// initialization"); this one imports nothing but os, syscall and unsafe, so it
// comes before all that is slow, and TestEarly in integration holds it to that.
//
// It answers mpull version, and mpull --help off a terminal, whose text
// make generate writes. Any other command line is main's.
package early
