"""Where scenarios are played: a file, an elector on one, etcd, Kubernetes. Each test has a store of its own."""
import pathlib
import subprocess
import sys

for folder in ("integration", "etcd", "kubernetes"):
    sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / folder))
from cases import EtcdCase  # noqa: E402
from control_plane import KubernetesCase  # noqa: E402
from support import MPSYNC, Case, free_port  # noqa: E402


class File(Case):
    store = "file"

    def setUp(self):
        super().setUp()
        self.url = self.file_url


class Elector(Case):
    store = "elector"

    def setUp(self):
        super().setUp()
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.start_elector()

    def start_elector(self):
        self.server = self.start(
            [MPSYNC, "elector", "--store", self.file_url, "--listen", f"127.0.0.1:{self.port}", "--allow-force"],
            {"XDG_STATE_HOME": self.folder}, stderr=subprocess.DEVNULL)
        while subprocess.run([MPSYNC, "doctor", "--url", self.url], capture_output=True, check=False).returncode:
            self.assertIsNone(self.server.child.poll(), "the elector ended")


class Etcd(EtcdCase):
    store = "etcd"


class Kubernetes(KubernetesCase):
    store = "kubernetes"


PLACES = (File, Elector, Etcd, Kubernetes)
