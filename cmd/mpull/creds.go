//go:build linux

package main

import (
	"fmt"
	"os"
	"strings"

	"golang.org/x/term"
)

// completeCreds asks on the terminal for the password of user:password when it
// is missing, so that it need not stand in the shell's history.
func (p *program) completeCreds(creds string) (string, error) {
	if creds == "" || strings.Contains(creds, ":") {
		return creds, nil
	}
	if !p.inTerminal || !p.errTerminal {
		return "", usagef("--creds %s has no password, and there is no terminal to ask on", creds)
	}
	fmt.Fprintf(p.err, "Password for %s: ", escape(creds))
	password, err := term.ReadPassword(int(os.Stdin.Fd()))
	fmt.Fprintln(p.err)
	if err != nil {
		return "", fmt.Errorf("reading the password: %w", err)
	}
	return creds + ":" + string(password), nil
}
