#!/bin/sh
# Prints the speeds and sizes that docs/performance.md records. Not a test: nothing here passes or fails.
set -u
cd "$(dirname "$0")/../.." || exit
unset MPSYNC_URL
folder=$(mktemp -d)
pids=
trap '[ -z "$pids" ] || kill $pids 2>/dev/null; rm -rf "$folder"' EXIT
free_port() { python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'; }

start_elector() { # PORT
	url="http://127.0.0.1:$1"
	HOME=$folder build/bin/mpsync elector --store memory: --listen "${url#http://}" 2>/dev/null &
	elector=$!
	pids="$pids $elector"
	until curl -s -o /dev/null "$url/healthz"; do :; done
}
port=$(free_port)
began=$(date +%s%N)
start_elector "$port"
echo "elector: first answer $((($(date +%s%N) - began) / 1000000)) ms after it was started (with curl's own time)"
grep -E 'RssAnon|VmRSS' "/proc/$elector/status"
wakeups() { awk '/ctxt_switches/ {sum += $2} END {print sum}' "/proc/$elector/status"; }
before=$(wakeups)
sleep 10
echo "elector: $(($(wakeups) - before)) wake-ups in 10 s with nothing held"

build/bin/bench is_held memory:
build/bin/bench is_held "file:$folder/locks.db"
build/bin/bench is_held "$url"
build/bin/bench terms "$url"
build/bin/bench terms "file:$folder/locks.db"
build/bin/bench handoff "$url"
build/bin/bench handoff "file:$folder/locks.db"
python3 - "$folder/fsync" <<'PYTHON'
import os, sys, time
descriptor = os.open(sys.argv[1], os.O_CREAT | os.O_RDWR)
times = []
for _ in range(200):
    os.write(descriptor, b"x" * 4096)
    start = time.perf_counter()
    os.fdatasync(descriptor)
    times.append(time.perf_counter() - start)
times.sort()
print(f"the disk's own fdatasync: median {times[100] * 1e6:.0f} us, p99 {times[198] * 1e6:.0f} us")
PYTHON
for count in 10 1000 10000; do
	build/bin/bench renew "file:$folder/locks.db" "$count"
	build/bin/bench renew "$url" "$count"
done

# PUT beside a bare evhttp and nginx, each for the same time.
bare=$(free_port)
build/bin/constant "$bare" &
pids="$pids $!"
web=$(free_port)
cat >"$folder/nginx.conf" <<NGINX
daemon off; master_process off; worker_processes 1; pid $folder/nginx.pid; error_log /dev/null;
events { worker_connections 1024; }
http { access_log off; keepalive_requests 100000000;
  server { listen 127.0.0.1:$web; location / { return 200 "$(printf %311s x | tr ' ' x)"; } } }
NGINX
nginx -c "$folder/nginx.conf" -p "$folder" 2>/dev/null &
pids="$pids $!"
echo 'wrk.method = "PUT"' >"$folder/one.lua"
cat >"$folder/many.lua" <<'LUA'
local n = 0
request = function()
	n = (n + 1) % 10000
	return wrk.format("PUT", "/locks/name-" .. n)
end
LUA
cat >"$folder/new.lua" <<'LUA'
wrk.method = "PUT"
wrk.headers["Connection"] = "close"
LUA
measure() { # LABEL URL SCRIPT CONNECTIONS
	threads=$(($4 < 2 ? 1 : 2))
	wrk -t "$threads" -c "$4" -d 3 --latency -s "$folder/$3.lua" "$2" |
		awk -v label="$1, $3, $4 connections" '/99%/ {p99 = $2} /Requests\/sec/ {rate = $2}
			END {print label ": " rate " a second, p99 " p99}'
}
for connections in 1 16 64; do
	for script in one many new; do
		measure elector "$url/locks/one" "$script" "$connections"
		measure evhttp "http://127.0.0.1:$bare/locks/one" "$script" "$connections"
		measure nginx "http://127.0.0.1:$web/locks/one" "$script" "$connections"
	done
done

# In an elector that has done nothing else, for memory that was freed is used again.
start_elector "$(free_port)"
anonymous_kb() { awk '/RssAnon/ {print $2}' "/proc/$elector/status"; }
before=$(anonymous_kb)
build/bin/bench renew "$url" 100000 &
holder=$!
until curl -s "$url/metrics" | grep -q '^mpsync_held 100000$' || ! kill -0 "$holder" 2>/dev/null; do sleep 0.5; done
echo "elector: $(($(anonymous_kb) - before)) kB more with 100,000 locks held"
wait "$holder"
