"""The manifests on a real API server in a namespace that enforces `restricted`, read strictly."""
import copy
import json
import os
import pathlib
import re
import subprocess
import urllib.error

from control_plane import KubernetesCase
from support import PATIENCE_S, ROOT, free_port

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
        for group, kind in (("apps", "deployments"), ("batch", "jobs"), ("batch", "cronjobs")):
            path = f"/apis/{group}/v1/namespaces/{self.namespace}/{kind}"
            for item in self.plane.request("GET", path)["items"]:
                yield item["spec"].get("jobTemplate", item)["spec"]["template"]

    def admit(self, template):
        pod = {"metadata": {"name": "tried", "labels": template["metadata"].get("labels", {})},
               "spec": template["spec"]}
        self.plane.request("POST", f"/api/v1/namespaces/{self.namespace}/pods?dryRun=All", pod)

    def test_they_are_accepted_as_they_are(self):
        self.apply()

    def test_their_pods_are_admitted_and_have_the_sidecar(self):
        self.apply()
        templates = list(self.templates())
        self.assertEqual(len(templates), 3)
        for template in templates:
            self.admit(template)
            sidecar = template["spec"]["initContainers"][0]
            self.assertEqual((sidecar["name"], sidecar["restartPolicy"]), ("mpsync", "Always"))
            self.assertNotIn("serviceAccountName", template["spec"])

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
        # What a controller makes in each namespace.
        self.plane.request(
            "POST", f"/api/v1/namespaces/{self.namespace}/serviceaccounts", {"metadata": {"name": "default"}})
        token = self.plane.token_for(self.namespace, "default")
        path = self.plane.kubeconfig(f"{self.folder}/account", {"token": token}, self.namespace)
        self.mpsync("doctor", url=f"kubernetes:?kubeconfig={path}", check=0)

    def test_the_sidecars_arguments_are_the_elector_s(self):
        """The options of the manifest are taken by the program, and its probes answer."""
        self.apply()
        sidecar = next(self.templates())["spec"]["initContainers"][0]
        arguments = [argument for argument in sidecar["args"] if argument not in ("elector", "[::]:13132")]
        self.assertEqual(arguments, ["--status-listen"])
        status = self.elector_with_status()
        for probe in ("startupProbe", "livenessProbe"):
            self.until(lambda path=sidecar[probe]["httpGet"]["path"]: self.http(status, "GET", path)[0] == 200)

    def elector_with_status(self):
        port = free_port()
        self.elector(self.url, None, "--status-listen", f"[::]:{port}")
        return port

    def built(self, **files):
        """What kubectl makes of a kustomization of somebody's own, by kind."""
        for name, text in files.items():
            pathlib.Path(self.folder, f"{name}.yaml").write_text(text)
        done = self.kubectl("kustomize", "--load-restrictor=LoadRestrictionsNone", self.folder)
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        text = self.kubectl("create", "--dry-run=client", "-o", "json", "-f", "-", input=done.stdout)
        self.assertEqual(text.returncode, 0, text.stderr)
        found = {}
        for item in json.loads("[" + re.sub(r"\n}\n{", "\n},\n{", text.stdout) + "]"):
            for one in item["items"] if item["kind"] == "List" else [item]:
                found.setdefault(one["kind"], []).append(one)
        return found

    def own(self, more=""):
        """A program of each kind, with an account and rights of its own."""
        kinds = "".join(f"""---
apiVersion: apps/v1
kind: {kind}
metadata: {{name: web}}
spec:
  selector: {{matchLabels: {{app: web}}}}
  {"serviceName: web" if kind == "StatefulSet" else ""}
  template:
    metadata: {{labels: {{app: web}}}}
    spec:
      serviceAccountName: web
      automountServiceAccountToken: true
      containers: [{{name: web, image: web, ports: [{{containerPort: 8080}}]}}]
""" for kind in ("Deployment", "StatefulSet", "DaemonSet")) + """---
apiVersion: batch/v1
kind: CronJob
metadata: {name: web}
spec:
  schedule: "* * * * *"
  jobTemplate: {spec: {template: {spec: {
    restartPolicy: Never, serviceAccountName: web, automountServiceAccountToken: true,
    containers: [{name: web, image: web}]}}}}
"""
        k8s = os.path.relpath(ROOT / "k8s", self.folder)
        return self.built(web=kinds, kustomization=f"""
resources: [{k8s}/base, web.yaml]
components: [{k8s}/components/sidecar{", " + k8s + "/components/network-policy" if more else ""}]
patches:
  - target: {{kind: RoleBinding, labelSelector: app.kubernetes.io/name=mpsync}}
    patch: '[{{"op": "replace", "path": "/subjects/0/name", "value": "web"}}]'
{more}""")

    def test_a_program_keeps_its_account_its_ports_and_its_rights(self):
        found = self.own()
        for kind in ("Deployment", "StatefulSet", "DaemonSet", "CronJob"):
            spec = found[kind][0]["spec"]
            pod = spec.get("jobTemplate", {"spec": spec})["spec"]["template"]["spec"]
            self.assertEqual((pod["serviceAccountName"], pod["automountServiceAccountToken"]), ("web", True), kind)
            self.assertEqual([one["name"] for one in pod["initContainers"]], ["mpsync"], kind)
        self.assertNotIn("NetworkPolicy", found)
        self.assertEqual(found["RoleBinding"][0]["subjects"], [{"kind": "ServiceAccount", "name": "web"}])
        for kind in ("Role", "RoleBinding"):
            self.assertEqual(found[kind][0]["metadata"]["labels"]["app.kubernetes.io/name"], "mpsync")

    def test_a_policy_takes_the_programs_ports(self):
        found = self.own("""  - target: {kind: NetworkPolicy, name: mpsync}
    patch: '[{"op": "add", "path": "/spec/ingress/0/ports/-", "value": {"port": 8080, "protocol": "TCP"}}]'
""")
        ports = found["NetworkPolicy"][0]["spec"]["ingress"][0]["ports"]
        self.assertEqual([port["port"] for port in ports], ["mpsync-status", 8080])

    def test_every_kind_has_the_same_sidecar(self):
        found = self.own()
        sidecars = [spec.get("jobTemplate", {"spec": spec})["spec"]["template"]["spec"]["initContainers"]
                    for kind in ("Deployment", "CronJob") for spec in [found[kind][0]["spec"]]]
        self.assertEqual(sidecars[0], sidecars[1])

    def test_a_cron_jobs_command_works_once_and_is_skipped_beside_itself(self):
        found = self.built(kustomization=f"resources: [{os.path.relpath(EXAMPLES, self.folder)}]\n")
        container = found["CronJob"][0]["spec"]["jobTemplate"]["spec"]["template"]["spec"]["containers"][0]
        elector = self.elector(self.url)
        script = container["command"][-1].replace("localhost:13131", f"localhost:{elector.port}")

        def run():
            return subprocess.run([*container["command"][:-1], script], capture_output=True, text=True, check=False,
                                  timeout=PATIENCE_S, env={**os.environ, "HOSTNAME": "pod"})
        done = run()
        self.assertEqual((done.returncode, done.stdout), (0, "tidying\n"), done.stderr)
        self.assertIsNone(self.lease("tidy"))
        holder = self.probe(self.url)
        holder.send("acquire tidy -1")
        holder.expect("held tidy")
        done = run()
        self.assertEqual((done.returncode, done.stdout), (0, "skipped (409)\n"), done.stderr)
        # With a wait it takes its turn: the command of the Job beside it.
        script = found["Job"][0]["spec"]["template"]["spec"]["containers"][0]["command"][-1].replace("locks/migrate", "locks/tidy")
        waiting = self.start(["sh", "-euc", script.replace("localhost:13131", f"localhost:{elector.port}")],
                             {"HOSTNAME": "pod"}, stderr=subprocess.DEVNULL)
        self.until(lambda: "metaparticle.io/next" in self.lease("tidy")["metadata"]["annotations"])
        holder.send("release tidy")
        while "migrating" not in waiting.line():
            pass
