"""The manifests on a real API server in a namespace that enforces `restricted`, read strictly."""
import copy
import unittest
import urllib.error

from control_plane import KubernetesCase
from support import ROOT

EXAMPLES = str(ROOT / "k8s/examples")


class Manifests(KubernetesCase):
    def setUp(self):
        super().setUp()
        self.plane.request("PATCH", f"/api/v1/namespaces/{self.namespace}", {"metadata": {"labels": {
            "pod-security.kubernetes.io/enforce": "restricted", "pod-security.kubernetes.io/warn": "restricted"}}})

    def apply(self, folder=EXAMPLES):
        done = self.kubectl("apply", "--validate=strict", "-k", folder)
        self.assertEqual((done.returncode, done.stderr), (0, ""), done.stdout)

    def templates(self):
        for kind in ("deployments", "jobs"):
            path = f"/apis/{'apps' if kind == 'deployments' else 'batch'}/v1/namespaces/{self.namespace}/{kind}"
            for item in self.plane.request("GET", path)["items"]:
                yield item["spec"]["template"]

    def admit(self, template):
        pod = {"metadata": {"name": "tried", "labels": template["metadata"].get("labels", {})},
               "spec": template["spec"]}
        self.plane.request("POST", f"/api/v1/namespaces/{self.namespace}/pods?dryRun=All", pod)

    def test_they_are_accepted_as_they_are(self):
        self.apply()

    def test_their_pods_are_admitted_and_have_the_sidecar(self):
        self.apply()
        templates = list(self.templates())
        self.assertEqual(len(templates), 2)
        for template in templates:
            self.admit(template)
            sidecar = template["spec"]["initContainers"][0]
            self.assertEqual((sidecar["name"], sidecar["restartPolicy"]), ("mpsync", "Always"))
            self.assertEqual(template["spec"]["serviceAccountName"], "mpsync")

    def test_a_service_that_reaches_the_leader(self):
        self.apply(f"{EXAMPLES}/leader-service")
        template = next(self.templates())
        self.admit(template)
        self.assertIn("--label-leader", template["spec"]["initContainers"][0]["args"])

    def test_the_namespace_does_refuse_what_is_not_restricted(self):
        self.apply()
        template = copy.deepcopy(next(self.templates()))
        del template["spec"]["initContainers"][0]["securityContext"]
        with self.assertRaises(urllib.error.HTTPError) as refused:
            self.admit(template)
        self.assertIn("restricted", refused.exception.read().decode())

    def test_the_role_is_what_the_store_needs(self):
        self.apply()
        token = self.plane.token_for(self.namespace, "mpsync")
        path = self.plane.kubeconfig(f"{self.folder}/account", {"token": token}, self.namespace)
        self.mpsync("doctor", url=f"kubernetes:?kubeconfig={path}", check=0)

    def test_the_sidecars_arguments_are_the_elector_s(self):
        """The options of the manifest are taken by the program, and its probes answer."""
        self.apply()
        sidecar = next(self.templates())["spec"]["initContainers"][0]
        arguments = [argument for argument in sidecar["args"] if argument not in ("elector", "0.0.0.0:13132")]
        self.assertEqual(arguments, ["--status-listen"])
        status = self.elector_with_status()
        for probe in ("startupProbe", "livenessProbe"):
            self.until(lambda path=sidecar[probe]["httpGet"]["path"]: self.http(status, "GET", path)[0] == 200)

    def elector_with_status(self):
        from support import free_port
        port = free_port()
        self.elector(self.url, None, "--status-listen", f"0.0.0.0:{port}")
        return port


