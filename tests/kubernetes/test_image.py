"""The image: what k8s/Dockerfile makes is small, always the same, and runs as nobody on a read-only root."""
import json
import os
import pathlib
import shutil
import subprocess
import tempfile
import unittest

from control_plane import KubernetesCase, encoded
from support import ROOT, free_port

MOST_BYTES = 12 * 1024 * 1024


class Image(KubernetesCase):
    begins_early = True  # see apart.py: it takes as long as all others together

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.storage = tempfile.mkdtemp(prefix="mpsync-image-")
        cls.addClassCleanup(shutil.rmtree, cls.storage, True)
        cls.import_base()
        for number in (1, 2):
            cls.buildah("build", "--timestamp", "0", "--no-cache", "--pull=never", "-f", "k8s/Dockerfile",
                        "-t", f"mpsync:{number}", ".")
            cls.buildah("push", f"mpsync:{number}", f"oci:{cls.storage}/oci{number}:latest")

    @classmethod
    def buildah(cls, *arguments):
        done = subprocess.run(
            ["nice", "-n", "10", "buildah", "--root", f"{cls.storage}/root", "--runroot", f"{cls.storage}/run", *arguments],
            cwd=ROOT, env={**os.environ, "STORAGE_DRIVER": "vfs", "BUILDAH_ISOLATION": "chroot"},
            capture_output=True, text=True, check=False)
        if done.returncode:
            raise AssertionError(f"buildah {arguments}: {done.stdout[-2000:]} {done.stderr[-2000:]}")
        return done.stdout.strip()

    @classmethod
    def import_base(cls):
        """Debian under the name that the Dockerfile begins with, without a registry of images."""
        base = f"{cls.storage}/debian.tar"
        subprocess.run(["mmdebstrap", "--quiet", "--variant=minbase", "bookworm", base], check=True)
        container = cls.buildah("from", "scratch")
        cls.buildah("add", container, base, "/")
        cls.buildah("commit", "--rm", container, "docker.io/library/debian:bookworm")
        os.unlink(base)

    def manifest(self, number):
        index = json.loads(pathlib.Path(self.storage, f"oci{number}/index.json").read_text())
        return index["manifests"][0]["digest"]

    def test_it_is_small(self):
        blobs = pathlib.Path(self.storage, "oci1/blobs/sha256").iterdir()
        self.assertLess(sum(blob.stat().st_size for blob in blobs), MOST_BYTES)

    def test_it_is_the_same_twice(self):
        self.assertEqual(self.manifest(1), self.manifest(2))

    def test_its_elector_runs_as_nobody_on_a_read_only_root(self):
        container = self.buildah("from", "--pull=never", "mpsync:1")
        root = self.buildah("mount", container)
        self.addCleanup(self.buildah, "umount", container)
        port, status = free_port(), free_port()
        script = ('mount --bind "$1" "$1" && mount -o remount,bind,ro "$1" && mount -t proc proc "$1/proc" && '
                  'root=$1 && shift && exec chroot --userspec=65532:65532 "$root" /usr/bin/mpsync elector "$@"')
        os.makedirs(f"{root}/proc", exist_ok=True)
        shutil.copy(self.kubeconfig_inside(), f"{root}/tmp/kubeconfig")
        self.start(["unshare", "--mount", "sh", "-c", script, "sh", root, "--store",
                    "kubernetes:?kubeconfig=/tmp/kubeconfig", "--listen", f"127.0.0.1:{port}",
                    "--status-listen", f"0.0.0.0:{status}"],
                   {"POD_UID": "0f0e", "POD_NAME": "pod"}, stderr=subprocess.DEVNULL)
        self.until(lambda: self.http(status, "GET", "/readyz")[0] == 200)
        self.assertEqual(self.http(port, "PUT", "/locks/x")[0], 200)
        self.assertIn("holderIdentity", self.lease("x")["spec"])

    def kubeconfig_inside(self):
        token = self.account("image", [{"apiGroups": ["coordination.k8s.io"], "resources": ["leases"],
                                        "verbs": ["get", "list", "watch", "create", "patch", "delete"]}])
        return self.plane.kubeconfig(f"{self.folder}/inside", {"token": token}, self.namespace, {
            "server": self.plane.url, "certificate-authority-data": encoded(self.plane.certificates.ca)})

