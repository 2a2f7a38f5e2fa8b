package engine

import (
	"errors"
	"slices"
	"testing"

	"github.com/mpull/mpull/engine/host"
	"github.com/mpull/mpull/engine/platform"
	"github.com/mpull/mpull/store"
)

func TestMissing(t *testing.T) {
	none := func(string) (string, error) { return "", errors.New("not found") }
	all := func(name string) (string, error) { return "/bin/" + name, nil }
	whole := Info{
		Host:   HostInfo{Emulated: []EmulatedInfo{{Platform: "linux/arm64/v8"}}},
		Config: []store.ConfigFile{{Name: "policy.json", InForce: []string{"/p"}}, {Name: "registries.conf", InForce: []string{"/r"}}},
	}
	bare := Info{Rootless: true, Config: []store.ConfigFile{{Name: "storage.conf"}, {Name: "policy.json"}, {Name: "registries.conf"}}}
	for name, tt := range map[string]struct {
		info Info
		find func(string) (string, error)
		want []string
	}{
		"whole":               {whole, all, nil},
		"no programs, root":   {whole, none, []string{"crun or runc"}},
		"no files":            {bare, all, []string{"policy.json", "registries.conf", "qemu-user-static"}},
		"nothing, not a root": {bare, none, []string{"policy.json", "registries.conf", "newuidmap", "qemu-user-static", "crun or runc"}},
	} {
		var got []string
		for _, m := range missing(tt.info, tt.find) {
			got = append(got, m.What)
			if m.Debian == "" || m.Fedora == "" || m.Effect == "" {
				t.Errorf("%s: %s: %+v", name, m.What, m)
			}
		}
		if !slices.Equal(got, tt.want) {
			t.Errorf("%s: %q, not %q", name, got, tt.want)
		}
	}
}

func TestHostInfo(t *testing.T) {
	h := host.Facts{Platform: platform.Platform{OS: "linux", Architecture: "amd64", Variant: "v3"}, Compat: []host.Compat{host.CompatIA32}}
	info := hostInfo(h)
	if want := []string{"linux/amd64", "linux/amd64/v2", "linux/amd64/v3", "linux/386"}; !slices.Equal(info.Native, want) {
		t.Errorf("native: %q, not %q", info.Native, want)
	}
	if len(info.Emulated) != 0 {
		t.Errorf("emulated without a handler: %v", info.Emulated)
	}
}
