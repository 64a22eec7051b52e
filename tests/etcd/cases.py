"""Real etcds on loopback, for the tests that ask them."""
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import unittest.mock

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "integration"))
from support import Case, Process, free_port  # noqa: E402


class Member:
    """One member of a cluster on loopback."""

    def __init__(self, folder, name, ports, cluster, extra=()):
        self.client, peer = ports
        self.folder = f"{folder}/{name}"
        self.command = [
            "etcd", "--name", name, "--data-dir", self.folder, "--log-level", "error",
            "--listen-client-urls", f"http://127.0.0.1:{self.client}",
            "--advertise-client-urls", f"http://127.0.0.1:{self.client}",
            "--listen-peer-urls", f"http://127.0.0.1:{peer}",
            "--initial-advertise-peer-urls", f"http://127.0.0.1:{peer}",
            "--initial-cluster", cluster, "--unsafe-no-fsync", *extra]
        if "--unsafe-no-fsync" not in subprocess.run(
                ["etcd", "--help"], capture_output=True, text=True, check=False).stderr:
            self.command.remove("--unsafe-no-fsync")
        self.process = None

    def start(self):
        self.process = Process(self.command, stderr=subprocess.DEVNULL)

    def kill(self):
        self.process.end()


class EtcdCase(Case):
    members = 1
    extra = ()

    @classmethod
    def setUpClass(cls):
        cls.etcd_folder = tempfile.mkdtemp(prefix="mpsync-etcd-")
        cls.addClassCleanup(shutil.rmtree, cls.etcd_folder, True)
        ports = [(free_port(), free_port()) for _ in range(cls.members)]
        cluster = ",".join(f"m{i}=http://127.0.0.1:{peer}" for i, (_, peer) in enumerate(ports))
        cls.cluster = [Member(cls.etcd_folder, f"m{i}", pair, cluster, cls.extra)
                       for i, pair in enumerate(ports)]
        for member in cls.cluster:
            member.start()
            cls.addClassCleanup(member.kill)
        cls.endpoints = ",".join(f"127.0.0.1:{client}" for client, _ in ports)
        cls.url = "etcd://" + cls.endpoints

    def setUp(self):
        super().setUp()
        self.until(lambda: self.etcdctl("endpoint", "health").returncode == 0)
        self.etcdctl("del", "--prefix", "")

    def etcdctl(self, *arguments):
        return subprocess.run(["etcdctl", "--endpoints", self.endpoints, "--command-timeout", "60s", *arguments],
                              capture_output=True, text=True, env={**os.environ, "ETCDCTL_API": "3"},
                              check=False)

    def start_etcdctl(self, *arguments):
        return self.start(["etcdctl", "--endpoints", self.endpoints, *arguments],
                          {"ETCDCTL_API": "3"}, stderr=subprocess.DEVNULL)

    def environment(self, **variables):
        return unittest.mock.patch.dict(os.environ, variables)

    def token_of(self, line):
        return int(line.split()[2])

    def keys(self, prefix):
        return self.etcdctl("get", "--prefix", "--keys-only", prefix).stdout.split()
