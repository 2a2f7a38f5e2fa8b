//go:build linux

package main

import (
	"bufio"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/mpull/mpull/engine/registry"
)

type loginOptions struct {
	account                 accountFlags
	tls                     tlsFlags
	user, password          string
	fromInput, get, verbose bool
}

func (p *program) loginCommand() *cli.Command {
	var o loginOptions
	return &cli.Command{
		Name:      "login",
		Usage:     "log in to a registry, for mpull, podman, buildah and skopeo",
		UsageText: "login [flags] REGISTRY",
		Description: `Asks the registry whether user name and password are good, and stores them where
podman, buildah and skopeo look: REGISTRY_AUTH_FILE, else auth.json in the user's
run directory; or in the credential helper that this file or registries.conf
names. REGISTRY is HOST[:PORT], or HOST[:PORT]/NAMESPACE for credentials that only
that part of the registry gets.

What is not given is asked for on the terminal. A password on the command line
(--password) is seen by other users and stays in the shell's history: give it by
--password-stdin, or let mpull ask.

Examples:
  mpull login quay.io
  pass show quay | mpull login --username alice --password-stdin quay.io
  mpull login --cert-dir ./certs registry.example.org:5000
  mpull login --get-login quay.io

Exit codes: 0 logged in; 125 refused, or the registry is not there, or
--get-login finds nothing.`,
		Flags: append(append(o.account.flags(), o.tls.flags()...),
			&cli.StringFlag{Name: "username", Aliases: []string{"u"}, Usage: "`USER` to log in as", Destination: &o.user},
			&cli.StringFlag{Name: "password", Aliases: []string{"p"}, Usage: "`PASSWORD`; better use --password-stdin", Destination: &o.password},
			&cli.BoolFlag{Name: "password-stdin", Usage: "read the password from standard input", Destination: &o.fromInput},
			&cli.BoolFlag{Name: "get-login", Usage: "print the user name that is stored, and ask no registry", Destination: &o.get},
			&cli.BoolFlag{Name: "verbose", Aliases: []string{"v"}, Usage: "say where the credentials were stored", Destination: &o.verbose},
		),
		Action: action(1, 1, func(ctx context.Context, names []string) error { return p.login(ctx, o, names[0]) }),
	}
}

// accountFlags say where credentials are stored.
type accountFlags struct{ authFile, compatFile string }

func (f *accountFlags) flags() []cli.Flag {
	return []cli.Flag{
		authFileFlag(&f.authFile),
		&cli.StringFlag{Name: "compat-auth-file", Usage: "`FILE` with credentials in docker's form, such as ~/.docker/config.json", Destination: &f.compatFile},
	}
}

// account opens the credentials for a registry; with host "" those for all.
func (p *program) account(f accountFlags, tls tlsFlags, host string) (*registry.Account, error) {
	o := p.registry
	o.AuthFile, o.CertDir = f.authFile, tls.certDir
	if tls.verify != nil {
		o.TLSVerify = tls.verify
	}
	p.secrets.LearnFrom(o)
	a, err := o.Account(host, f.compatFile)
	if err != nil {
		return nil, usagef("%v", err)
	}
	return a, nil
}

func (p *program) login(ctx context.Context, o loginOptions, host string) error {
	a, err := p.account(o.account, o.tls, host)
	if err != nil {
		return err
	}
	if o.get {
		user, err := a.User(ctx)
		if err == nil {
			fmt.Fprintln(p.out, escape(user))
		}
		return err
	}
	user, password := o.user, o.password
	if o.fromInput {
		if password, err = p.passwordFromInput(user, password); err != nil {
			return err
		}
	} else if user == "" && password == "" {
		if done, err := p.stillLoggedIn(ctx, a); done || err != nil {
			return err
		}
	}
	if o.password != "" {
		p.line("Warning: a password on the command line is seen by other users; --password-stdin is safer")
	}
	if user, password, err = p.askAccount(ctx, a, user, password); err != nil {
		return err
	}
	p.secrets.Learn(password)
	where, err := a.Login(ctx, user, password)
	if err != nil {
		return err
	}
	if o.verbose {
		p.line("Used: %s", escape(where))
	}
	fmt.Fprintln(p.out, "Login Succeeded!")
	return nil
}

