package registry

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"go.podman.io/image/v5/docker"
	"go.podman.io/image/v5/docker/reference"
	"go.podman.io/image/v5/pkg/docker/config"
	"go.podman.io/image/v5/types"
)

// ErrNotLoggedIn says that the auth file has no credentials for a registry.
var ErrNotLoggedIn = errors.New("not logged in")

// Account is a place where credentials are kept: the auth file that podman,
// buildah and skopeo share, or docker's, and the credential helpers that those
// files name.
type Account struct {
	Registry string // host[:port], or host[:port]/namespace
	sys      *types.SystemContext
	standard string // auth file where none is named
}

// Account returns the account of a registry or of a namespace in one. A scheme
// in front and slashes behind are ignored, as podman and docker do. compat is
// the path of an auth file in docker's form, "" for podman's. "" as registry is
// what AllAccounts needs.
func (o Options) Account(registry, compat string) (*Account, error) {
	key, err := accountKey(registry)
	if err != nil {
		return nil, err
	}
	if err := eachRegular([]string{compat}, "the auth file"); err != nil {
		return nil, err
	}
	path := o.AuthFile
	if path != "" && compat != "" {
		return nil, errors.New("use either an auth file of podman's or one of docker's, not both")
	}
	if compat == "" {
		path = o.authFile()
	}
	o.AuthFile, o.Creds = "", "" // the file need not exist yet
	sys, err := o.SystemContext()
	if err != nil {
		return nil, err
	}
	sys.AuthFilePath, sys.DockerCompatAuthFilePath = path, compat
	o.AuthFile = path
	if err := o.checkRegular(); err != nil {
		return nil, err
	}
	return &Account{Registry: key, sys: sys, standard: o.defaultAuthFiles()[0]}, nil
}

// accountKey checks and shortens what the user wrote.
func accountKey(registry string) (string, error) {
	if registry == "" {
		return "", nil
	}
	key := registry
	for _, scheme := range []string{"https://", "http://", "docker://"} {
		key = strings.TrimPrefix(key, scheme)
	}
	key = strings.TrimRight(key, "/")
	host, _, _ := strings.Cut(key, "/")
	// A host alone is no valid reference everywhere; one with a repository is.
	ref, err := reference.Parse(host + "/x")
	named, ok := ref.(reference.Named)
	if err != nil || !ok || reference.Domain(named) != host || !strings.ContainsAny(host, ".:") && host != "localhost" {
		return "", fmt.Errorf("%q is no registry: write HOST[:PORT], such as quay.io", registry)
	}
	if key == host {
		return key, nil
	}
	if ref, err := reference.ParseNormalizedNamed(key); err != nil || !reference.IsNameOnly(ref) {
		return "", fmt.Errorf("%q is no registry or namespace: write HOST[:PORT][/NAMESPACE], without a tag", registry)
	}
	return key, nil
}

// patience is how long a registry or a credential helper may take to answer what
// has to do with an account.
const patience = time.Minute

var errSilent = fmt.Errorf("the registry did not answer for %s", patience)

// patiently calls f, and ends what it waits for when ctx or patience does.
func patiently(ctx context.Context, f func(context.Context) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var timer *time.Timer
	timer = time.AfterFunc(patience, func() {
		left, hung := Hung(patience)
		switch {
		case hung != nil:
			cancel(hung)
		case left > 0:
			timer.Reset(left)
		default:
			cancel(errSilent)
		}
	})
	defer timer.Stop()
	defer EndHelpers(ctx, patience)()
	err := f(ctx)
	if cause := context.Cause(ctx); err != nil && cause != nil {
		return fmt.Errorf("%w (%s)", cause, err.Error())
	}
	return err
}

// host is the part of the account that a request goes to.
func (a *Account) host() string {
	host, _, _ := strings.Cut(a.Registry, "/")
	return host
}

// User returns the user name that is stored, or ErrNotLoggedIn.
func (a *Account) User(ctx context.Context) (string, error) {
	auth, err := a.stored(ctx)
	if err == nil && auth.Username == "" && auth.IdentityToken == "" {
		err = fmt.Errorf("%w to %s", ErrNotLoggedIn, a.Registry)
	}
	return auth.Username, err
}

