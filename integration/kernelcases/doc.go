// Package kernelcases asks the kernel which programs start, for tests that
// compare predictions with it.
//
// It owns the cases (root filesystems and commands), the builder of small ELF
// files, the states of binfmt_misc, and the oracle: Ask does in a traced child
// what a runtime does, from chroot to execve, and tells what came of it. It
// knows nothing of what mpull predicts.
//
// Some cases are random, but the same in every run. Others, of another seed and
// in any number, are tried by
//
//	PREFLIGHT_RANDOM=7,5000 go test -v -run TestKernel$ ./engine/preflight
package kernelcases
