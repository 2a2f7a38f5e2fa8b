// Package startcheck compares what the built mpull says of real images with
// what the kernel does when they are started: mpull check with execve in a
// chroot of the mounted image, mpull run with handlers for emulators.
//
// Everything happens in user and mount namespaces with a binfmt_misc of their
// own: the machine's handlers are neither seen nor changed.
package startcheck
