package preflight

import (
	"bytes"
	"encoding/binary"
	"path"
	"slices"
	"strings"
)

// glibc looks for libraries as _dl_map_object of elf/dl-load.c.
type glibc struct {
	*linking
	system []string // the directories compiled in, from the loader's own file
	hwcaps []string // subdirectories for this CPU, of 2.33 and later
	cache  []cacheEntry
}

func newGlibc(k *linking, file []byte) finder {
	g := &glibc{linking: k, system: systemDirs(file), cache: parseCache(k.small("/etc/ld.so.cache", maxCache), k.main.order)}
	if bytes.Contains(file, []byte("glibc-hwcaps")) {
		g.hwcaps = k.levelsUpTo()
	}
	compares := bytes.Contains(file, []byte(loaderRefusal)) // since 2.33
	return finder{dirs: g.dirs, cached: g.cached, fallback: g.fallback, below: g.hwcaps, levels: compares, versions: true, lazy: true}
}

// systemDirs finds system_dirs in the loader: names of directories one behind
// the other, each with a slash and a NUL at its end.
func systemDirs(file []byte) []string {
	for _, last := range []string{"/usr/lib/\x00", "/usr/lib64/\x00", "/lib/\x00"} {
		i := bytes.Index(file, []byte("\x00"+last))
		if i < 0 {
			continue
		}
		var dirs []string
		for at := i + 1; at > 0; {
			from := bytes.LastIndexByte(file[:at-1], 0) + 1
			d := string(file[from : at-1])
			if len(d) < 2 || d[0] != '/' || !strings.HasSuffix(d, "/") || strings.ContainsFunc(d, func(r rune) bool { return r <= ' ' || r > '~' }) {
				break
			}
			dirs, at = append([]string{d}, dirs...), from
		}
		for at := i + 1; at < len(file); {
			d, _, ok := cString(file[at:min(len(file), at+pathMax)])
			if !ok || len(d) < 2 || d[0] != '/' || !strings.HasSuffix(d, "/") {
				break
			}
			dirs, at = append(dirs, d), at+len(d)+1
		}
		return dirs
	}
	return []string{"/lib64/", "/usr/lib64/", "/lib/", "/usr/lib/"}
}

func (g *glibc) dirs(of *object) (dirs []string) {
	if of.dyn.runpath == "" {
		for o := of; o != nil; o = o.by {
			if o.dyn.runpath == "" { // else RPATH does not count
				dirs = append(dirs, searchPath(o.dyn.rpath, ":", ".", path.Dir(o.path))...)
			}
		}
	}
	dirs = append(dirs, searchPath(g.environ("LD_LIBRARY_PATH"), ":;", ".", path.Dir(g.main.id.path))...)
	return append(dirs, searchPath(of.dyn.runpath, ":", ".", path.Dir(of.path))...)
}

func (g *glibc) cached(of *object, name string) (paths []string) {
	for _, level := range append(slices.Clone(g.hwcaps), "") {
		for _, e := range g.cache {
			switch {
			case e.name != name, hwcapOf(e.path) != level, level != "" && e.level > g.hostLevel(g.main):
			case of.dyn.noDefault && g.isSystem(e.path):
			default:
				paths = append(paths, e.path)
			}
		}
	}
	return paths
}

// hwcapOf is the part of a path that asks for a level of the CPU.
func hwcapOf(p string) string {
	_, after, ok := strings.Cut(p, "/glibc-hwcaps/")
	if !ok {
		return ""
	}
	level, _, _ := strings.Cut(after, "/")
	return "glibc-hwcaps/" + level
}

func (g *glibc) isSystem(p string) bool {
	return slices.ContainsFunc(g.system, func(d string) bool { return strings.HasPrefix(p, d) })
}

func (g *glibc) fallback(of *object) []string {
	if of.dyn.noDefault {
		return nil
	}
	return g.system
}

// Format of ld.so.cache (sysdeps/generic/dl-cache.h).
const (
	cacheMagic = "glibc-ld.so.cache1.1"
	cacheHead  = 48
	cacheEntr  = 24
	maxCache   = 8 << 20
)

type cacheEntry struct {
	name, path string
	level      int // CPU level that the file asks for; of variants only
}

// parseCache reads the list that ldconfig wrote, as far as it makes sense;
// offsets count from its header, before which older ldconfigs put another list.
// Whether a file is for the program's machine is seen in the file.
func parseCache(b []byte, o binary.ByteOrder) (list []cacheEntry) {
	i := bytes.Index(b, []byte(cacheMagic))
	if i < 0 || len(b)-i < cacheHead {
		return nil
	}
	b = b[i:]
	n := int(min(uint64(o.Uint32(b[20:])), uint64(len(b)-cacheHead)/cacheEntr))
	text := func(at uint32) string {
		if uint64(at) >= uint64(len(b)) {
			return ""
		}
		s, _, _ := cString(b[at:min(len(b), int(at)+pathMax)])
		return s
	}
	for e := b[cacheHead:]; n > 0; n, e = n-1, e[cacheEntr:] {
		level := int(o.Uint64(e[16:]) >> 32 & 0x3ff) // DL_CACHE_HWCAP_ISA_LEVEL_MASK
		if c := (cacheEntry{text(o.Uint32(e[4:])), text(o.Uint32(e[8:])), level}); c.name != "" && c.path != "" {
			list = append(list, c)
		}
	}
	return list
}
