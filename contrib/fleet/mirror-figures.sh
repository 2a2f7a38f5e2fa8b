#!/bin/bash
# Measures what crosses the uplink of a site whose devices all pull one image of
# SIZE_MB (20) MiB: directly, through an empty pull-through mirror, through one
# that is filled, and out of one archive; for each number in DEVICES ("1 5 20 50").
# Everything happens in network namespaces of this machine; needs root, iproute2,
# podman, go, the source tree and a built mpull. The registries are the distribution project's,
# version 3 (contrib/fleet/registry), or REGISTRY, a program such as Debian's
# docker-registry that takes `serve CONFIG`. With a second argument the figures are
# written there as a plot (SVG).
#
#   contrib/fleet/mirror-figures.sh bin/mpull docs/mirror.svg
set -euo pipefail
here=$(dirname "$(realpath "$0")")
mpull=$(realpath "${1:-bin/mpull}") plot=${2:-}
read -ra counts <<< "${DEVICES:-1 5 20 50}"
mib=${SIZE_MB:-20} most=0
for n in "${counts[@]}"; do most=$((n > most ? n : most)); done
work=$(mktemp -d) pids=() spaces=()
cleanup() {
	for p in "${pids[@]}"; do kill "$p" 2>/dev/null && wait "$p" 2>/dev/null || true; done
	for s in "${spaces[@]}"; do ip netns delete "$s" || true; done
	awk -v d="$work/" 'index($5, d) == 1 {print $5}' /proc/self/mountinfo | sort -r | while read -r m; do umount -l "$m"; done
	rm -rf "$work"
}
trap cleanup EXIT
registry=("${REGISTRY:-$work/registry}")
if [ -n "${REGISTRY:-}" ]; then registry+=(serve); else (cd "$here" && go build -o "$work/registry" ./registry); fi

