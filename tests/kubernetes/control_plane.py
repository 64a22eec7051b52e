"""A Kubernetes control plane as far as Leases go: a real kube-apiserver over a real etcd, on loopback."""
import base64
import contextlib
import json
import os
import pathlib
import shutil
import signal
import ssl
import subprocess
import sys
import tempfile
import unittest
import urllib.error
import urllib.request

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "integration"))
from support import BUILD, PATIENCE_S, Case, Process, free_port  # noqa: E402

HERE = pathlib.Path(__file__).resolve().parent
LEASES = "/apis/coordination.k8s.io/v1/namespaces/{}/leases"


def find(program):
    """The binary that KUBEBUILDER_ASSETS or the tier's build has."""
    for folder in (os.environ.get("KUBEBUILDER_ASSETS"), BUILD / "kubernetes"):
        path = pathlib.Path(folder, program) if folder else None
        if path and path.exists():
            return str(path)
    found = shutil.which(program)
    if not found:
        raise AssertionError(f"no {program}: sh tests/run.sh kubernetes builds it")
    return found


def run(*command, **more):
    return subprocess.run(command, check=True, capture_output=True, text=True, timeout=PATIENCE_S, **more)


class Certificates:
    """An authority, and what it signs."""

    def __init__(self, folder):
        self.folder = folder
        self.ca = f"{folder}/ca.crt"
        run("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
            "-days", "2", "-subj", "/CN=test", "-keyout", f"{folder}/ca.key", "-out", self.ca)

    def sign(self, name, subject, names=None):
        base = f"{self.folder}/{name}"
        run("openssl", "req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
            "-subj", subject, "-keyout", f"{base}.key", "-out", f"{base}.csr")
        extensions = pathlib.Path(f"{base}.ext")
        extensions.write_text(f"subjectAltName={names}\n" if names else "basicConstraints=CA:FALSE\n")
        run("openssl", "x509", "-req", "-in", f"{base}.csr", "-CA", self.ca, "-CAkey", f"{self.folder}/ca.key",
            "-CAcreateserial", "-days", "2", "-extfile", str(extensions), "-out", f"{base}.crt")
        return f"{base}.crt", f"{base}.key"


class ControlPlane:
    """kube-apiserver with RBAC on, its etcd, and the one who may do everything."""

    def __init__(self, folder, flags=()):
        self.folder = folder
        self.flags = flags
        self.port, self.etcd_port, self.peer_port = free_port(), free_port(), free_port()
        self.certificates = Certificates(folder)
        self.server_pair = self.certificates.sign(
            "server", "/CN=kube-apiserver", "IP:127.0.0.1,DNS:localhost,DNS:kubernetes.default")
        self.admin_pair = self.certificates.sign("admin", "/O=system:masters/CN=admin")
        run("openssl", "genrsa", "-out", f"{folder}/accounts.key", "2048")
        run("openssl", "rsa", "-in", f"{folder}/accounts.key", "-pubout", "-out", f"{folder}/accounts.pub")
        self.url = f"https://127.0.0.1:{self.port}"
        self.context = ssl.create_default_context(cafile=self.certificates.ca)
        self.context.load_cert_chain(*self.admin_pair)
        self.etcd = self.server = None

    def start_etcd(self):
        self.etcd = Process([
            "etcd", "--data-dir", f"{self.folder}/etcd", "--log-level", "error", "--unsafe-no-fsync",
            "--listen-client-urls", f"http://127.0.0.1:{self.etcd_port}",
            "--advertise-client-urls", f"http://127.0.0.1:{self.etcd_port}",
            "--listen-peer-urls", f"http://127.0.0.1:{self.peer_port}",
            "--initial-advertise-peer-urls", f"http://127.0.0.1:{self.peer_port}",
            "--initial-cluster", f"default=http://127.0.0.1:{self.peer_port}"], stderr=subprocess.DEVNULL)

    def start_server(self):
        certificate, key = self.server_pair
        with open(f"{self.folder}/apiserver.log", "ab") as log:
            self.server = Process([
                find("kube-apiserver"), "--etcd-servers", f"http://127.0.0.1:{self.etcd_port}",
                "--bind-address", "127.0.0.1", "--advertise-address", "192.0.2.1", "--secure-port", str(self.port),
                "--tls-cert-file", certificate, "--tls-private-key-file", key,
                "--client-ca-file", self.certificates.ca, "--authorization-mode", "RBAC",
                "--service-account-issuer", "https://kubernetes.default",
                "--service-account-key-file", f"{self.folder}/accounts.pub",
                "--service-account-signing-key-file", f"{self.folder}/accounts.key",
                "--service-cluster-ip-range", "10.0.0.0/24", "--disable-admission-plugins", "ServiceAccount",
                "--endpoint-reconciler-type", "none", "--v", "0", *self.flags], stderr=log)

    def start(self):
        self.start_etcd()
        self.start_server()

    def end(self):
        for process in (self.server, self.etcd):
            if process:
                process.end()

    def is_ready(self):
        return self.request("GET", "/readyz", parse=False) == "ok"

    def request(self, method, path, body=None, parse=True):
        request = urllib.request.Request(
            self.url + path, method=method, data=json.dumps(body).encode() if body is not None else None,
            headers={"Content-Type": "application/merge-patch+json" if method == "PATCH" else "application/json"})
        with urllib.request.urlopen(request, context=self.context, timeout=PATIENCE_S) as answer:
            text = answer.read().decode()
        return json.loads(text) if parse else text

    def try_request(self, *arguments):
        """None for an object that is not there (or is there already)."""
        try:
            return self.request(*arguments)
        except urllib.error.HTTPError as error:
            if error.code in (404, 409):
                return None
            raise

    def token_for(self, namespace, account, seconds=3600):
        answer = self.request(
            "POST", f"/api/v1/namespaces/{namespace}/serviceaccounts/{account}/token",
            {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest",
             "spec": {"audiences": ["https://kubernetes.default"], "expirationSeconds": seconds}})
        return answer["status"]["token"]

    def kubeconfig(self, path, user, namespace="default", cluster=None, context="test"):
        """Writes one; `user` and `cluster` are what the file says of them."""
        pathlib.Path(path).write_text(json.dumps({
            "apiVersion": "v1", "kind": "Config", "current-context": context,
            "clusters": [{"name": "c", "cluster": cluster or {
                "server": self.url, "certificate-authority": self.certificates.ca}}],
            "users": [{"name": "u", "user": user}],
            "contexts": [{"name": context, "context": {"cluster": "c", "user": "u", "namespace": namespace}}]}))
        return path


