package registry

import (
	"crypto/x509"
	"errors"
	"net"
	"net/http"

	"github.com/docker/distribution/registry/api/errcode"
	v2 "github.com/docker/distribution/registry/api/v2"
	"go.podman.io/image/v5/docker"
	"go.podman.io/image/v5/docker/reference"
	"go.podman.io/image/v5/pkg/docker/config"
	"go.podman.io/image/v5/types"
	"golang.org/x/sys/unix"
)

// AdvisedError is an error of which it is known what the user can do.
type AdvisedError struct {
	Err  error
	Next string // what to type, or to look at
}

func (e *AdvisedError) Error() string { return e.Err.Error() }

func (e *AdvisedError) Unwrap() error { return e.Err }

// Problem is why a registry did not give what was asked for.
type Problem int

// Problems that a user can do something about.
const (
	NeedsLogin       Problem = iota + 1 // it says that one must log in, or that one may not
	SpeaksHTTP                          // it answers without TLS
	UntrustedTLS                        // nobody who is trusted vouches for its certificate
	NoSuchTag                           // the repository has no such tag
	NoSuchRepository                    // there is no such repository
	NoSuchHost                          // the name of the registry is none
	NobodyListens                       // nothing answers at its port
)

// AskError is an error of asking a registry about a name, whose cause is
// known. Find it with errors.As.
type AskError struct {
	Err        error
	Problem    Problem
	Host       string   // of the name, with its port
	Repository string   // the name without tag and digest
	Tag        string   // "" with a digest
	Tags       []string // those that there are, where they were asked for
	LoggedIn   bool     // credentials for the host were at hand
}

func (e *AskError) Error() string { return e.Err.Error() }

func (e *AskError) Unwrap() error { return e.Err }

// Explain makes an AskError of what a registry's answer about ref ended with,
// where the cause is known.
func Explain(sys *types.SystemContext, ref types.ImageReference, err error) error {
	named := ref.DockerReference()
	if err == nil || named == nil || ref.Transport().Name() != docker.Transport.Name() || errors.As(err, new(*AskError)) {
		return err
	}
	problem := problemOf(err)
	if problem == 0 {
		return err
	}
	e := &AskError{Err: err, Problem: problem, Host: reference.Domain(named), Repository: named.Name()}
	if tagged, ok := named.(reference.Tagged); ok {
		e.Tag = tagged.Tag()
	}
	if problem == NeedsLogin {
		auth, authErr := config.GetCredentialsForRef(sys, named)
		e.LoggedIn = authErr == nil && auth != types.DockerAuthConfig{}
	}
	return e
}

func problemOf(err error) Problem {
	if errors.As(err, new(docker.ErrUnauthorizedForCredentials)) {
		return NeedsLogin
	}
	if code, ok := codeOf(err); ok {
		return map[errcode.ErrorCode]Problem{
			errcode.ErrorCodeUnauthorized: NeedsLogin, errcode.ErrorCodeDenied: NeedsLogin,
			v2.ErrorCodeManifestUnknown: NoSuchTag, v2.ErrorCodeNameUnknown: NoSuchRepository,
		}[code]
	}
	dns, isDNS := errors.AsType[*net.DNSError](err)
	switch {
	case errors.Is(err, http.ErrSchemeMismatch):
		return SpeaksHTTP
	case errors.As(err, new(x509.UnknownAuthorityError)), errors.As(err, new(x509.HostnameError)), errors.As(err, new(x509.CertificateInvalidError)):
		return UntrustedTLS
	case isDNS && dns.IsNotFound:
		return NoSuchHost
	case errors.Is(err, unix.ECONNREFUSED):
		return NobodyListens
	}
	return 0
}
