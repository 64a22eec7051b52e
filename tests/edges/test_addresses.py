"""Addresses: a machine with IPv6 alone, with IPv4 alone, and with a kernel that knows no IPv6."""
import pathlib
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "integration"))
from support import MPSYNC, PATIENCE_S, Case  # noqa: E402

PORT, STATUS = 13131, 13132  # in a network of its own
# What a kernel answers that was started with ipv6.disable=1: a filter of system calls, for this process and its children.
NO_IPV6 = r"""
import ctypes, os, socket, struct, sys
filters = [(0x20, 0, 0, 0), (0x15, 0, 3, {"x86_64": 41, "aarch64": 198}[os.uname().machine]),
           (0x20, 0, 0, 16), (0x15, 0, 1, int(socket.AF_INET6)), (0x06, 0, 0, 0x00050000 | 97), (0x06, 0, 0, 0x7fff0000)]
program = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *one) for one in filters))
header = ctypes.create_string_buffer(struct.pack("HxxxxxxP", len(filters), ctypes.addressof(program)))
libc = ctypes.CDLL(None, use_errno=True)
assert libc.prctl(38, 1, 0, 0, 0) == 0 and libc.prctl(22, 2, header, 0, 0) == 0, os.strerror(ctypes.get_errno())
os.execv(sys.argv[1], sys.argv[1:])
"""


class Addresses(Case):
    def elector(self, network, listen, wrapper=()):
        """One in a network of its own, with the status port of the manifests."""
        self.process = self.start(["unshare", "--net", "sh", "-c", f'{network} && exec "$@"', "sh", *wrapper, MPSYNC, "elector",
                                   "--store", "memory:", "--listen", listen, "--status-listen", f"[::]:{STATUS}"],
                                  {"HOME": self.folder}, stderr=subprocess.DEVNULL)

    def answers(self, address, port=STATUS):
        done = subprocess.run(
            ["nsenter", "--net", "--target", str(self.process.child.pid), sys.executable, "-c",
             "import sys, urllib.request; print(urllib.request.urlopen(sys.argv[1], timeout=60).read().decode())",
             f"http://{address}:{port}/healthz"], capture_output=True, text=True, timeout=PATIENCE_S, check=False)
        return done.returncode == 0

    def test_ipv6_alone(self):
        """As a Pod of a cluster without IPv4 has it: the kubelet asks at the Pod's own address."""
        self.elector("ip link set lo up && ip addr del 127.0.0.1/8 dev lo && ip -6 addr add fd00::1/128 dev lo", f"[::1]:{PORT}")
        for address in ("[::1]", "[fd00::1]"):
            self.until(lambda address=address: self.answers(address))

    def test_ipv4_alone(self):
        """IPv6 is switched off for each interface."""
        self.elector("echo 1 > /proc/sys/net/ipv6/conf/all/disable_ipv6 && ip link set lo up && ip addr add 10.9.8.7/32 dev lo",
                     f"127.0.0.1:{PORT}")
        for address in ("127.0.0.1", "10.9.8.7"):
            self.until(lambda address=address: self.answers(address))

    def test_a_kernel_without_ipv6(self):
        self.elector("ip link set lo up && ip addr add 10.9.8.7/32 dev lo", f"127.0.0.1:{PORT}", (sys.executable, "-c", NO_IPV6))
        for address in ("127.0.0.1", "10.9.8.7"):
            self.until(lambda address=address: self.answers(address))
        self.assertFalse(self.answers("[::1]"))

    def test_both(self):
        self.elector("ip link set lo up && ip addr add 10.9.8.7/32 dev lo && ip -6 addr add fd00::1/128 dev lo", f"127.0.0.1:{PORT}")
        for address in ("10.9.8.7", "[fd00::1]", "127.0.0.1", "[::1]"):
            self.until(lambda address=address: self.answers(address))
