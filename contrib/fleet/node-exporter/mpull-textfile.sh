#!/bin/sh
# Writes what mpull knows of its store for node exporter's textfile collector.
#
#   mpull-textfile.sh [DIR]                    the state of the store
#   mpull-textfile.sh DIR prune FLAG...        prunes first, with these flags
#
# DIR is node exporter's --collector.textfile.directory (default:
# /var/lib/prometheus/node-exporter, as Debian has it). Needs mpull and jq; runs as
# the user whose store it is, from a timer or a CronJob, such as
#   mpull-textfile.sh /var/lib/prometheus/node-exporter prune --force --filter until=168h
# MPULL may name the program with global flags: MPULL='mpull --root /srv/store'.
#
# It ends with prune's exit code, after the file is written. Where the store
# cannot be read, the file stays as it was: alert on node_textfile_mtime_seconds.
set -eu
dir=${1:-/var/lib/prometheus/node-exporter}
[ $# -eq 0 ] || shift
file=$dir/mpull.prom
new=$(mktemp "$dir/.mpull.XXXXXX") # the collector reads *.prom only
trap 'rm -f "$new" "$new.result"' EXIT
mpull=${MPULL:-mpull}

code=0
if [ $# -gt 0 ]; then
	$mpull "$@" --format json > "$new.result" || code=$?
fi

# Of the last prune what this run did, else what the file says.
prune() {
	if [ -s "$new.result" ] && jq -e 'has("reclaimed")' "$new.result" > /dev/null 2>&1; then
		printf 'mpull_last_prune_timestamp %s\n' "$(date +%s)"
		jq -r '"mpull_last_prune_reclaimed_bytes \(.reclaimed)",
			"mpull_last_prune_removed_images \([.outcomes[] | select(.kind == "image" and .status == "removed")] | length)",
			"mpull_last_prune_failed \([.outcomes[] | select(.status == "failed")] | length)"' "$new.result"
		printf 'mpull_last_prune_exit_code %s\n' "$code"
	elif [ $# -gt 0 ]; then
		grep '^mpull_last_prune_' "$file" 2> /dev/null | grep -v '^mpull_last_prune_exit_code ' || true
		printf 'mpull_last_prune_exit_code %s\n' "$code"
	else
		grep '^mpull_last_prune_' "$file" 2> /dev/null || true
	fi
}

{
	df=$($mpull df --format json)
	metric() { # metric NAME HELP VALUE: VALUE is what jq makes of df
		printf '# HELP %s %s\n# TYPE %s gauge\n' "$1" "$2" "$1"
		printf '%s' "$df" | jq -r "\"$1 \\($3)\""
	}
	metric mpull_store_bytes 'What the store takes on disk.' .total
	metric mpull_images 'Images in the store.' .images
	metric mpull_dangling_images 'Images without a name that no image and no manifest list stands on.' .dangling
	metric mpull_containers 'Containers in the store, of whichever tool.' .containers
	printf '# HELP mpull_store_part_bytes What the parts of the store take, which add up to mpull_store_bytes.\n# TYPE mpull_store_part_bytes gauge\n'
	printf '%s' "$df" | jq -r '{uniqueLayers, sharedLayers, imageData, containerLayers, containerData, leftovers, other} |
		to_entries[] | "mpull_store_part_bytes{part=\"\(.key)\"} \(.value)"'
	printf '# HELP mpull_last_prune_timestamp When a prune last ended, in seconds since 1970.\n# TYPE mpull_last_prune_timestamp gauge\n'
	prune "$@"
} > "$new"
chmod 644 "$new"
mv "$new" "$file"
exit "$code"
