package host

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"slices"

	"github.com/mpull/mpull/engine/platform"
)

// A Compat names a second kind of program that a kernel can run beside its
// own: 32-bit programs on a 64-bit kernel.
type Compat string

// The kinds of compatibility that a machine can have.
const (
	CompatIA32    Compat = "ia32"    // 386 programs on amd64 (CONFIG_IA32_EMULATION and ia32_emulation=)
	CompatX32     Compat = "x32"     // ILP32 programs with amd64 instructions (CONFIG_X86_X32_ABI)
	CompatAArch32 Compat = "aarch32" // arm programs on arm64 (CONFIG_COMPAT and a CPU with 32-bit EL0)
)

// Facts are what decides on a machine whether a program starts there. They are a
// plain value: [Local] reads those of this machine, [Read] those of another from
// a file, and tests make them up. Their JSON form is stable.
type Facts struct {
	// Platform is what kernel and CPU run natively. Variant is the highest
	// level: v1 to v4 on amd64, v5 to v8 on arm, v8 or v9 on arm64.
	Platform platform.Platform `json:"platform"`
	// Program is what the mpull that read the facts was built for, where that is
	// not the kernel's platform: a 32-bit program on a 64-bit kernel. It decides
	// what is pulled, as with podman, and not what starts. Zero means Platform.
	Program platform.Platform `json:"program,omitzero"`
	// Compat lists what else the kernel runs without a handler.
	Compat []Compat `json:"compat,omitempty"`
	// PageSize is the size of a memory page in bytes; 0 stands for 4096.
	PageSize int `json:"pageSize"`
	// Kernel is the release as uname prints it ("6.1.0-18-amd64").
	Kernel string `json:"kernel"`
	// ProtectedSymlinks is the sysctl fs.protected_symlinks: links in sticky
	// world-writable directories are followed for their owner only.
	ProtectedSymlinks bool `json:"protectedSymlinks"`
	// MmapMinAddr is the sysctl vm.mmap_min_addr in bytes: no container's
	// program is mapped below.
	MmapMinAddr uint64 `json:"mmapMinAddr"`
	// MaxMapping is the largest writable mapping that the kernel grants, in
	// bytes; 0 when it is not known.
	MaxMapping uint64 `json:"maxMapping,omitempty"`
	// StackLimit is the limit on the stack that a container's program gets. It
	// decides where the kernel maps files. A runtime hands down its own when
	// the container's settings name none.
	StackLimit StackLimit `json:"stackLimit,omitempty"`
	// MmapRndBits and MmapRndCompatBits are the sysctls vm.mmap_rnd_bits and
	// vm.mmap_rnd_compat_bits, how many pages mappings are moved at random, as
	// a power of two; 0 when they are not known, as only root may read them.
	MmapRndBits       int `json:"mmapRndBits,omitempty"`
	MmapRndCompatBits int `json:"mmapRndCompatBits,omitempty"`
	// NoRandom says that nothing is moved at random (sysctl
	// kernel.randomize_va_space, setarch -R).
	NoRandom bool `json:"noRandom,omitempty"`
	// LegacyLayout says that files are mapped from the bottom up (sysctl
	// vm.legacy_va_layout, setarch -L).
	LegacyLayout bool `json:"legacyLayout,omitempty"`
	// FiveLevels says that an amd64 kernel has page tables of five levels (la57),
	// and maps above 47 bits what a program asks for there.
	FiveLevels bool `json:"fiveLevels,omitempty"`
	// Emulators are the files of emulators that are installed, whether or not
	// a handler starts them. At most 128.
	Emulators []string `json:"emulators,omitempty"`
	// Binfmt holds the registered handlers of binfmt_misc.
	Binfmt Binfmt `json:"binfmt"`
}

// Limits of Read.
const (
	maxHostJSON  = 1 << 20
	maxHandlers  = 512
	maxHostText  = 256
	maxEmulators = 128
	maxRndBits   = 33 // of arm64, the highest CONFIG_ARCH_MMAP_RND_BITS_MAX
)

// Read reads facts from their JSON form, as written by json.Marshal. It reads at
// most 1 MiB and refuses unknown fields, trailing data, more than 512 handlers
// and handlers that no kernel would have registered.
func Read(r io.Reader) (Facts, error) {
	var f Facts
	data, err := io.ReadAll(io.LimitReader(r, maxHostJSON+1))
	if err != nil {
		return f, fmt.Errorf("reading host facts: %w", err)
	}
	if len(data) > maxHostJSON {
		return f, fmt.Errorf("host facts are longer than %d bytes", maxHostJSON)
	}
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&f); err != nil {
		return Facts{}, fmt.Errorf("host facts are not what info --host writes: %w", err)
	}
	if dec.More() {
		return Facts{}, fmt.Errorf("host facts are followed by more data")
	}
	if err := f.validate(); err != nil {
		return Facts{}, fmt.Errorf("host facts: %w", err)
	}
	return f, nil
}

