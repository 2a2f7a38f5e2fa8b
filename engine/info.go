package engine

import (
	"os"
	"os/exec"
	"slices"

	"go.podman.io/storage/pkg/unshare"

	"github.com/mpull/mpull/engine/platform"
	"github.com/mpull/mpull/engine/preflight"
	"github.com/mpull/mpull/store"
	"github.com/mpull/mpull/store/crio"
)

// Info tells what is in force on this machine, and what is missing.
type Info struct {
	Host     HostInfo           `json:"host"`
	Rootless bool               `json:"rootless"` // an ordinary user's store, in a user namespace
	Store    store.Description  `json:"store"`
	Config   []store.ConfigFile `json:"config"`         // storage.conf, registries.conf, policy.json, containers.conf, auth.json
	CRIO     *crio.Config       `json:"crio,omitempty"` // CRI-O's configuration, where there is one
	Missing  []Missing          `json:"missing"`
}

// HostInfo tells what starts on this machine.
type HostInfo struct {
	Platform string         `json:"platform"` // what kernel and CPU run, with the level of the CPU
	Kernel   string         `json:"kernel"`
	Native   []string       `json:"native"`   // platforms that run without a handler
	Emulated []EmulatedInfo `json:"emulated"` // platforms that a binfmt_misc handler runs
	Arch     string         `json:"arch"`     // of Platform, under podman's keys
	OS       string         `json:"os"`
}

// EmulatedInfo is one platform that a handler runs.
type EmulatedInfo struct {
	Platform string `json:"platform"`
	Handler  string `json:"handler"`  // path of the interpreter
	AnyImage bool   `json:"anyImage"` // false: the image itself must ship the handler's program (flag F is missing)
}

// Missing is something that this machine lacks, and the packages that have it.
type Missing struct {
	What   string `json:"what"`
	Effect string `json:"effect"` // what does not work without it
	Debian string `json:"debian,omitempty"`
	Fedora string `json:"fedora,omitempty"`
	Sample string `json:"sample,omitempty"` // file of mpull's to start from
}

// Info reads what is in force. It opens no store and asks no registry; an
// error is about configuration that cannot be read.
func (e *Engine) Info() (Info, error) {
	info := Info{Rootless: unshare.IsRootless() || os.Geteuid() != 0, Host: hostInfo(e.host())}
	described, err := e.config.Store.Describe()
	if err != nil {
		return info, err
	}
	info.Store = described
	info.Config = e.configFiles()
	config, err := e.config.Store.CRIO.Config()
	if err != nil {
		return info, err
	}
	if config.Present() {
		info.CRIO = &config
	}
	info.Missing = missing(info, exec.LookPath)
	return info, nil
}

// configFiles finds which files are in force. It opens none of them.
func (e *Engine) configFiles() []store.ConfigFile {
	auth := store.ConfigFile{Name: "auth.json", InForce: []string{}, Looked: e.config.Registry.AuthFiles()}
	for _, path := range auth.Looked {
		if _, err := os.Stat(path); err == nil {
			auth.InForce = append(auth.InForce, path)
		}
	}
	return []store.ConfigFile{
		store.FindConfig(store.ConfigSearch{Name: "storage", Extension: "conf", Environment: "CONTAINERS_STORAGE_CONF"}),
		store.FindConfig(store.ConfigSearch{Name: "registries", Extension: "conf", Environment: "CONTAINERS_REGISTRIES_CONF", Custom: e.config.Registry.RegistriesConf}),
		store.FindConfig(store.ConfigSearch{Name: "policy", Extension: "json", Environment: "CONTAINERS_POLICY_JSON", Custom: e.config.Registry.PolicyFile, MainOnly: true}),
		store.FindConfig(containersConf()),
		auth,
	}
}

// shownPlatforms are the platforms that images are commonly built for.
func shownPlatforms() []string {
	return []string{
		"linux/amd64", "linux/amd64/v2", "linux/amd64/v3", "linux/amd64/v4", "linux/386", "linux/arm64/v8", "linux/arm/v5",
		"linux/arm/v6", "linux/arm/v7", "linux/ppc64le", "linux/s390x", "linux/riscv64", "linux/mips64le", "linux/loong64",
	}
}

func hostInfo(on preflight.Host) HostInfo {
	h := on.Facts()
	info := HostInfo{Platform: h.Platform.String(), Kernel: h.Kernel, Native: []string{}, Emulated: []EmulatedInfo{}, Arch: h.Platform.Architecture, OS: h.Platform.OS}
	for _, s := range shownPlatforms() {
		p, err := platform.Parse(s)
		if err != nil {
			continue
		}
		if h.Native(p) {
			info.Native = append(info.Native, s)
		} else if e, _ := on.Handler(p); e.Interpreter != "" {
			info.Emulated = append(info.Emulated, EmulatedInfo{Platform: s, Handler: e.Interpreter, AnyImage: e.InAnyImage()})
		}
	}
	return info
}

// missing lists what a machine lacks. find looks a program up in PATH.
func missing(info Info, find func(string) (string, error)) []Missing {
	list := []Missing{}
	absent := func(name string) bool {
		at := slices.IndexFunc(info.Config, func(c store.ConfigFile) bool { return c.Name == name })
		return at >= 0 && len(info.Config[at].InForce) == 0
	}
	lacks := func(program string) bool { _, err := find(program); return err != nil }
	add := func(isMissing bool, m Missing) {
		if isMissing {
			list = append(list, m)
		}
	}
	const debianConf, fedoraConf = "golang-github-containers-common", "containers-common"
	add(absent("policy.json"), Missing{"policy.json", "nothing can be pulled", debianConf, fedoraConf, "contrib/config/policy.json"})
	add(absent("registries.conf"), Missing{"registries.conf", "names need their registry: docker.io/library/alpine, not alpine", debianConf, fedoraConf, "contrib/config/registries.conf"})
	add(info.Rootless && (lacks("newuidmap") || lacks("newgidmap")),
		Missing{"newuidmap", "an ordinary user cannot unpack images with files of several users", "uidmap", "shadow-utils", ""})
	add(len(info.Host.Emulated) == 0,
		Missing{"qemu-user-static", "images of other architectures can be pulled, but do not start", "qemu-user-static", "qemu-user-static", ""})
	add(lacks("runc") && lacks("crun"), Missing{"crun or runc", "mpull run starts nothing", "crun", "crun", ""})
	return list
}
