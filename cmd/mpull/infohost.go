//go:build linux

package main

import "github.com/mpull/mpull/engine/host"

// printHost prints the facts about this machine that decide what starts on it,
// as JSON that `check --host FILE` reads on another one. No store is opened.
func (p *program) printHost() error { return printJSON(p.out, host.Local().Portable()) }
