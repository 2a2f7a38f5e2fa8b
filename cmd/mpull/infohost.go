package main

// printHost prints the facts about this machine that decide what starts on it,
// for mpull check --host elsewhere.
func (p *program) printHost() error {
	return printJSON(p.out, p.lookEngine(true).Host())
}