// maxPassword bounds what is read as a password; tokens are long.
const maxPassword = 64 << 10

// passwordFromInput reads a password; line breaks at its end are not part of
// it, as with podman and docker.
func (p *program) passwordFromInput(user, password string) (string, error) {
	switch {
	case user == "":
		return "", usagef("--password-stdin needs --username")
	case password != "":
		return "", usagef("use either --password or --password-stdin, not both")
	}
	data, err := io.ReadAll(io.LimitReader(p.in, maxPassword+1))
	if err != nil {
		return "", fmt.Errorf("reading the password: %w", err)
	}
	if len(data) > maxPassword {
		return "", fmt.Errorf("the password on standard input is longer than %d bytes", maxPassword)
	}
	return strings.TrimRight(string(data), "\r\n"), nil
}

// stillLoggedIn tries what is stored, before anything is asked.
func (p *program) stillLoggedIn(ctx context.Context, a *registry.Account) (bool, error) {
	user, err := a.CheckStored(ctx)
	switch {
	case err == nil:
		p.line("Authenticating with existing credentials for %s", a.Registry)
		p.line("Existing credentials are valid. Already logged in to %s as %s", a.Registry, escape(user))
		return true, nil
	case errors.Is(err, registry.ErrNotLoggedIn):
		return false, nil
	case errors.As(err, new(*registry.WrongPasswordError)):
		p.line("Existing credentials are invalid, please enter valid username and password")
		return false, nil
	}
	return false, err
}

// askAccount asks on the terminal for what is missing.
func (p *program) askAccount(ctx context.Context, a *registry.Account, user, password string) (string, string, error) {
	if user != "" && password != "" {
		return user, password, nil
	}
	if !p.inTerminal || !p.errTerminal {
		return "", "", usagef("there is no terminal to ask on: use --username and --password-stdin")
	}
	if user == "" {
		prompt := "Username"
		known, err := a.User(ctx)
		if err == nil {
			prompt += " (" + escape(known) + ")"
		}
		fmt.Fprint(p.err, prompt+": ")
		line, err := bufio.NewReader(io.LimitReader(p.in, maxPassword)).ReadString('\n')
		if err != nil {
			return "", "", fmt.Errorf("reading the user name: %w", err)
		}
		user = cmp.Or(strings.TrimSpace(line), known)
	}
	if password == "" {
		var err error
		if password, err = p.askPassword("Password"); err != nil {
			return "", "", err
		}
	}
	return user, password, nil
}

type logoutOptions struct {
	account accountFlags
	all     bool
}

func (p *program) logoutCommand() *cli.Command {
	var o logoutOptions
	return &cli.Command{
		Name:      "logout",
		Usage:     "forget the credentials for a registry",
		UsageText: "logout [flags] REGISTRY | --all",
		Description: `Removes the credentials for REGISTRY that mpull login, podman login or skopeo login
stored, from the auth file and from credential helpers.

Examples:
  mpull logout quay.io
  mpull logout --all

Exit codes: 0 removed; 125 there were none, or failed.`,
		Flags:  append(o.account.flags(), &cli.BoolFlag{Name: "all", Aliases: []string{"a"}, Usage: "remove all stored credentials", Destination: &o.all}),
		Action: action(0, 1, func(ctx context.Context, names []string) error { return p.logout(ctx, o, names) }),
	}
}

// logout takes an empty name, of a variable that is not set, for no name of all:
// beside --all it would have every registry forgotten.
func (p *program) logout(ctx context.Context, o logoutOptions, names []string) error {
	if o.all == (len(names) > 0) || !o.all && names[0] == "" {
		return usagef("usage: mpull logout [flags] REGISTRY | --all")
	}
	a, err := p.account(o.account, tlsFlags{}, cmp.Or(names...))
	if err != nil {
		return err
	}
	removed := "all registries"
	if o.all {
		err = a.LogoutAll(ctx)
	} else {
		removed, err = a.Registry, a.Logout(ctx)
	}
	if err == nil {
		fmt.Fprintf(p.out, "Removed login credentials for %s\n", removed)
	}
	return err
}