// validate reports the first fact that no machine can have.
func (f Facts) validate() error {
	if f.Platform.OS == "" || f.Platform.Architecture == "" {
		return fmt.Errorf("platform needs os and architecture")
	}
	if f.Program != (platform.Platform{}) && !f.Program.Complete() {
		return fmt.Errorf("program needs os and architecture")
	}
	for _, s := range []string{f.Platform.OS, f.Platform.Architecture, f.Platform.Variant, f.Kernel, f.Program.String()} {
		if len(s) > maxHostText {
			return fmt.Errorf("a text is longer than %d bytes", maxHostText)
		}
	}
	known := []Compat{CompatIA32, CompatX32, CompatAArch32}
	for _, c := range f.Compat {
		if !slices.Contains(known, c) {
			return fmt.Errorf("compat %q is unknown; known are %v", c, known)
		}
	}
	if f.PageSize < 0 || f.PageSize > 1<<20 || f.PageSize&(f.PageSize-1) != 0 {
		return fmt.Errorf("page size %d is not a power of two up to 1 MiB", f.PageSize)
	}
	for _, bits := range []int{f.MmapRndBits, f.MmapRndCompatBits} {
		if bits < 0 || bits > maxRndBits {
			return fmt.Errorf("%d random bits of an address are not between 0 and %d", bits, maxRndBits)
		}
	}
	if len(f.Emulators) > maxEmulators {
		return fmt.Errorf("more than %d emulators", maxEmulators)
	}
	if len(f.Binfmt.Handlers) > maxHandlers {
		return fmt.Errorf("more than %d binfmt handlers", maxHandlers)
	}
	for _, e := range f.Binfmt.Handlers {
		if err := e.validate(); err != nil {
			return fmt.Errorf("binfmt handler %q: %w", e.Name, err)
		}
	}
	return nil
}

// Facts returns f: facts alone are a machine that can be asked about.
func (f Facts) Facts() Facts { return f }

// Wants returns the platform that is wanted here when nobody asks for one:
// Program, else Platform.
func (f Facts) Wants() platform.Platform { return cmp.Or(f.Program, f.Platform) }

// Has reports whether the kernel runs programs of kind c.
func (f Facts) Has(c Compat) bool { return slices.Contains(f.Compat, c) }

// Page returns the page size in bytes, 4096 when the host does not say.
func (f Facts) Page() int { return cmp.Or(f.PageSize, 4096) }

// Native reports whether kernel and CPU run programs of platform p without a
// handler. It answers for the platform, not for a file: handlers that take
// native files over, and files that are not what the platform says, are the
// business of package preflight. An arm platform without variant counts as
// native on every arm CPU, since it claims no level.
func (f Facts) Native(p platform.Platform) bool {
	if p.OS != "linux" || f.Platform.OS != "linux" {
		return p == f.Platform
	}
	if p.Architecture == f.Platform.Architecture {
		return p.Level() <= f.Platform.Level()
	}
	switch {
	case p.Architecture == "386":
		return f.Platform.Architecture == "amd64" && f.Has(CompatIA32)
	case p.Architecture == "arm" && f.Platform.Architecture == "arm64":
		return f.Has(CompatAArch32) && p.Level() <= 8
	}
	return false
}

// Match returns the handler that takes a file with this head, started by the name
// path, as [Binfmt.Match].
func (f Facts) Match(head []byte, path string) (Handler, bool) { return f.Binfmt.Match(head, path) }

// Handler returns the handler that takes the programs of platform p. It is found
// by the bytes of ELF headers of p, not by names. What it starts is not known
// where Unsure says so.
func (f Facts) Handler(p platform.Platform) (Handler, bool) {
	return f.handler(elfHeads(p), p, f.Match)
}

// handler returns the first handler that takes one of the heads of p's programs.
func (f Facts) handler(heads [][]byte, p platform.Platform, match func([]byte, string) (Handler, bool)) (Handler, bool) {
	if p.OS != "linux" || f.Platform.OS != "linux" {
		return Handler{}, false
	}
	for _, head := range heads {
		if e, ok := match(head, ""); ok {
			return e, true
		}
	}
	return Handler{}, false
}
