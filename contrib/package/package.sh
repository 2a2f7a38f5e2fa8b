#!/bin/bash
# Builds dist/*.deb, *.rpm, *.tar.gz, the lists of components and SHA256SUMS:
#
#   VERSION=1.2.3 contrib/package/package.sh [ARCH...]     amd64 arm64 arm/v7 by default
#
# Each architecture is built with cgo, which an ordinary user's store needs, so
# with Debian's cross compiler for it. The same commit, compilers and C library
# give the same bytes: times are those of the commit (SOURCE_DATE_EPOCH).
set -euo pipefail
cd "$(dirname "$0")/../.."
nfpm_version=v2.45.2 cyclonedx_version=v1.9.0
tools=$PWD/.cache/bin
[ $# -gt 0 ] || set -- amd64 arm64 arm/v7
SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct)}
export VERSION SOURCE_DATE_EPOCH
time=$(date -u -d "@$SOURCE_DATE_EPOCH" +%Y-%m-%dT%H:%M:%SZ)

tool() { # tool NAME MODULE VERSION: builds it into .cache, for this machine, unless that version is there
	[ "$(go version -m "$tools/$1" 2>/dev/null | awk '$1 == "mod" {print $3}')" = "$3" ] ||
		GOBIN=$tools GOFLAGS='' GOOS='' GOARCH='' go install "$2@$3"
}
tool nfpm github.com/goreleaser/nfpm/v2/cmd/nfpm $nfpm_version
tool cyclonedx-gomod github.com/CycloneDX/cyclonedx-gomod/cmd/cyclonedx-gomod $cyclonedx_version

# The packages promise to work from this C library on.
glibc=2.34
old_enough() { # old_enough BINARY
	local newest
	newest=$(readelf -V "$1" | grep -o 'GLIBC_[0-9.]*' | sort -uV | tail -1)
	[ "$(printf '%s\n' "GLIBC_$glibc" "$newest" | sort -V | tail -1)" = "GLIBC_$glibc" ] ||
		{ echo "$1 needs $newest, and contrib/package/nfpm.yaml says $glibc: change both"; exit 1; }
}

package() { # package ARCH NFPM_ARCH C_COMPILER
	local name=mpull-$VERSION-linux-$2 root=dist/root
	rm -rf $root
	command -v "$3" >/dev/null || { echo "packages for $1 need $3: apt-get install gcc-${3%-gcc} libc6-dev-$4-cross"; exit 1; }
	GOOS=linux GOARCH=${1%/*} GOARM=${1#*/v} CGO_ENABLED=1 CC=$3 make --no-print-directory build BIN="dist/build/$2/mpull"
	old_enough "dist/build/$2/mpull"
	make --no-print-directory install BIN="dist/build/$2/mpull" DESTDIR="$PWD/$root" PREFIX=/usr CONFDIR=/etc/containers >/dev/null
	# Debian and Fedora have manual pages compressed, and Debian a changelog in a form of its own.
	gzip -9n $root/usr/share/man/man*/*
	printf 'mpull (%s) unstable; urgency=medium\n\n  * What changed is in CHANGELOG.md beside this file.\n\n -- %s  %s\n' \
		"$VERSION" "$(sed -n 's/^maintainer: //p' contrib/package/nfpm.yaml)" "$(date -uRd "@$SOURCE_DATE_EPOCH")" |
		gzip -9n > $root/usr/share/doc/mpull/changelog.gz
	rm -rf $root/etc # policy.json and registries.conf are another package's, and examples in this one

	# The list of what is in the program, read from the program. Its time, which
	# changes with each run, becomes that of the commit.
	"$tools/cyclonedx-gomod" bin -json -noserial -version "$VERSION" "dist/build/$2/mpull" |
		sed -E "s/(\"timestamp\": \")[^\"]*/\1$time/" > "dist/mpull-$2.cdx.json"
	export PACKAGE_ARCH=$2 PACKAGE_VERSION=$VERSION
	local kind
	for kind in deb rpm; do
		"$tools/nfpm" package -f contrib/package/nfpm.yaml -p $kind -t dist/
	done

	# The tarball has the same files under one folder.
	rm -rf "dist/$name" && mkdir -p "dist/$name"
	cp -r $root/usr/. "dist/$name/"
	cp -r LICENSE README.md CHANGELOG.md docs "dist/mpull-$2.cdx.json" contrib/config contrib/fleet "dist/$name/"
	rm -rf "dist/$name/fleet/validate" "dist/$name/fleet/registry"
	tar -C dist --sort=name --mtime="@$SOURCE_DATE_EPOCH" --owner=0 --group=0 --numeric-owner --mode=u=rwX,go=rX -cf - "$name" |
		gzip -n9 > "dist/$name.tar.gz"
	rm -rf "dist/$name" $root
}

rm -rf dist && mkdir -p dist
for arch in "$@"; do
	case $arch in
	amd64) package amd64 amd64 x86_64-linux-gnu-gcc amd64 ;;
	arm64) package arm64 arm64 aarch64-linux-gnu-gcc arm64 ;;
	arm/v7) package arm/v7 arm7 arm-linux-gnueabihf-gcc armhf ;;
	arm/v6) package arm/v6 arm6 arm-linux-gnueabi-gcc armel ;;
	*) echo "no package for $arch: amd64, arm64, arm/v7, arm/v6"; exit 1 ;;
	esac
done
rm -rf dist/build
(cd dist && sha256sum -- *.deb *.rpm *.tar.gz *.cdx.json > SHA256SUMS && cat SHA256SUMS)
