"""Leases beside client-go on one API server in one run; what docs/performance.md records. Not a test.

    sh tests/run.sh kubernetes builds what this needs; then: python3 tests/bench/kubernetes.py
    kubernetes.py --slowed FACTOR…: only contenders, on the server as it is and on one that is so many times slower
"""
import contextlib
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "tests/kubernetes"), str(ROOT / "tests/integration")]
from control_plane import ControlPlane, find  # noqa: E402
from support import BUILD, MPSYNC, PROBE, Process, free_port  # noqa: E402

os.environ.setdefault("KUBEBUILDER_ASSETS", str(ROOT / "build/kubernetes"))
BENCH = str(BUILD / "bin/bench")
DELAY = str(BUILD / "bin/delay")
CLIENT_GO = f"{os.environ['KUBEBUILDER_ASSETS']}/bench"
WRITES = ("POST", "PUT", "PATCH", "DELETE")


def requests_of(plane):
    """Requests for Leases by verb, as the server counts them."""
    counted = {}
    for line in plane.request("GET", "/metrics", parse=False).splitlines():
        if line.startswith("apiserver_request_total{") and 'resource="leases"' in line:
            verb = re.search(r'verb="(\w+)"', line)[1]
            counted[verb] = counted.get(verb, 0) + int(float(line.split()[-1]))
    return counted


def difference(before, after):
    return {verb: after[verb] - before.get(verb, 0) for verb in after if after[verb] != before.get(verb, 0)}


def probe(url, ttl="15s"):
    process = Process([PROBE], {"MPSYNC_URL": url, "MPSYNC_TTL": ttl})
    process.expect("ready")
    return process


def median_and_last(took):
    took.sort()
    return f"median {took[len(took) // 2] * 1000:.0f} ms, worst {took[-1] * 1000:.0f} ms, of {len(took)}"


def print_writes(made, hand_offs):
    writes = sum(made.get(verb, 0) for verb in WRITES)
    print(f"  {writes / hand_offs:.1f} writes a hand-off ({made})")


def drain(plane, url, count):
    before = requests_of(plane)
    print(subprocess.run([BENCH, "drain", url, str(count)], capture_output=True, text=True, check=True).stdout.strip())
    print_writes(difference(before, requests_of(plane)), count + 1)


def contend(plane, url, count, hold_ms):
    with subprocess.Popen([BENCH, "contend", url, str(count), str(hold_ms), "15"],
                          stdout=subprocess.PIPE, text=True) as contenders:
        contenders.stdout.readline()
        before = requests_of(plane)
        result = contenders.stdout.readline().strip()
        made = difference(before, requests_of(plane))
    print(result, flush=True)
    print_writes(made, int(result.split()[-1]))


def requests_an_hour(plane, url):
    contenders = [probe(url) for _ in range(5)]
    for contender in contenders:
        contender.send("acquire hour -1")
    time.sleep(20)
    before = requests_of(plane)
    time.sleep(60)
    made = difference(before, requests_of(plane))
    print(f"one holder, four waiters: {60 * sum(made.values())} requests an hour ({made} in a minute)")
    for contender in contenders:
        contender.end()
    before = requests_of(plane)
    subprocess.run([CLIENT_GO, plane.admin_kubeconfig, "default", "requests"], check=True)
    made = difference(before, requests_of(plane))
    print(f"client-go likewise: {60 * sum(made.values())} requests an hour ({made} in a minute)")


def replace_killed(holder, waiter, name, head_start):
    """How long it takes until the waiter holds what its holder was killed with."""
    holder.send(f"acquire {name} -1")
    holder.expect("held")
    waiter.send(f"acquire {name} -1")
    waiter.expect("waiting")
    time.sleep(head_start)
    start = time.monotonic()
    holder.signal(signal.SIGKILL)
    waiter.expect("held")
    took = time.monotonic() - start
    holder.end()
    waiter.end()
    return took


