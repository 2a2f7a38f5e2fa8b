#!/bin/bash
# Measures what a pull-through mirror saves: DEVICES (5) devices of one site pull
# one image of SIZE_MB (20) MiB, directly and through a mirror, and the bytes that
# cross the site's uplink are counted. Everything happens in network namespaces of
# this machine; needs root, iproute2, docker-registry, podman and a built mpull.
#
#   contrib/fleet/mirror-figures.sh bin/mpull
set -euo pipefail
mpull=$(realpath "${1:-bin/mpull}")
devices=${DEVICES:-5} mib=${SIZE_MB:-20}
work=$(mktemp -d) pids=() spaces=()
cleanup() {
	for p in "${pids[@]}"; do kill "$p" 2>/dev/null && wait "$p" 2>/dev/null || true; done
	for s in "${spaces[@]}"; do ip netns delete "$s" || true; done
	awk -v d="$work/" 'index($5, d) == 1 {print $5}' /proc/self/mountinfo | sort -r | while read -r m; do umount -l "$m"; done
	rm -rf "$work"
}
trap cleanup EXIT

space() { ip netns add "$1" && spaces+=("$1") && ip -n "$1" link set lo up; }
join() { # join A IF_A ADDRESS_A B IF_B
	ip link add "$2" netns "$1" type veth peer name "$5" netns "$4"
	[ -z "$3" ] || ip -n "$1" address add "$3" dev "$2"
	ip -n "$1" link set "$2" up && ip -n "$4" link set "$5" up
}
serve() { # serve NAMESPACE PORT FOLDER [ORIGIN]
	mkdir -p "$3"
	{ printf 'version: 0.1\nlog: {level: error, accesslog: {disabled: true}}\n'
	  printf 'storage: {filesystem: {rootdirectory: %s}}\nhttp: {addr: ":%s"}\n' "$3" "$2"
	  [ $# -lt 4 ] || printf 'proxy: {remoteurl: "%s"}\n' "$4"; } > "$3.yml"
	ip netns exec "$1" docker-registry serve "$3.yml" > "$3.log" 2>&1 &
	pids+=($!)
	timeout 30 ip netns exec "$1" bash -c "until (: < /dev/tcp/127.0.0.1/$2) 2>/dev/null; do read -rt 0.1 < <(:) || true; done"
}
uplink() { ip netns exec mf-site cat /sys/class/net/uplink0/statistics/rx_bytes; }

# origin --- uplink0[site: mirror, bridge] --- device...
space mf-origin
space mf-site
join mf-origin core0 10.77.0.1/24 mf-site uplink0
ip -n mf-site address add 10.77.0.2/24 dev uplink0
ip -n mf-origin route add 10.78.0.0/24 via 10.77.0.2
ip -n mf-site link add lan type bridge
ip -n mf-site address add 10.78.0.1/24 dev lan
ip -n mf-site link set lan up
ip netns exec mf-site sysctl -qw net.ipv4.ip_forward=1
for n in $(seq "$devices"); do
	space "mf-dev$n"
	join "mf-dev$n" eth0 "10.78.0.$((10 + n))/24" mf-site "dev$n"
	ip -n mf-site link set "dev$n" master lan
	ip -n "mf-dev$n" route add default via 10.78.0.1
done
serve mf-origin 5000 "$work/origin"
serve mf-site 5001 "$work/mirror" http://10.77.0.1:5000

mkdir "$work/files"
head -c "${mib}M" /dev/urandom > "$work/files/data"
printf '{"default":[{"type":"insecureAcceptAnything"}]}' > "$work/policy.json"
tar -C "$work/files" -c data | podman --root "$work/p/root" --runroot "$work/p/run" import -q - 10.77.0.1:5000/library/app:1 > /dev/null
ip netns exec mf-origin podman --root "$work/p/root" --runroot "$work/p/run" push -q --tls-verify=false 10.77.0.1:5000/library/app:1

registry='[[registry]]\nprefix = "docker.io"\nlocation = "10.77.0.1:5000"\ninsecure = true\n'
printf "$registry" > "$work/direct.conf"
printf "$registry"'[[registry.mirror]]\nlocation = "10.78.0.1:5001"\ninsecure = true\n' > "$work/mirrored.conf"

round() { # round NAME CONF: all devices, one after the other, each with an empty store
	local before after n
	before=$(uplink)
	for n in $(seq "$devices"); do
		ip netns exec "mf-dev$n" timeout 120 "$mpull" --root "$work/$1$n/root" --runroot "$work/$1$n/run" --storage-driver overlay \
			--registries-conf "$work/$2" --policy-file "$work/policy.json" pull -q docker.io/library/app:1 > /dev/null
	done
	after=$(uplink)
	echo "$1: $devices devices, image of $mib MiB: $(((after - before) / 1024)) KiB over the uplink"
}
round direct direct.conf
round mirrored mirrored.conf
round again mirrored.conf
