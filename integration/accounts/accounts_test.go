// Package accounts tests mpull login and logout with the real binary, a real
// registry and the tools that share the auth file.
package accounts

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/remote"

	"github.com/mpull/mpull/integration/realregistry"
	"github.com/mpull/mpull/integration/testenv"
	"github.com/mpull/mpull/integration/testimage"
)

const user, password = "alice", "s3cret:with/colon"

func TestMain(m *testing.M) { testenv.MainWithBinary(m) }

// machine is a home directory with a registry that its certs.d vouches for.
type machine struct {
	*realregistry.Registry
	t    *testing.T
	dir  string
	auth string // path of the auth file
}

func newMachine(t *testing.T, kind realregistry.Auth) *machine {
	t.Helper()
	dir := t.TempDir()
	r, err := realregistry.New(dir, kind, user, password)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(r.Close)
	m := &machine{Registry: r, t: t, dir: dir, auth: filepath.Join(dir, "auth.json")}
	m.write("home/.config/containers/certs.d/"+r.Host+"/ca.crt", r.Certificate(), 0o600)
	m.write("home/.config/containers/policy.json", `{"default": [{"type": "insecureAcceptAnything"}]}`, 0o600)
	m.write("registries.conf", "unqualified-search-registries = []\n", 0o600)
	m.write("run/empty", "", 0o600)
	img, err := testimage.Image(testimage.Spec{})
	if err != nil {
		t.Fatal(err)
	}
	ref, err := name.ParseReference(r.Host + "/team/app:1")
	if err != nil {
		t.Fatal(err)
	}
	if err := remote.Write(ref, img, remote.WithTransport(r.Transport()), remote.WithAuth(&authn.Basic{Username: user, Password: password})); err != nil {
		t.Fatal(err)
	}
	return m
}

func (m *machine) write(path, text string, mode os.FileMode) string {
	m.t.Helper()
	path = filepath.Join(m.dir, path)
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		m.t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), mode); err != nil {
		m.t.Fatal(err)
	}
	return path
}

// result is what a command did.
type result struct {
	out, err string
	code     int
}

// run starts a tool, mpull or another, with text as its standard input.
func (m *machine) run(input string, args ...string) result {
	m.t.Helper()
	program := args[0]
	if program == "mpull" {
		program = testenv.Binary()
	} else {
		testenv.Need(m.t, program)
		if program == "podman" {
			testenv.Store(m.t) // without the rights for one it does not end
		}
	}
	cmd := exec.Command(program, args[1:]...)
	cmd.Dir = m.dir
	cmd.Env = append(os.Environ(),
		"HOME="+filepath.Join(m.dir, "home"), "XDG_RUNTIME_DIR="+filepath.Join(m.dir, "run"), "XDG_CONFIG_HOME="+filepath.Join(m.dir, "home/.config"),
		"CONTAINERS_REGISTRIES_CONF="+filepath.Join(m.dir, "registries.conf"), "REGISTRY_AUTH_FILE="+m.auth,
		"PATH="+m.dir+":"+os.Getenv("PATH"), "HTTPS_PROXY=", "HTTP_PROXY=", "https_proxy=", "http_proxy=",
	)
	var out, errs bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = strings.NewReader(input), &out, &errs
	err := cmd.Run()
	r := result{out.String(), errs.String(), cmd.ProcessState.ExitCode()}
	if r.code < 0 {
		m.t.Fatalf("%v: %v", args, err)
	}
	if strings.Contains(r.out+r.err, password) {
		m.t.Errorf("%v printed the password:\n%s%s", args, r.out, r.err)
	}
	return r
}

// good runs a tool that must succeed, and returns its standard output.
func (m *machine) good(input string, args ...string) string {
	m.t.Helper()
	r := m.run(input, args...)
	if r.code != 0 {
		m.t.Fatalf("%v ended with %d:\n%s%s", args, r.code, r.out, r.err)
	}
	return r.out
}

// bad runs a tool that must end with 125 and say want.
func (m *machine) bad(want, input string, args ...string) {
	m.t.Helper()
	r := m.run(input, args...)
	if r.code != 125 || !strings.Contains(r.err, want) {
		m.t.Errorf("%v ended with %d, not 125 and %q:\n%s%s", args, r.code, want, r.out, r.err)
	}
}