func (a *Account) stored(ctx context.Context) (auth types.DockerAuthConfig, err error) {
	err = patiently(ctx, func(context.Context) error {
		auth, err = config.GetCredentials(a.sys, a.Registry)
		return err
	})
	if err != nil {
		return auth, fmt.Errorf("reading the credentials for %s: %w", a.Registry, err)
	}
	return auth, nil
}

// CheckStored asks the registry whether the stored credentials are good. It
// returns ErrNotLoggedIn when there are none.
func (a *Account) CheckStored(ctx context.Context) (user string, err error) {
	auth, err := a.stored(ctx)
	if err != nil {
		return "", err
	}
	if auth.Username == "" || auth.Password == "" {
		return "", fmt.Errorf("%w to %s", ErrNotLoggedIn, a.Registry)
	}
	return auth.Username, a.check(ctx, auth.Username, auth.Password)
}

// WrongPasswordError says that a registry refused credentials.
type WrongPasswordError struct {
	Registry string
	Err      error
}

func (e *WrongPasswordError) Error() string {
	return fmt.Sprintf("logging in to %s: invalid user name or password", e.Registry)
}

// Unwrap returns what the registry answered.
func (e *WrongPasswordError) Unwrap() error { return e.Err }

func (a *Account) check(ctx context.Context, user, password string) error {
	ref, err := docker.ParseReference("//" + a.host() + "/login")
	if err != nil {
		return fmt.Errorf("logging in to %s: %w", a.Registry, err)
	}
	sys := *a.sys
	sys.DockerAuthConfig = &types.DockerAuthConfig{Username: user, Password: password}
	guard := NewGuard(&sys, ref) // the password must not follow where a registry leads
	err = patiently(ctx, func(ctx context.Context) error {
		guard.Observe(ctx, nil)
		return docker.CheckAuth(ctx, &sys, user, password, a.host())
	})
	switch {
	case errors.As(err, new(docker.ErrUnauthorizedForCredentials)):
		return &WrongPasswordError{a.Registry, err}
	case err != nil:
		return fmt.Errorf("logging in to %s: %w", a.Registry, err)
	}
	return nil
}

// Login asks the registry whether the credentials are good, and stores them.
// It returns where they lie now, in words.
func (a *Account) Login(ctx context.Context, user, password string) (where string, err error) {
	if user == "" || password == "" {
		return "", errors.New("a user name and a password are needed, neither may be empty")
	}
	if strings.Contains(user, ":") {
		return "", errors.New("a user name cannot contain a colon")
	}
	if err := a.check(ctx, user, password); err != nil {
		return "", err
	}
	err = a.edit(ctx, func(sys *types.SystemContext) (err error) {
		where, err = config.SetCredentials(sys, a.Registry, user, password)
		if err == nil && where == sys.AuthFilePath+sys.DockerCompatAuthFilePath {
			where = a.file()
		}
		return err
	})
	if err != nil {
		return "", fmt.Errorf("storing the credentials for %s: %w", a.Registry, err)
	}
	return where, nil
}

// Logout removes the stored credentials. When another file than the one
// written to still has some, the error says so and wraps ErrNotLoggedIn.
func (a *Account) Logout(ctx context.Context) error {
	err := a.edit(ctx, func(sys *types.SystemContext) error { return config.RemoveAuthentication(sys, a.Registry) })
	if err != nil && !errors.Is(err, config.ErrNotLoggedIn) {
		return fmt.Errorf("removing the credentials for %s: %w", a.Registry, err)
	}
	left, readErr := a.stored(ctx)
	switch {
	case readErr == nil && left.Username != "":
		return fmt.Errorf("%w to %s with this tool; other credentials for it exist, such as of docker login: remove them with docker logout", ErrNotLoggedIn, a.Registry)
	case err != nil:
		return fmt.Errorf("%w to %s", ErrNotLoggedIn, a.Registry)
	}
	return nil
}

// LogoutAll removes all stored credentials.
func (a *Account) LogoutAll(ctx context.Context) error {
	if err := a.edit(ctx, config.RemoveAllAuthentication); err != nil {
		return fmt.Errorf("removing all credentials: %w", err)
	}
	return nil
}
