#!/bin/sh
# etcd, beside its own Go client on the same server in one run; what docs/performance.md records. Not a test.
set -u
cd "$(dirname "$0")/../.." || exit
unset MPSYNC_URL
folder=$(mktemp -d)
free_port() { python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'; }
port=$(free_port)
etcd --data-dir "$folder/etcd" --log-level error --listen-client-urls "http://127.0.0.1:$port" \
	--advertise-client-urls "http://127.0.0.1:$port" --listen-peer-urls "http://127.0.0.1:$(free_port)" \
	2>/dev/null &
etcd=$!
trap 'kill "$etcd"; rm -rf "$folder"' EXIT
url="etcd://127.0.0.1:$port"
until ETCDCTL_API=3 etcdctl --endpoints "127.0.0.1:$port" endpoint health >/dev/null 2>&1; do :; done
(cd tests/bench/etcd && go build -o "$folder/go-client" .) || exit
for turn in 1 2; do
	echo "turn $turn"
	build/bin/bench pair "$url"
	"$folder/go-client" pair "$url"
	build/bin/bench handoff "$url"
	"$folder/go-client" handoff "$url"
done
build/bin/bench drain "$url" 10
build/bin/bench drain "$url" 1000
for program in "build/bin/bench" "$folder/go-client"; do
	mkfifo "$folder/input"
	"$program" idle "$url" <"$folder/input" >"$folder/held" &
	exec 3>"$folder/input"
	until [ -s "$folder/held" ]; do :; done
	echo "$(basename "$program") holding one lock: $(awk '/VmRSS/ {print $2, $3}' "/proc/$!/status") resident," \
		"$(awk '/^Private/ {sum += $2} END {print sum, $3}' "/proc/$!/smaps_rollup") its own"
	exec 3>&-
	wait $!
	rm "$folder/input" "$folder/held"
done
build/bin/bench renew "$url" 10
build/bin/bench renew "$url" 10000