// stored is the part of an auth file about the registry, "" without one.
func (m *machine) stored(path string) string {
	m.t.Helper()
	data, err := os.ReadFile(path)
	if os.IsNotExist(err) {
		return ""
	}
	var file struct {
		Auths map[string]struct {
			Auth string `json:"auth"`
		} `json:"auths"`
	}
	if err != nil || json.Unmarshal(data, &file) != nil {
		m.t.Fatalf("auth file %s: %v: %s", path, err, data)
	}
	return file.Auths[m.Host].Auth
}

func eachKind(t *testing.T, f func(*testing.T, *machine)) {
	for _, kind := range []realregistry.Auth{realregistry.Basic, realregistry.Token} {
		t.Run(string(kind), func(t *testing.T) { f(t, newMachine(t, kind)) })
	}
}

func TestLogin(t *testing.T) {
	eachKind(t, func(t *testing.T, m *machine) {
		image := "docker://" + m.Host + "/team/app:1"
		m.bad("not logged in", "", "mpull", "login", "--get-login", m.Host)
		if r := m.run("", "mpull", "inspect", "--retry", "0", image); r.code == 0 {
			t.Fatalf("the registry answers without a password:\n%s", r.out)
		}
		m.bad("invalid user name or password", "wrong", "mpull", "login", "-u", user, "--password-stdin", m.Host)
		if m.stored(m.auth) != "" {
			t.Error("a refused password was stored")
		}
		if out := m.good(password+"\n", "mpull", "login", "--username", user, "--password-stdin", "https://"+m.Host+"/"); out != "Login Succeeded!\n" {
			t.Errorf("login printed %q", out)
		}
		info, err := os.Stat(m.auth)
		if err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("the auth file: %v %v", info, err)
		}
		if out := m.good("", "mpull", "login", "--get-login", m.Host); out != user+"\n" {
			t.Errorf("--get-login printed %q", out)
		}
		if r := m.run("", "mpull", "login", m.Host); r.code != 0 || !strings.Contains(r.err, "Already logged in to "+m.Host) {
			t.Errorf("login again: %+v", r)
		}
		if out := m.good("", "mpull", "inspect", image); !strings.Contains(out, `"Architecture"`) {
			t.Errorf("inspect printed %s", out)
		}
		if out := m.good("", "mpull", "logout", m.Host); out != "Removed login credentials for "+m.Host+"\n" {
			t.Errorf("logout printed %q", out)
		}
		m.bad("not logged in", "", "mpull", "logout", m.Host)
		if m.stored(m.auth) != "" {
			t.Error("logout left the password")
		}
	})
}

func TestLoginAsksNobodyWithoutATerminal(t *testing.T) {
	m := newMachine(t, realregistry.Basic)
	m.bad("no terminal", "", "mpull", "login", m.Host)
	m.bad("no terminal", "", "mpull", "login", "-u", user, m.Host)
	m.bad("needs --username", password, "mpull", "login", "--password-stdin", m.Host)
	m.bad("not both", password, "mpull", "login", "-u", user, "-p", "x", "--password-stdin", m.Host)
	m.bad("is no registry", "", "mpull", "login", "-u", user, "-p", "x", "alpine")
	m.bad("without a tag", "", "mpull", "login", "-u", user, "-p", "x", m.Host+"/team/app:1")
	m.bad("usage: mpull login", "", "mpull", "login")
	m.bad("usage: mpull logout", "", "mpull", "logout")
	m.bad("usage: mpull logout", "", "mpull", "logout", "--all", m.Host)
}

func TestPasswordOnTheCommandLineIsAdvisedAgainst(t *testing.T) {
	m := newMachine(t, realregistry.Basic)
	r := m.run("", "mpull", "login", "-u", user, "-p", password, m.Host)
	if r.code != 0 || !strings.Contains(r.err, "--password-stdin is safer") {
		t.Errorf("%+v", r)
	}
}

func TestCertificates(t *testing.T) {
	m := newMachine(t, realregistry.Basic)
	certs := filepath.Join(m.dir, "certs")
	m.write("certs/ca.crt", m.Certificate(), 0o600)
	if err := os.RemoveAll(filepath.Join(m.dir, "home/.config/containers/certs.d")); err != nil {
		t.Fatal(err)
	}
	m.bad("certificate", password, "mpull", "login", "-u", user, "--password-stdin", m.Host)
	m.good(password, "mpull", "login", "-u", user, "--password-stdin", "--cert-dir", certs, m.Host)
	m.good("", "mpull", "logout", "--all")
	m.good(password, "mpull", "login", "-u", user, "--password-stdin", "--tls-verify=false", m.Host)
}

