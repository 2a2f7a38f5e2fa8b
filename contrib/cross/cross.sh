#!/bin/bash
# Compiles and vets mpull for every architecture that images commonly name,
# without and with cgo. Needs Debian's cross compilers for the latter; CI
# installs them, elsewhere what is missing is named.
#
#   contrib/cross/cross.sh [ARCH...]     such as arm/v7 s390x
set -euo pipefail
cd "$(dirname "$0")/../.."

# Architecture, and the prefix of its C compiler.
matrix=(
	"amd64 x86_64-linux-gnu"
	"arm64 aarch64-linux-gnu"
	"arm/v7 arm-linux-gnueabihf"
	"arm/v6 arm-linux-gnueabi"
	"386 i686-linux-gnu"
	"riscv64 riscv64-linux-gnu"
	"ppc64le powerpc64le-linux-gnu"
	"s390x s390x-linux-gnu"
)
missing=0 bad=0
renice -n 10 $$ >/dev/null
for entry in "${matrix[@]}"; do
	read -r arch prefix <<<"$entry"
	[ $# = 0 ] || [[ " $* " == *" $arch "* ]] || continue
	export GOOS=linux GOARCH=${arch%/*} GOARM=
	case $arch in */v*) GOARM=${arch##*/v} ;; esac
	# Debian's armel libc has the soft-float calling convention.
	[ "$prefix" != arm-linux-gnueabi ] || GOARM+=,softfloat
	printf '%-8s without cgo: ' "$arch"
	if CGO_ENABLED=0 go vet ./... && CGO_ENABLED=0 go build -o /dev/null ./cmd/mpull; then echo ok; else bad=1; fi
	printf '%-8s with cgo:    ' "$arch"
	if ! command -v "$prefix-gcc" >/dev/null; then
		echo "skipped: no $prefix-gcc here (apt-get install ${prefix/#/gcc-})"
		missing=1
	elif CGO_ENABLED=1 CC=$prefix-gcc go vet ./... && CGO_ENABLED=1 CC=$prefix-gcc go build -o /dev/null ./cmd/mpull; then echo ok; else bad=1; fi
done
[ $bad = 0 ]
[ $missing = 0 ] || [ "${CI:-}" != true ]
