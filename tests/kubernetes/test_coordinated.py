"""Leases whose holder is chosen by the cluster: an API server that lets them say how."""
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "integration"))
from control_plane import LEASES, KubernetesCase  # noqa: E402


class Coordinated(KubernetesCase):
    flags = ("--feature-gates", "CoordinatedLeaderElection=true", "--runtime-config", "coordination.k8s.io/v1beta1=true")

    def test_they_are_refused_to_contenders_and_shown(self):
        made = self.plane.request("POST", LEASES.format(self.namespace), {
            "metadata": {"name": "x"},
            "spec": {"holderIdentity": "somebody", "leaseDurationSeconds": 3600, "strategy": "OldestEmulationVersion"}})
        self.assertIn("strategy", made["spec"])
        elector = self.elector(self.url)
        for url in (self.url, elector.url):
            done = self.mpsync("lock", "--wait", "5s", "x", "--", "true", url=url, check=122)
            self.assertIn("coordinated", done.stderr)
            for arguments in (["status", "x"], ["ls"]):
                self.assertIn("somebody", self.mpsync(*arguments, url=url, check=0).stdout)
        self.assertEqual(self.lease("x"), made)
