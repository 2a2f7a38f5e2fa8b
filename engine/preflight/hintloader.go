package preflight

import (
	"path"
	"strings"
)

// A cLibrary is a C library that programs are linked to, by how the names of
// its loaders begin, and the packages that have it.
type cLibrary struct {
	name, prefix   string
	debian, fedora string
	base           string
	loaders        []string // where distributions have it
}

func cLibraries() []cLibrary {
	return []cLibrary{
		{"musl", "ld-musl-", "musl", "musl-libc", "alpine", []string{
			"/lib/ld-musl-x86_64.so.1", "/lib/ld-musl-aarch64.so.1", "/lib/ld-musl-armhf.so.1", "/lib/ld-musl-arm.so.1", "/lib/ld-musl-i386.so.1",
			"/lib/ld-musl-riscv64.so.1", "/lib/ld-musl-powerpc64le.so.1", "/lib/ld-musl-s390x.so.1", "/lib/ld-musl-loongarch64.so.1",
		}},
		{"glibc", "ld", "libc6", "glibc", "debian:stable-slim", []string{
			"/lib64/ld-linux-x86-64.so.2", "/lib/ld-linux-aarch64.so.1", "/lib/ld-linux-armhf.so.3", "/lib/ld-linux.so.3", "/lib/ld-linux.so.2",
			"/lib/ld-linux-riscv64-lp64d.so.1", "/lib64/ld64.so.2", "/lib/ld64.so.1", "/lib64/ld-linux-loongarch-lp64d.so.1",
		}},
	}
}

// hintLoader is the way out where the loader of a program is missing: which C
// library the program is linked to, and what the image has instead.
func (k *check) hintLoader(name string) string {
	base := path.Base(name)
	switch {
	case strings.HasPrefix(name, "/nix/store/"):
		return "the program was linked by Nix and needs the rest of its closure: copy all that nix-store --query --requisites lists, or set another loader with patchelf --set-interpreter"
	case base == "linker" || base == "linker64":
		return "the program was built for Android: build it for Linux"
	}
	const static = "build it statically (Go: CGO_ENABLED=0; C: -static)"
	var needs, has *cLibrary
	for _, c := range cLibraries() {
		if needs == nil && strings.HasPrefix(base, c.prefix) {
			needs = &c
		}
		for _, l := range c.loaders {
			if has == nil && l != name && k.there(l) {
				has = &c
			}
		}
	}
	switch {
	case needs == nil:
		return static + ", or copy the loader and its libraries into the image"
	case has == nil:
		return "the program is linked to " + needs.name + ", and the image has no C library: " + static + ", or use a base image with it, such as " + needs.base
	case has.name == needs.name:
		return "the program is linked to the " + has.name + " of another architecture than the image's: build it for this one, or install that one (Debian: dpkg --add-architecture, and " + needs.debian + ":ARCH; Fedora: " + needs.fedora + ".ARCH)"
	case needs.name == "glibc":
		return "the program is linked to glibc, and the image has musl: use a base image with glibc, such as " + needs.base + ", build it in an Alpine image, or " + static + "; some programs do with Alpine's package gcompat"
	}
	return "the program is linked to musl, and the image has " + has.name + ": install musl into it (Debian: apt-get install " + needs.debian + "; Fedora: " + needs.fedora + "), use a base image with it, such as " + needs.base + ", or " + static
}
