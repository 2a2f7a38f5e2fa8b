//go:build linux

// Mpull pulls images of a chosen platform into the store that podman, buildah
// and skopeo use, and remembers which image lost its name to which.
//
// This folder is the command line: one file for each command, thin. It owns
// flags, tables, help and exit codes, and nothing that another program would
// want to call; that is package engine.
//
// From main to output: main calls run, which builds the application (app.go),
// straightens the arguments (args.go) and runs one command. The flags fill the
// options of the command (flags.go); it asks an engine (engines.go) and prints
// what comes back through streams (streams.go). One place maps errors to exit
// codes (errors.go), another to hints (hints.go).
//
// go build, go vet and go test need the build tags of .envrc, or they end in C
// headers (gpgme, btrfs): make has them, and a shell after `. ./.envrc`.
package main