def encoded(path):
    return base64.b64encode(pathlib.Path(path).read_bytes()).decode()


class KubernetesCase(Case):
    """Its own namespace on a control plane that the tests of one module share."""

    together = "plane"  # see apart.py
    plane = None
    flags = ()  # of its API server's, in a module of its own
    names = 0

    @classmethod
    def setUpClass(cls):
        if KubernetesCase.plane:
            return
        folder = tempfile.mkdtemp(prefix="mpsync-kubernetes-")
        unittest.addModuleCleanup(shutil.rmtree, folder, True)
        plane = ControlPlane(folder, cls.flags)
        unittest.addModuleCleanup(KubernetesCase.end_plane, plane)
        plane.start()
        KubernetesCase.plane = plane

    @staticmethod
    def end_plane(plane):
        KubernetesCase.plane = None
        plane.end()

    def setUp(self):
        super().setUp()
        self.until(self.plane.is_ready)
        KubernetesCase.names += 1
        self.namespace = f"test-{KubernetesCase.names}"
        self.plane.request("POST", "/api/v1/namespaces", {"metadata": {"name": self.namespace}})
        certificate, key = self.plane.admin_pair
        self.kubeconfig = self.plane.kubeconfig(
            f"{self.folder}/kubeconfig", {"client-certificate": certificate, "client-key": key}, self.namespace)
        self.url = f"kubernetes:?kubeconfig={self.kubeconfig}"

    def until(self, condition):
        def met():
            try:
                return condition()
            except urllib.error.URLError:
                return False
        super().until(met)

    def lease(self, name):
        return self.plane.try_request("GET", f"{LEASES.format(self.namespace)}/{name}")

    def patch(self, name, change):
        return self.plane.request("PATCH", f"{LEASES.format(self.namespace)}/{name}", change)

    def delete(self, name):
        return self.plane.try_request("DELETE", f"{LEASES.format(self.namespace)}/{name}")

    def kubectl(self, *arguments, **more):
        return subprocess.run(
            [find("kubectl"), "--kubeconfig", self.kubeconfig, *arguments], capture_output=True, text=True,
            timeout=PATIENCE_S, check=False, **more)

    def account(self, name="app", rules=None):
        """A service account that may do what `rules` say to Leases; its token."""
        self.plane.try_request(
            "POST", f"/api/v1/namespaces/{self.namespace}/serviceaccounts", {"metadata": {"name": name}})
        path = f"/apis/rbac.authorization.k8s.io/v1/namespaces/{self.namespace}"
        role = {"metadata": {"name": name}, "rules": rules or []}
        # Replaced at once: in between nothing would be allowed.
        self.plane.try_request("POST", f"{path}/roles", role) or self.plane.request("PUT", f"{path}/roles/{name}", role)
        self.plane.try_request("POST", f"{path}/rolebindings", {
            "metadata": {"name": name}, "roleRef": {
                "apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": name},
            "subjects": [{"kind": "ServiceAccount", "name": name, "namespace": self.namespace}]})
        self.until(lambda: self.are_in_force(name, rules or []))
        return self.plane.token_for(self.namespace, name)

    def are_in_force(self, account, rules):
        """A server that is busy goes by the former ones for a moment."""
        granted = {(group, resource, verb, rule.get("resourceNames", [""])[0])
                   for rule in rules for group in rule["apiGroups"] for resource in rule["resources"] for verb in rule["verbs"]}
        leases = {("coordination.k8s.io", "leases", verb, "") for verb in ("get", "list", "watch", "create", "patch", "delete")}
        return all(self.may(account, *what) == (what in granted) for what in granted | leases)

    def may(self, account, group, resource, verb, name):
        review = self.plane.request("POST", "/apis/authorization.k8s.io/v1/subjectaccessreviews", {"spec": {
            "user": f"system:serviceaccount:{self.namespace}:{account}",
            "resourceAttributes": {"namespace": self.namespace, "group": group, "resource": resource, "verb": verb, "name": name}}})
        return review["status"]["allowed"]

    def token_of(self, line):
        return int(line.split()[2])

    @contextlib.contextmanager
    def stopped(self, process):
        """Stands still, and goes on."""
        process.signal(signal.SIGSTOP)
        try:
            yield
        finally:
            process.signal(signal.SIGCONT)

