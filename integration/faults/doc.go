// Package faults breaks things under the real mpull binary and checks what is
// left: kills, full disks, lying registries, damaged stores, other tools beside
// it. It has no production code; docs/reliability.md says what the figures are.
//
// Run as an ordinary user, the tests work in a user namespace, as mpull does.
// A third of the figures of CI=true run without it, and a few with -short;
// MPULL_SOAK=1 runs the long ones.
package faults
