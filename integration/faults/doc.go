// Package faults breaks things under the real mpull binary and checks what is
// left: kills, full disks, lying registries, damaged stores, other tools beside
// it. It has no production code; docs/reliability.md says what the figures are.
//
// Run as an ordinary user with subordinate IDs, the program starts itself again
// in a user namespace and the tests work there, mpull too, as rootless.
// TestPowerLoss is left out: it needs loop devices.
// As root, TestAsOrdinaryUser makes such a user and runs most of the tests
// again, with small figures.
//
// CI=true runs the figures of docs/reliability.md, in .ci/run too. Without it a
// third of them runs, and a few with -short; MPULL_SOAK=1 runs the long ones.
package faults