// TestPeersUseWhatMpullStored and its reverse: one auth file for all.
func TestPeersUseWhatMpullStored(t *testing.T) {
	eachKind(t, func(t *testing.T, m *machine) {
		m.good(password, "mpull", "login", "-u", user, "--password-stdin", m.Host)
		m.good("", "skopeo", "inspect", "docker://"+m.Host+"/team/app:1")
		if out := m.good("", "podman", "login", "--get-login", m.Host); out != user+"\n" {
			t.Errorf("podman login --get-login printed %q", out)
		}
		m.good("", "skopeo", "logout", m.Host)
		m.bad("not logged in", "", "mpull", "login", "--get-login", m.Host)
	})
}

func TestMpullUsesWhatPeersStored(t *testing.T) {
	for _, peer := range []string{"podman", "skopeo"} {
		t.Run(peer, func(t *testing.T) {
			eachKind(t, func(t *testing.T, m *machine) {
				m.good(password, peer, "login", "-u", user, "--password-stdin", m.Host)
				if out := m.good("", "mpull", "login", "--get-login", m.Host); out != user+"\n" {
					t.Errorf("--get-login printed %q", out)
				}
				m.good("", "mpull", "inspect", "docker://"+m.Host+"/team/app:1")
				if out := m.good("", "mpull", "logout", "--all"); out != "Removed login credentials for all registries\n" {
					t.Errorf("logout --all printed %q", out)
				}
				if m.stored(m.auth) != "" {
					t.Error("logout --all left the password")
				}
			})
		})
	}
}

func TestAuthFileFlags(t *testing.T) {
	m := newMachine(t, realregistry.Basic)
	other, docker := filepath.Join(m.dir, "other.json"), filepath.Join(m.dir, "config.json")
	m.good(password, "mpull", "login", "-u", user, "--password-stdin", "--authfile", other, m.Host)
	if m.stored(other) == "" || m.stored(m.auth) != "" {
		t.Error("--authfile was not the file written to")
	}
	m.good("", "mpull", "inspect", "--authfile", other, "docker://"+m.Host+"/team/app:1")
	m.good(password, "mpull", "login", "-u", user, "--password-stdin", "--compat-auth-file", docker, m.Host)
	if m.stored(docker) == "" {
		t.Error("--compat-auth-file was not the file written to")
	}
	m.bad("not both", password, "mpull", "login", "-u", user, "--password-stdin", "--compat-auth-file", docker, "--authfile", other, m.Host)
}

// helper is a credential helper that keeps one secret in a file beside it.
const helper = `#!/bin/sh
file="$(dirname "$0")/kept"
case "$1" in
store) cat >"$file" ;;
get) read -r server; [ -e "$file" ] && cat "$file" || { echo "credentials not found in native keychain"; exit 1; } ;;
erase) rm -f "$file" ;;
list) echo "{}" ;;
esac
`

func TestCredentialHelper(t *testing.T) {
	testenv.Need(t, "dirname", "cat")
	m := newMachine(t, realregistry.Basic)
	m.write("docker-credential-kept", helper, 0o700)
	m.write("auth.json", "{}", 0o600)
	m.write("registries.conf", "unqualified-search-registries = []\ncredential-helpers = [\"kept\"]\n", 0o600)
	m.good(password, "mpull", "login", "-u", user, "--password-stdin", m.Host)
	if m.stored(m.auth) != "" {
		t.Error("the password is in the auth file, not only with the helper")
	}
	if _, err := os.Stat(filepath.Join(m.dir, "kept")); err != nil {
		t.Errorf("the helper was not asked to store: %v", err)
	}
	m.good("", "mpull", "inspect", "docker://"+m.Host+"/team/app:1")
	m.good("", "mpull", "logout", m.Host)
	if _, err := os.Stat(filepath.Join(m.dir, "kept")); !os.IsNotExist(err) {
		t.Errorf("the helper was not asked to erase: %v", err)
	}
}
