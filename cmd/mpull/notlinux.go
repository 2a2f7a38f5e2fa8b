//go:build !linux

package main

// The compiler refuses this line, and so says why mpull is not built here.
const _ = -"mpull is for Linux, whose containers and file systems it works on: build it there, or with GOOS=linux"
