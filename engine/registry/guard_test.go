package registry

import (
	"net/url"
	"testing"

	"go.podman.io/image/v5/docker"
	"go.podman.io/image/v5/types"
)

// guardFor makes a guard of a context without configuration files.
func guardFor(t *testing.T, name string, creds *types.DockerAuthConfig) *Guard {
	t.Helper()
	ref, err := docker.ParseReference("//" + name)
	if err != nil {
		t.Fatal(err)
	}
	sys := &types.SystemContext{
		SystemRegistriesConfPath: "/dev/null", SystemRegistriesConfDirPath: t.TempDir(), AuthFilePath: t.TempDir() + "/none", DockerAuthConfig: creds,
	}
	return NewGuard(sys, ref)
}

func judgeAll(t *testing.T, g *Guard, urls ...string) (refused string) {
	t.Helper()
	for _, s := range urls {
		u, err := url.Parse(s)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := g.judge(u); err != nil {
			return s
		}
	}
	return ""
}

func TestGuard(t *testing.T) {
	alice := &types.DockerAuthConfig{Username: "alice", Password: "s3cret"}
	const ping, manifest = "https://r.example.com/v2/", "https://r.example.com/v2/app/manifests/1"
	for _, c := range []struct {
		name  string
		image string
		creds *types.DockerAuthConfig
		urls  []string // asked in order; the last is refused when bad is set
		bad   bool
	}{
		{"token of the same host", "r.example.com/app", alice, []string{ping, "https://r.example.com/token"}, false},
		{"token of the same domain", "r.example.com/app", alice, []string{ping, "https://auth.example.com/token", manifest}, false},
		{"token of another domain", "r.example.com/app", alice, []string{ping, "https://auth.example.net/token"}, true},
		{"token of another domain, nobody logged in", "r.example.com/app", nil, []string{ping, "https://auth.example.net/token"}, false},
		{"domains under a public suffix", "r.a.co.uk/app", alice, []string{"https://r.a.co.uk/v2/", "https://auth.b.co.uk/token"}, true},
		{"Docker Hub", "docker.io/library/alpine", alice, []string{"https://registry-1.docker.io/v2/", "https://auth.docker.io/token", "https://registry-1.docker.io/v2/library/alpine/manifests/latest", "https://production.cloudfront.docker.com/x"}, false},
		{"blob on another host", "r.example.com/app", alice, []string{ping, manifest, "https://cdn.example.net/blob"}, false},
		{"token over http", "r.example.com/app", nil, []string{ping, "http://r.example.com/token"}, true},
		{"blob over http", "r.example.com/app", nil, []string{ping, manifest, "http://cdn.example.net/blob"}, true},
		{"the registry itself over http later", "r.example.com/app", nil, []string{ping, "http://r.example.com/v2/app/manifests/1"}, true},
		{"http registry", "r.example.com/app", nil, []string{"http://r.example.com/v2/", "http://r.example.com/token"}, false},
		{"a ping of another host", "r.example.com/app", alice, []string{ping, "https://evil.example.net/v2/"}, true},
		{"loopback", "r.example.com/app", nil, []string{ping, manifest, "https://127.0.0.1/x"}, true},
		{"localhost with a dot", "r.example.com/app", nil, []string{ping, manifest, "https://localhost./x"}, true},
		{"loopback of a loopback registry", "127.0.0.1:5000/app", alice, []string{"https://127.0.0.1:5000/v2/", "https://localhost:5001/token"}, false},
		{"private of a loopback registry", "127.0.0.1:5000/app", nil, []string{"https://127.0.0.1:5000/v2/", "https://192.168.1.1/token"}, true},
		{"private of a private registry", "10.0.0.1/app", nil, []string{"https://10.0.0.1/v2/", "https://10.0.0.2/token"}, false},
		{"link-local", "r.example.com/app", nil, []string{ping, manifest, "https://169.254.169.254/"}, true},
		{"link-local of IPv6", "r.example.com/app", nil, []string{ping, manifest, "https://[fe80::1%25eth0]/"}, true},
		{"unique local of IPv6", "r.example.com/app", nil, []string{ping, manifest, "https://[fd00:ec2::254]/"}, true},
		{"unspecified", "r.example.com/app", nil, []string{ping, manifest, "https://0.0.0.0/"}, true},
		{"address in octal", "r.example.com/app", nil, []string{ping, manifest, "https://0177.0.0.1/"}, true},
		{"address in hexadecimal", "r.example.com/app", nil, []string{ping, manifest, "https://0x7f000001/"}, true},
		{"short address", "r.example.com/app", nil, []string{ping, manifest, "https://127.1/"}, true},
		{"public address", "r.example.com/app", nil, []string{ping, manifest, "https://93.184.216.34/x"}, false},
		{"user information", "r.example.com/app", nil, []string{ping, manifest, "https://eve@cdn.example.net/"}, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			want := ""
			if c.bad {
				want = c.urls[len(c.urls)-1]
			}
			if got := judgeAll(t, guardFor(t, c.image, c.creds), c.urls...); got != want {
				t.Errorf("refused %q, not %q", got, want)
			}
		})
	}
}

func TestRefusalShowsNoSecret(t *testing.T) {
	g := guardFor(t, "r.example.com/app", nil)
	u, err := url.Parse("https://eve:hunter2@cdn.example.net/x?sig=hunter3")
	if err != nil {
		t.Fatal(err)
	}
	_, err = g.judge(u)
	if err == nil {
		t.Fatal("it was not refused")
	}
	if got, want := err.Error(), "the registry r.example.com leads to https://cdn.example.net/x, which is refused: it has a user name or password in it"; got != want {
		t.Errorf("it says %q", got)
	}
}

func FuzzClassOf(f *testing.F) {
	for _, s := range []string{"", ".", "localhost", "127.0.0.1", "::1", "fe80::1%eth0", "0x7f.1", "example.com", "1.2.3.4.5", "\x00"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, host string) {
		if c := classOf(host); c < public || c > unusual {
			t.Errorf("class %d", c)
		}
		sameDomain(host, "r.example.com")
		if !sameDomain(host, host) {
			t.Errorf("%q is not of its own domain", host)
		}
	})
}
