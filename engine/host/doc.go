// Package host owns the facts about a machine that decide which programs start
// there: kernel and CPU, what else the kernel runs, the handlers of binfmt_misc,
// emulators that are installed, and how the kernel lays out a program's memory.
//
// [Facts] are a value, which files (`mpull info --host`) and tests make as well.
// A [Machine] is this one: [Local] reads its facts, and asks its kernel what no
// file tells. That is all that mpull executes to find out about programs: two of
// its own, and nothing of an image.
//
//   - On amd64 a program of 96 bytes that ends at once shows whether 386 programs run.
//   - A header without a program shows whether a handler takes programs of another
//     architecture, and which emulator it starts. It is traced, and what starts is
//     ended before its first instruction.
//
// Both lie in memory, never in a file. The facts also say which programs the kernel
// loads ([Facts.Loaders]); whether one starts is the business of package preflight.
package host
