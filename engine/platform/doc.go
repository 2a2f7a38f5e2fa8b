// Package platform owns what mpull means by a platform: parsing and printing
// os/arch[/variant], normalising the spellings people use, and matching what was
// asked for against what an index offers, with the rule that decided. It is made
// of values: it reads no file and asks no machine.
//
// # Words
//
// A [Platform] is a value, a [Request] is a platform somebody wants together
// with how it came about, a [Candidate] is one entry of an index, a [Rule]
// says why a candidate was taken, passed over or refused.
//
// # Reading what was asked
//
//   - [Parse] reads os/arch[/variant] and needs both os and arch.
//   - [ParseRequest] reads one value of --platform: also an os alone ("linux",
//     as podman does), a known architecture alone ("armhf", as docker does; podman
//     would take it for an operating system) and "native".
//   - [ParseList] reads an ordered fallback, "native,linux/arm/v7".
//   - [FromFlags] reads --os, --arch and --variant; [Native] is the default.
//
// # Choosing
//
// [Choose] takes from an index what podman would take for the same request.
// Where podman knows no order it goes further:
//
//   - amd64/v3 takes v3, v2, v1, then no variant (podman: v3, then none);
//   - arm64/v9 takes v9, v8.5 to v8.1, v8, then none (podman: v9, then none);
//   - amd64 and amd64/v1 are one (podman finds no amd64/v1);
//   - an entry spelled x86_64 or aarch64 is understood, after all others.
//
// Levels are taken only when asked for: a host with an x86-64-v3 processor
// takes plain linux/amd64 by default, as podman does, so that the image pulled
// does not depend on which machine of a fleet pulled it. In the same way 32-bit
// entries (arm on arm64, 386 on amd64) are taken only when asked for or named
// in a fallback list.
//
// It imports nothing else of mpull.
package platform