space() { ip netns add "$1" && spaces+=("$1") && ip -n "$1" link set lo up; }
join() { # join A IF_A ADDRESS_A B IF_B
	ip link add "$2" netns "$1" type veth peer name "$5" netns "$4"
	[ -z "$3" ] || ip -n "$1" address add "$3" dev "$2"
	ip -n "$1" link set "$2" up && ip -n "$4" link set "$5" up
}
serve() { # serve NAMESPACE PORT FOLDER [ORIGIN]
	mkdir -p "$3"
	{ printf 'version: 0.1\nlog: {level: error, accesslog: {disabled: true}}\n'
	  printf 'storage: {filesystem: {rootdirectory: %s}}\nhttp: {addr: ":%s", secret: figures}\n' "$3" "$2"
	  [ $# -lt 4 ] || printf 'proxy: {remoteurl: "%s"}\n' "$4"; } > "$3.yml"
	ip netns exec "$1" "${registry[@]}" "$3.yml" > "$3.log" 2>&1 &
	pids+=($!)
	timeout 30 ip netns exec "$1" bash -c "until (: < /dev/tcp/127.0.0.1/$2) 2>/dev/null; do read -rt 0.1 < <(:) || true; done"
}
uplink() { ip netns exec mf-site cat /sys/class/net/uplink0/statistics/rx_bytes; }

# origin --- uplink0[site: mirror, bridge] --- device...
space mf-origin
space mf-site
join mf-origin core0 10.77.0.1/24 mf-site uplink0
ip -n mf-site address add 10.77.0.2/24 dev uplink0
ip -n mf-origin route add 10.78.0.0/16 via 10.77.0.2
ip -n mf-site link add lan type bridge
ip -n mf-site address add 10.78.0.1/16 dev lan
ip -n mf-site link set lan up
ip netns exec mf-site sysctl -qw net.ipv4.ip_forward=1
for n in $(seq "$most"); do
	space "mf-dev$n"
	join "mf-dev$n" eth0 "10.78.$((1 + n / 200)).$((10 + n % 200))/16" mf-site "dev$n"
	ip -n mf-site link set "dev$n" master lan
	ip -n "mf-dev$n" route add default via 10.78.0.1
done
serve mf-origin 5000 "$work/origin"

mkdir "$work/files"
head -c "${mib}M" /dev/urandom > "$work/files/data"
printf '{"default":[{"type":"insecureAcceptAnything"}]}' > "$work/policy.json"
tar -C "$work/files" -c data | podman --root "$work/p/root" --runroot "$work/p/run" import -q - 10.77.0.1:5000/library/app:1 > /dev/null
ip netns exec mf-origin podman --root "$work/p/root" --runroot "$work/p/run" push -q --tls-verify=false 10.77.0.1:5000/library/app:1

conf() { # conf FILE [MIRROR]
	printf '[[registry]]\nprefix = "docker.io"\nlocation = "10.77.0.1:5000"\ninsecure = true\n' > "$work/$1"
	[ $# -lt 2 ] || printf '[[registry.mirror]]\nlocation = "%s"\ninsecure = true\n' "$2" >> "$work/$1"
}
device() { # device N CONF COMMAND...: mpull on a device
	local n=$1 conf=$2 dir=$work/device$1
	shift 2
	ip netns exec "mf-dev$n" timeout 300 "$mpull" --root "$dir/root" --runroot "$dir/run" --storage-driver overlay --crio-config= \
		--registries-conf "$work/$conf" --policy-file "$work/policy.json" "$@" > /dev/null
}
empty() { # the devices' stores
	awk -v d="$work/device" 'index($5, d) == 1 {print $5}' /proc/self/mountinfo | sort -r | while read -r m; do umount -l "$m"; done
	rm -rf "$work"/device*
}
pull() { device "$1" "$2" pull -q docker.io/library/app:1; }
fromArchive() { # the first device pulls and saves, the others load: over the LAN
	if [ "$1" = 1 ]; then pull 1 "$2" && device 1 "$2" save -q -o "$work/app.tar" docker.io/library/app:1
	else device "$1" "$2" load -q -i "$work/app.tar"; fi
}
round() { # round WHAT N HOW CONF: N devices, one after the other, each with an empty store
	local before kib n
	before=$(uplink)
	for n in $(seq "$2"); do "$3" "$n" "$4"; done
	kib=$((($(uplink) - before) / 1024))
	empty
	printf '%s\t%s\t%s\n' "$1" "$2" "$kib" | tee -a "$work/figures"
}
printf 'way\tdevices\tKiB over the uplink, image of %s MiB\n' "$mib"
conf direct.conf
port=5001
for n in "${counts[@]}"; do
	serve mf-site "$port" "$work/mirror$port" http://10.77.0.1:5000
	conf mirror.conf "10.78.0.1:$port"
	round 'directly' "$n" pull direct.conf
	round 'empty mirror' "$n" pull mirror.conf
	round 'filled mirror' "$n" pull mirror.conf
	round 'archive' "$n" fromArchive direct.conf
	rm -f "$work/app.tar"
	port=$((port + 1))
done
[ -n "$plot" ] || exit 0

# The plot: devices across, KiB over the uplink upwards, both by powers.
awk -F '\t' -v mib="$mib" '
function x(n) { return 70 + 430 * log(n) / log(most > 1 ? most : 2) }
function y(kib) { return 330 - 290 * log(kib < 1 ? 1 : kib) / log(top) }
function text(at, of, words, more) { printf "<text x=\"%.0f\" y=\"%.0f\" %s>%s</text>\n", at, of, more, words }
{ kib[$1, $2] = $3; if (!seen[$1]++) way[++ways] = $1; if (!had[$2]++) count[++counts] = $2
  if ($2 > most) most = $2; if ($3 > top) top = $3 }
END {
	split("#b3261e #1a5fb4 #26735b #8250a8", colour, " ")
	print "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 640 380\" font-family=\"sans-serif\" font-size=\"12\">"
	print "<rect width=\"640\" height=\"380\" fill=\"#fff\"/>"
	text(70, 22, "Over the uplink, for an image of " mib " MiB on each device", "font-size=\"14\" font-weight=\"bold\"")
	for (k = 1; k <= top * 1.0001; k *= k < 1024 ? 32 : 10) {
		label = k < 1024 ? k " KiB" : int(k / 1024 + 0.5) " MiB"
		printf "<line x1=\"70\" x2=\"500\" y1=\"%.0f\" y2=\"%.0f\" stroke=\"#ddd\"/>\n", y(k), y(k)
		text(64, y(k) + 4, label, "text-anchor=\"end\" fill=\"#444\"")
	}
	for (i = 1; i <= counts; i++) text(x(count[i]), 350, count[i], "text-anchor=\"middle\" fill=\"#444\"")
	text(285, 370, "devices", "text-anchor=\"middle\" fill=\"#444\"")
	for (w = 1; w <= ways; w++) {
		points = ""
		for (i = 1; i <= counts; i++) {
			points = points sprintf(" %.0f,%.1f", x(count[i]), y(kib[way[w], count[i]]))
			printf "<circle cx=\"%.0f\" cy=\"%.1f\" r=\"3\" fill=\"%s\"/>\n", x(count[i]), y(kib[way[w], count[i]]), colour[w]
		}
		printf "<polyline fill=\"none\" stroke=\"%s\" stroke-width=\"2\" points=\"%s\"/>\n", colour[w], substr(points, 2)
		at = y(kib[way[w], count[counts]])
		for (v = 1; v < w; v++) if (at - place[v] < 14 && place[v] - at < 14) at = place[v] + 14
		place[w] = at
		text(510, at + 4, way[w], "fill=\"" colour[w] "\"")
	}
	print "</svg>"
}' "$work/figures" > "$plot"
