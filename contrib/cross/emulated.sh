#!/bin/bash
# Runs unit tests, and the story of make demo with the binary, as programs of
# other architectures under qemu-user, in a user namespace with a binfmt_misc
# of its own: this machine's handlers stay as they are.
#
#   contrib/cross/emulated.sh [ARCH...]     arm/v7 arm64 s390x by default
#
# Some minutes for each architecture as root, whose namespace has all IDs; an
# ordinary user's has one, and what needs more skips itself.
#
# What qemu-user does not carry, and is left to machines of these architectures:
#   - a clone with new namespaces (EINVAL): tests that ask the kernel by tracing
#     a child in a user namespace skip themselves
#   - run: runtimes are programs of this machine
# The tests that kill a child at each step take too long: $slow below.
set -euo pipefail
cd "$(dirname "$0")/../.."
[ -n "${GOFLAGS:-}" ] || . ./.envrc
[ $# -gt 0 ] || set -- arm/v7 arm64 s390x
packages=(./engine/platform ./engine/host ./engine/preflight ./gc ./store/inflate ./store/query ./store)
slow='^Test(Delete|Commit)KilledAtEachStep$'
work=.cache/emulated

if [ "${MPULL_EMULATED:-}" = "" ]; then
	# Linux 6.7 and later give each user namespace handlers of its own.
	if ! unshare --user --map-root-user --mount mount -t binfmt_misc binfmt_misc /proc/sys/fs/binfmt_misc 2>/dev/null ||
		! ls /usr/lib/binfmt.d/qemu-s390x.conf >/dev/null 2>&1; then
		echo "skipped: needs qemu-user-static and a kernel with binfmt_misc for user namespaces (6.7)"
		[ "${CI:-}" != true ] && exit 0
		exit 1
	fi
	for arch in "$@"; do
		dir=$work/${arch/\//}
		mkdir -p "$dir"
		export GOOS=linux GOARCH=${arch%/*} GOARM= CGO_ENABLED=0
		case $arch in */v*) GOARM=${arch##*/v} ;; esac
		echo "building for $arch"
		for p in "${packages[@]}"; do
			go test -c -o "$dir/$(tr / _ <<<"${p#./}").test" "$p"
		done
		go build -o "$dir/mpull" ./cmd/mpull
	done
	GOOS='' GOARCH='' GOARM='' go build -o $work/demo ./contrib/demo
	export MPULL_EMULATED=1
	[ "$(id -u)" = 0 ] || exec unshare --user --map-root-user --mount --kill-child --fork "$0" "$@"
	# The namespace says when it is there, and waits until it has its IDs.
	rm -f $work/there $work/go
	mkfifo $work/there $work/go
	# shellcheck disable=SC2016
	unshare --user --mount bash -c 'echo > "$1/there"; read -r _ < "$1/go"; shift; exec "$@"' bash $work "$0" "$@" &
	child=$!
	trap 'kill $child 2>/dev/null || true' EXIT
	read -r _ < $work/there
	for ids in uid_map gid_map; do
		echo "0 0 4294967295" > /proc/$child/$ids
	done
	echo > $work/go
	wait $child
	exit
fi

mount -t binfmt_misc binfmt_misc /proc/sys/fs/binfmt_misc
for q in arm aarch64 s390x; do
	sed 's/:[OCPF]*$/:OPF/' "/usr/lib/binfmt.d/qemu-$q.conf" > /proc/sys/fs/binfmt_misc/register
done
# This is the namespace that a store needs: none below it is.
export _CONTAINERS_USERNS_CONFIGURED=done
failed=0
for arch in "$@"; do
	dir=$PWD/$work/${arch/\//}
	for p in "${packages[@]}"; do
		test=$dir/$(tr / _ <<<"${p#./}").test
		log=$test.log
		start=$SECONDS
		if (cd "$p" && CI='' "$test" -test.short -test.timeout 10m -test.v -test.skip "$slow") > "$log" 2>&1; then
			printf '%-8s %-20s %4d passed, %d skipped, %d s\n' "$arch" "$p" "$(grep -c '^ *--- PASS' "$log")" "$(grep -c '^ *--- SKIP' "$log")" $((SECONDS - start))
		else
			printf '%-8s %-20s FAILED: %s\n' "$arch" "$p" "$log"
			grep -A12 '^ *--- FAIL\|^panic\|^fatal error' "$log" | head -60
			failed=1
		fi
	done
	# The story of make demo: pull, images, why, check, prune and more, on a store of its own.
	start=$SECONDS
	if timeout 10m $work/demo "$dir/mpull" > "$dir/demo.log" 2>&1; then
		printf '%-8s %-20s passed, %d s\n' "$arch" "make demo's story" $((SECONDS - start))
	else
		printf '%-8s %-20s FAILED: %s\n' "$arch" "make demo's story" "$dir/demo.log"
		tail -20 "$dir/demo.log"
		failed=1
	fi
done
exit $failed
