#!/bin/bash
# Compiles and vets mpull for every architecture that images commonly name,
# without and with cgo. Needs Debian's cross compilers for the latter; CI
# installs them, elsewhere what is missing is named.
#
#   contrib/cross/cross.sh [--quick] [ARCH...]     such as arm/v7 s390x
#
# --quick is for after each change: the architectures that have packages or are
# big endian are vetted and built with cgo (contrib/cross/emulated.sh builds them
# without), the others are built without.
set -euo pipefail
cd "$(dirname "$0")/../.."
[ -n "${GOFLAGS:-}" ] || . ./.envrc

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
quick= missing=0 bad=0
[ "${1:-}" != --quick ] || { quick=yes && shift; }
renice -n 10 $$ >/dev/null

# both VET CGO: vets, unless VET is empty, and builds.
both() {
	export CGO_ENABLED=$2
	{ [ -z "$1" ] || go vet ./...; } && go build -o /dev/null ./cmd/mpull
}

for entry in "${matrix[@]}"; do
	read -r arch prefix <<<"$entry"
	[ $# = 0 ] || [[ " $* " == *" $arch "* ]] || continue
	export GOOS=linux GOARCH=${arch%/*} GOARM= CC=$prefix-gcc
	case $arch in */v*) GOARM=${arch##*/v} ;; esac
	# Debian's armel libc has the soft-float calling convention.
	[ "$prefix" != arm-linux-gnueabi ] || GOARM+=,softfloat
	start=$SECONDS vet=yes main=
	[ -z "$quick" ] || vet=
	case $arch in arm64 | arm/v7 | s390x) main=yes ;; esac
	if [ -z "$quick" ] || [ -z "$main" ]; then
		printf '%-8s without cgo: ' "$arch"
		if both "$vet" 0; then echo "ok, $((SECONDS - start)) s"; else bad=1; fi
	fi
	[ -z "$quick" ] || [ -n "$main" ] || continue
	start=$SECONDS
	printf '%-8s with cgo:    ' "$arch"
	if ! command -v "$CC" >/dev/null; then
		echo "skipped: no $CC here (apt-get install ${prefix/#/gcc-})"
		missing=1
	elif both yes 1; then echo "ok, $((SECONDS - start)) s"; else bad=1; fi
done
[ $bad = 0 ]
[ $missing = 0 ] || [ "${CI:-}" != true ]
