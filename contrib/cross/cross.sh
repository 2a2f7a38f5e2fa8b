#!/bin/bash
# Vets mpull and its tests for every architecture that images commonly name, and
# builds it without and with cgo. Needs Debian's cross compilers for the latter;
# CI installs them, elsewhere what is missing is named.
#
#   contrib/cross/cross.sh [--quick] [ARCH...]     such as arm/v7 s390x
#
# Vetting is done once, without cgo: it compiles what is built next, and nothing
# of ours but one file in C differs with cgo. With an empty build cache an
# architecture takes some four and a half minutes of one core, a third of it for
# cgo; with a warm one the seconds that linking takes.
#
# --quick leaves out what other targets build: mpull without cgo for arm/v7, arm64
# and s390x (make emulated), and with it for this machine (make build).
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

# did WHAT COMMAND...: says how WHAT went for the architecture, and how long it took.
did() {
	local start=$SECONDS what=$1
	shift
	if "$@"; then
		printf '%-8s %-12s ok, %d s\n' "$arch" "$what" $((SECONDS - start))
	else
		printf '%-8s %-12s FAILED\n' "$arch" "$what"
		bad=1
	fi
}
build=(go build -o /dev/null ./cmd/mpull)

for entry in "${matrix[@]}"; do
	read -r arch prefix <<<"$entry"
	[ $# = 0 ] || [[ " $* " == *" $arch "* ]] || continue
	export GOOS=linux GOARCH=${arch%/*} GOARM= CC=$prefix-gcc
	case $arch in */v*) GOARM=${arch##*/v} ;; esac
	# Debian's armel libc has the soft-float calling convention.
	[ "$prefix" != arm-linux-gnueabi ] || GOARM+=,softfloat
	emulated= here=
	case $arch in arm64 | arm/v7 | s390x) emulated=$quick ;; "$(go env GOHOSTARCH)") here=$quick ;; esac
	export CGO_ENABLED=0
	did "vet" go vet ./...
	[ -n "$emulated" ] || did "without cgo" "${build[@]}"
	export CGO_ENABLED=1
	if [ -n "$here" ]; then
		continue
	elif ! command -v "$CC" >/dev/null; then
		printf '%-8s %-12s skipped: no %s here (apt-get install %s libc6-dev-ARCH-cross)\n' "$arch" "with cgo" "$CC" "gcc-$prefix"
		missing=1
	else
		did "with cgo" "${build[@]}"
	fi
done
[ $bad = 0 ]
[ $missing = 0 ] || [ "${CI:-}" != true ]
