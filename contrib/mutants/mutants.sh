#!/bin/bash
# Changes the code of packages, one operator at a time, and counts which changes
# their own tests notice: mutants.sh PACKAGE... (make mutants). docs/mutants.md
# says which are left. Everything happens in a copy of the tree.
#   MUTANTS_MIN   percentage of covered mutants that must be noticed (85)
#   MUTANTS_SKIP  tests to leave out, as go test -skip has it
set -euo pipefail
cd "$(dirname "$0")/../.."
version=v0.6.0
min=${MUTANTS_MIN:-85}

# A mutant may take the machine's store for one of its own: it sees neither that
# nor the user's.
if [ "$(id -u)" = 0 ] && [ -z "${MUTANTS_INSIDE:-}" ]; then
	MUTANTS_INSIDE=1 exec unshare --mount --propagation private "$PWD/contrib/mutants/mutants.sh" "$@"
fi
if [ -n "${MUTANTS_INSIDE:-}" ]; then
	for dir in /var/lib/containers /run/containers; do
		[ ! -d "$dir" ] || mount -t tmpfs mutants "$dir"
	done
fi

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir "$work/bin" "$work/tmp" "$work/home"
MUTANTS_GO=$(command -v go)
export MUTANTS_GO TMPDIR="$work/tmp"
gremlins=$PWD/.cache/gremlins-$version
[ -x "$gremlins/gremlins" ] || GOFLAGS='' GOBIN=$gremlins go install "github.com/go-gremlins/gremlins/cmd/gremlins@$version"

GOPATH=$(go env GOPATH) GOCACHE=$(go env GOCACHE) GOMODCACHE=$(go env GOMODCACHE) GOENV=$(go env GOENV)
export GOPATH GOCACHE GOMODCACHE GOENV HOME="$work/home" XDG_DATA_HOME="$work/home/data" XDG_CONFIG_HOME="$work/home/config"

# Gremlins runs the first go in PATH. This one bounds what a mutant may eat,
# leaves out slow tests, and says of one that does not compile what Gremlins
# expects (2): go ends with 1, which Gremlins takes for a failed test.
cat > "$work/bin/go" <<'EOF'
#!/bin/bash
[ "$1" = test ] || exec "$MUTANTS_GO" "$@"
ulimit -v 12000000
"$MUTANTS_GO" test -count=1 -short -vet=off -skip="${MUTANTS_SKIP:-^$}" "${@:2}" > "$TMPDIR/out.$$" 2>&1 && e=0 || e=$?
grep -q '\[build failed\]' "$TMPDIR/out.$$" && e=2
cat "$TMPDIR/out.$$"
rm -f "$TMPDIR/out.$$"
exit $e
EOF
chmod +x "$work/bin/go"

bad=0
for pkg in "$@"; do
	pkg=${pkg#./}
	rm -rf "$work/tree"
	mkdir "$work/tree"
	tar --exclude=./.git --exclude=./.cache --exclude=./bin --exclude=./dist -cf - . | tar -xf - -C "$work/tree"
	# A package is judged by its own tests: those of the packages below it count for these.
	find "$work/tree/$pkg" -mindepth 2 -name '*_test.go' -delete
	echo "== $pkg: changes that no test notices (LIVED) or that end no test (TIMED OUT)"
	(cd "$work/tree" && PATH="$work/bin:$PATH" nice -n 10 "$gremlins/gremlins" unleash --workers "${MUTANTS_WORKERS:-2}" --timeout-coefficient 10 \
		--exclude-files / --output-statuses lt --output "$work/result.json" "./$pkg") || exit 1
	score=$(grep -o '"test_efficacy":[0-9.]*' "$work/result.json" | cut -d: -f2)
	printf '%s\t%.1f %%\n' "$pkg" "$score" >> "$work/scores"
	awk "BEGIN{exit !($score < $min)}" && bad=1
done
echo "== covered mutants that the tests notice, of which at least $min % are wanted"
cat "$work/scores"
exit $bad
