#!/bin/bash
# Runs unit tests, and a pull, images, check and prune of the binary, as programs
# of other architectures under qemu-user, in a user namespace with a binfmt_misc
# of its own: this machine's handlers stay as they are.
#
#   contrib/cross/emulated.sh [ARCH...]     arm/v7 arm64 s390x by default
#
# qemu-user carries no ptrace, so tests that ask the kernel by tracing a child
# skip themselves.
set -euo pipefail
cd "$(dirname "$0")/../.."
[ $# -gt 0 ] || set -- arm/v7 arm64 s390x
packages=(./engine/platform ./engine/host ./engine/preflight ./gc ./store/query ./store)

if [ "${MPULL_EMULATED:-}" = "" ]; then
	# Linux 6.7 and later give each user namespace handlers of its own.
	if ! unshare --user --map-root-user --mount mount -t binfmt_misc binfmt_misc /proc/sys/fs/binfmt_misc 2>/dev/null ||
		! ls /usr/lib/binfmt.d/qemu-s390x.conf >/dev/null 2>&1; then
		echo "skipped: needs qemu-user-static and a kernel with binfmt_misc for user namespaces (6.7)"
		[ "${CI:-}" != true ] && exit 0
		exit 1
	fi
	for arch in "$@"; do
		dir=.cache/emulated/${arch/\//}
		mkdir -p "$dir"
		export GOOS=linux GOARCH=${arch%/*} GOARM= CGO_ENABLED=0
		case $arch in */v*) GOARM=${arch##*/v} ;; esac
		echo "building for $arch"
		for p in "${packages[@]}"; do
			[ ! -d "$p" ] || go test -c -o "$dir/$(tr / _ <<<"${p#./}").test" "$p"
		done
		go build -o "$dir/mpull" ./cmd/mpull
	done
	GOOS='' GOARCH='' go build -o .cache/emulated/demo ./contrib/demo
	exec env MPULL_EMULATED=1 unshare --user --map-root-user --mount --fork --kill-child "$0" "$@"
fi

mount -t binfmt_misc binfmt_misc /proc/sys/fs/binfmt_misc
for q in arm aarch64 s390x; do
	sed 's/:[OCPF]*$/:OPF/' "/usr/lib/binfmt.d/qemu-$q.conf" > /proc/sys/fs/binfmt_misc/register
done
failed=0
for arch in "$@"; do
	dir=$PWD/.cache/emulated/${arch/\//}
	for p in "${packages[@]}"; do
		test=$dir/$(tr / _ <<<"${p#./}").test
		[ -e "$test" ] || continue
		log=$test.log
		if (cd "$p" && CI='' "$test" -test.short -test.timeout 20m -test.v) > "$log" 2>&1; then
			printf '%-8s %-20s %4d passed, %d skipped\n' "$arch" "$p" "$(grep -c '^ *--- PASS' "$log")" "$(grep -c '^ *--- SKIP' "$log")"
		else
			printf '%-8s %-20s FAILED: %s\n' "$arch" "$p" "$log"
			grep -A12 '^ *--- FAIL\|^panic\|^fatal error' "$log" | head -60
			failed=1
		fi
	done
	# The story of make demo: pull, images, why, check, prune and more, on a store of its own.
	if .cache/emulated/demo "$dir/mpull" > "$dir/demo.log" 2>&1; then
		printf '%-8s %-20s passed\n' "$arch" "make demo's story"
	else
		printf '%-8s %-20s FAILED: %s\n' "$arch" "make demo's story" "$dir/demo.log"
		tail -20 "$dir/demo.log"
		failed=1
	fi
done
exit $failed
