package registry

import (
	"cmp"
	"fmt"
	"os"
	"strings"

	"go.podman.io/image/v5/signature"
	"go.podman.io/image/v5/types"

	"github.com/mpull/mpull/engine/userfile"
)

// Options says how to reach registries. The zero value means what podman does
// without flags: the configuration files of this machine and user.
type Options struct {
	AuthFile       string // path of an auth file; "" means REGISTRY_AUTH_FILE, else the default ones
	Creds          string // user[:password] for the registry named by the user; not sent to mirrors
	CertDir        string // folder with *.crt, *.cert and *.key; "" means certs.d
	TLSVerify      *bool  // nil means registries.conf decides
	RegistriesConf string // path of registries.conf; "" means CONTAINERS_REGISTRIES_CONF, else the default ones
	PolicyFile     string // path of policy.json; "" means the default ones
	TempDir        string // where big downloads go; "" means /var/tmp
	UserAgent      string // sent to registries
	RuntimeDir     string // an ordinary user's, with their auth file, as store.SettleRuntimeDir found it; "" means XDG_RUNTIME_DIR, else root's
}

// SystemContext returns a fresh context for the image library, which keeps
// state in it: use one per operation.
func (o Options) SystemContext() (*types.SystemContext, error) {
	sys := &types.SystemContext{
		AuthFilePath:             o.authFile(),
		DockerCertPath:           o.CertDir,
		SystemRegistriesConfPath: o.RegistriesConf,
		SignaturePolicyPath:      o.PolicyFile,
		BigFilesTemporaryDir:     o.TempDir,
		DockerRegistryUserAgent:  o.UserAgent,
		DockerLogMirrorChoice:    true,
	}
	if o.TLSVerify != nil {
		sys.DockerInsecureSkipTLSVerify = types.NewOptionalBool(!*o.TLSVerify)
		sys.OCIInsecureSkipTLSVerify = !*o.TLSVerify
	}
	if o.Creds != "" {
		user, password, _ := strings.Cut(o.Creds, ":")
		if user == "" {
			return nil, fmt.Errorf("credentials have no user name: write user:password")
		}
		sys.DockerAuthConfig = &types.DockerAuthConfig{Username: user, Password: password}
	}
	return sys, nil
}

// authFile returns the auth file that the user named. The image library knows
// the default ones, but not the variable that podman, buildah and skopeo read.
func (o Options) authFile() string { return cmp.Or(o.AuthFile, os.Getenv("REGISTRY_AUTH_FILE")) }

// CheckAuthFile tells whether the auth file that the user named, by flag or by
// REGISTRY_AUTH_FILE, is there, and the folder of certificates: the library would take one that is not for an
// empty one, and the registry's refusal would be all that the user sees.
func (o Options) CheckAuthFile() error {
	if err := o.checkRegular(); err != nil {
		return err
	}
	if o.CertDir != "" {
		// The library takes a folder that is not there for one without certificates.
		if info, err := os.Stat(o.CertDir); err != nil {
			return fmt.Errorf("reading the certificates: %w", err)
		} else if !info.IsDir() {
			return fmt.Errorf("reading the certificates: %s is no folder", o.CertDir)
		}
	}
	if path := o.authFile(); path != "" {
		if _, err := os.Stat(path); err != nil {
			return fmt.Errorf("reading the auth file: %w", err)
		}
	}
	return nil
}

// checkRegular refuses auth files that would be waited for.
func (o Options) checkRegular() error {
	return eachRegular(o.AuthFiles(), "the auth file")
}

// eachRegular refuses files of which reading one would be waiting.
func eachRegular(paths []string, what string) error {
	for _, path := range paths {
		if err := userfile.CheckRegular(path); err != nil {
			return fmt.Errorf("reading %s: %w", what, err)
		}
	}
	return nil
}

// CheckFiles refuses the files named for registries.conf and policy.json where
// reading them would be waiting.
func (o Options) CheckFiles() error {
	return eachRegular([]string{o.RegistriesConf, os.Getenv("CONTAINERS_REGISTRIES_CONF"), o.PolicyFile}, "the configuration")
}

// NoPolicyError says that the signature policy, policy.json, cannot be read.
type NoPolicyError struct {
	Err   error
	Named bool // the user named the file
}

func (e *NoPolicyError) Error() string {
	return fmt.Sprintf("no image is accepted without a signature policy (policy.json): %v", e.Err)
}

func (e *NoPolicyError) Unwrap() error { return e.Err }

// CheckPolicy tells whether there is a signature policy that can be read.
func (o Options) CheckPolicy() error {
	sys, err := o.SystemContext()
	if err != nil {
		return err
	}
	policy, err := Policy(sys)
	if err != nil {
		return err
	}
	return policy.Destroy()
}

// Policy reads policy.json. A missing or malformed file is an error: without
// a policy nothing is accepted. Destroy the context after use.
func Policy(sys *types.SystemContext) (*signature.PolicyContext, error) {
	policy, err := signature.DefaultPolicy(sys)
	if err != nil {
		return nil, &NoPolicyError{Err: err, Named: sys.SignaturePolicyPath != ""}
	}
	return signature.NewPolicyContext(policy)
}

// Disallowed is the error of an image that the signature policy does not allow.
func Disallowed(err error) error {
	next := "mpull info names the policy in force; " +
		"a signature beside the image in its registry is read with use-sigstore-attachments: true for it in /etc/containers/registries.d/default.yaml"
	if strings.HasSuffix(err.Error(), "rejected by policy.") {
		next = "mpull info names the policy in force: it rejects whatever has this name"
	}
	return &AdvisedError{Err: fmt.Errorf("the signature policy does not allow it: %w", err), Next: next}
}
