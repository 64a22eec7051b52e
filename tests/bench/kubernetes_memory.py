"""What an elector and `ls` need in a namespace with many Leases of others; what docs/kubernetes.md records. Not a test.

    sh tests/run.sh kubernetes builds what this needs; then: python3 tests/bench/kubernetes_memory.py [HOW MANY]
"""
import http.client
import json
import os
import pathlib
import shutil
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "tests/kubernetes"), str(ROOT / "tests/integration")]
from control_plane import LEASES, ControlPlane  # noqa: E402
from support import BUILD, Process, free_port  # noqa: E402

FILLER = "x" * 900  # a Lease is 1.2 KB then


def wait_for(condition):
    while True:
        try:
            if condition():
                return
        except OSError:
            pass
        time.sleep(0.1)


def fill(plane, count):
    connection = http.client.HTTPSConnection("127.0.0.1", plane.port, context=plane.context)
    for number in range(count):
        connection.request("POST", LEASES.format("default"), json.dumps({
            "metadata": {"name": f"foreign-{number}", "annotations": {"filler": FILLER}},
            "spec": {"holderIdentity": f"somebody-{number}", "leaseDurationSeconds": 15,
                     "renewTime": "2026-01-01T00:00:00.000000Z"}}), {"Content-Type": "application/json"})
        connection.getresponse().read()


def memory(pid):
    lines = pathlib.Path(f"/proc/{pid}/status").read_text().splitlines()
    return {line.split(":")[0]: f"{int(line.split()[1]) / 1024:.0f} MiB" for line in lines if line.startswith(("VmHWM", "VmRSS"))}


def measure(url):
    port = free_port()
    elector = Process([str(BUILD / "bin/mpsync"), "elector", "--store", url, "--listen", f"127.0.0.1:{port}"])

    def listed():
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=120)
        connection.request("GET", "/locks?limit=1000")
        return connection.getresponse().read()
    wait_for(listed)
    print("elector, after a page of its list:", memory(elector.child.pid))
    elector.end()
    pid = os.spawnve(os.P_NOWAIT, str(BUILD / "bin/mpsync"), ["mpsync", "ls", "--prefix", "none"], {**os.environ, "MPSYNC_URL": url})
    print("ls of a prefix:", f"{os.wait4(pid, 0)[2].ru_maxrss / 1024:.0f} MiB")


def main():
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 50000
    folder = tempfile.mkdtemp(prefix="mpsync-memory-")
    plane = ControlPlane(folder)
    try:
        plane.start()
        wait_for(plane.is_ready)
        fill(plane, count)
        certificate, key = plane.admin_pair
        config = plane.kubeconfig(f"{folder}/kubeconfig", {"client-certificate": certificate, "client-key": key})
        print(f"{count} Leases of others")
        measure(f"kubernetes:?kubeconfig={config}")
    finally:
        plane.end()
        shutil.rmtree(folder, True)


if __name__ == "__main__":
    main()