def failover_by_proof(url):
    took = []
    ports = [free_port(), free_port()]
    electors = [Process([MPSYNC, "elector", "--store", url, "--listen", f"127.0.0.1:{port}"],
                        stderr=subprocess.DEVNULL) for port in ports]
    time.sleep(1)
    urls = [f"http://127.0.0.1:{port}" for port in ports]
    for turn in range(20):
        took.append(replace_killed(probe(urls[turn % 2]), probe(urls[1 - turn % 2]), "proof", 0.3))
    for elector in electors:
        elector.end()
    print("failover, the holder killed behind its sidecar:", median_and_last(took))


def failover_by_ttl(url):
    took = [replace_killed(probe(url, "3s"), probe(url, "3s"), "ttl", 0.5) for _ in range(5)]
    print("failover, everything of the holder gone, ttl 3 s:", median_and_last(took))


def floor_ms(plane, config):
    line = subprocess.run([CLIENT_GO, config, "default", "floor"], capture_output=True, text=True, check=True).stdout
    print(line.strip(), flush=True)
    return float(re.search(r"median ([\d.]+) ms", line)[1])


@contextlib.contextmanager
def slowed(plane, by_us):
    """A kubeconfig for the server behind a relay that keeps each message back for so long."""
    with subprocess.Popen([DELAY, str(plane.port), str(by_us)], stdin=subprocess.PIPE,
                          stdout=subprocess.PIPE, text=True) as relay:
        port = relay.stdout.readline().strip()
        certificate, key = plane.admin_pair
        yield plane.kubeconfig(f"{plane.folder}/slowed-{port}", {"client-certificate": certificate, "client-key": key},
                               cluster={"server": f"https://127.0.0.1:{port}",
                                        "certificate-authority": plane.certificates.ca})
        relay.stdin.close()


def crowds(plane, config):
    url = f"kubernetes:?kubeconfig={config}"
    floor_ms(plane, config)
    contend(plane, url, 100, 15)
    drain(plane, url, 100)


def crowds_slowed(plane, factors):
    """Each message on its way is kept back for a quarter of what the floor is to be longer."""
    floor = floor_ms(plane, plane.admin_kubeconfig)
    crowds(plane, plane.admin_kubeconfig)
    for factor in factors:
        print(f"a server that is {factor} times slower:")
        with slowed(plane, round(floor * 1000 * (factor - 1) / 4)) as config:
            crowds(plane, config)


def measure_all(plane, url):
    for _ in range(2):
        floor_ms(plane, plane.admin_kubeconfig)
        subprocess.run([BENCH, "handoff", url], check=True)
    subprocess.run([BENCH, "pair", url], check=True)
    for count in (2, 10, 100):
        drain(plane, url, count)
    for hold_ms in (15, 0):
        for count in (2, 10, 100):
            contend(plane, url, count, hold_ms)
    failover_by_proof(url)
    failover_by_ttl(url)
    subprocess.run([CLIENT_GO, plane.admin_kubeconfig, "default", "handoff"], check=True)
    requests_an_hour(plane, url)


def main():
    slower = [int(factor) for factor in sys.argv[2:]] if sys.argv[1:2] == ["--slowed"] else []
    folder = tempfile.mkdtemp(prefix="mpsync-bench-")
    plane = ControlPlane(folder)
    try:
        plane.start()
        while True:
            try:
                if plane.is_ready():
                    break
            except OSError:
                time.sleep(0.05)
        certificate, key = plane.admin_pair
        plane.admin_kubeconfig = plane.kubeconfig(
            f"{folder}/kubeconfig", {"client-certificate": certificate, "client-key": key})
        url = f"kubernetes:?kubeconfig={plane.admin_kubeconfig}"
        if slower:
            crowds_slowed(plane, slower)
        else:
            measure_all(plane, url)
    finally:
        plane.end()
        shutil.rmtree(folder, True)


if __name__ == "__main__":
    find("kube-apiserver")
    main()
