"""What a cluster has around Leases, on a real kube-apiserver: owners and priorities."""
import http.client
import os
import ssl
import subprocess

from control_plane import LEASES, KubernetesCase
from support import MPSYNC, ROOT

DEPLOYMENT = {"metadata": {"name": "web"}, "spec": {
    "selector": {"matchLabels": {"app": "web"}},
    "template": {"metadata": {"labels": {"app": "web"}}, "spec": {"containers": [{"name": "a", "image": "a"}]}}}}
LEASES_RULE = {"apiGroups": ["coordination.k8s.io"], "resources": ["leases"],
               "verbs": ["get", "list", "watch", "create", "patch", "delete"]}


class Owner(KubernetesCase):
    """The option lease_owner: whom an election's Lease goes with."""

    def deploy(self):
        return self.plane.request("POST", f"/apis/apps/v1/namespaces/{self.namespace}/deployments", DEPLOYMENT)

    def owned_by(self, owner):
        return f"{self.url}&lease_owner={owner}"

    def leads(self, url):
        process = self.start([MPSYNC, "elect", "x", "--", "sh", "-c", "echo leads; exec sleep 600"],
                             {"MPSYNC_URL": url}, stderr=subprocess.DEVNULL)
        process.expect("leads")

    def test_an_elections_lease_belongs_to_its_owner(self):
        uid = self.deploy()["metadata"]["uid"]
        self.leads(self.owned_by("apps/v1/deployments/web"))
        self.assertEqual(self.lease("x")["metadata"]["ownerReferences"], [
            {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web", "uid": uid}])

    def test_a_locks_lease_belongs_to_nobody(self):
        self.deploy()
        probe = self.probe(self.owned_by("apps/v1/deployments/web"))
        probe.send("acquire x -1")
        probe.expect("held x")
        self.assertNotIn("ownerReferences", self.lease("x")["metadata"])

    def test_behind_an_elector_and_of_the_core_group(self):
        uid = self.plane.request("POST", f"/api/v1/namespaces/{self.namespace}/configmaps",
                                 {"metadata": {"name": "all-of-it"}})["metadata"]["uid"]
        elector = self.elector(self.url, None, "--lease-owner", "v1/configmaps/all-of-it")
        self.leads(f"http://127.0.0.1:{elector.port}")
        self.assertEqual(self.lease("x")["metadata"]["ownerReferences"], [
            {"apiVersion": "v1", "kind": "ConfigMap", "name": "all-of-it", "uid": uid}])

    def test_an_owner_that_was_replaced_owns_what_is_made_then(self):
        """A Lease of the former one's would be collected under its leader, again and again."""
        path = f"/api/v1/namespaces/{self.namespace}/configmaps"
        of_former = self.plane.request("POST", path, {"metadata": {"name": "all-of-it"}})["metadata"]["uid"]
        self.leads(self.owned_by("v1/configmaps/all-of-it"))
        self.assertEqual(self.owner_of_lease(), of_former)
        self.plane.request("DELETE", f"{path}/all-of-it")
        of_new = self.plane.request("POST", path, {"metadata": {"name": "all-of-it"}})["metadata"]["uid"]
        self.delete("x")  # as the garbage collector does, which these tests have not
        self.until(lambda: self.owner_of_lease() == of_new)

    def owner_of_lease(self):
        lease = self.lease("x")
        return lease and lease["metadata"]["ownerReferences"][0]["uid"]

    def refusal(self, url, code):
        done = self.mpsync("elect", "x", "--", "true", url=url, check=code)
        self.assertIsNone(self.lease("x"))
        return done.stderr

    def test_an_owner_that_is_not_there_is_an_error_that_says_so(self):
        self.assertIn("lease_owner apps/v1/deployments/web cannot be read",
                      self.refusal(self.owned_by("apps/v1/deployments/web"), 125))

    def test_who_may_not_read_the_owner_is_told(self):
        self.deploy()
        path = self.plane.kubeconfig(f"{self.folder}/app", {"token": self.account(rules=[LEASES_RULE])}, self.namespace)
        said = self.refusal(f"kubernetes:?kubeconfig={path}&lease_owner=apps/v1/deployments/web", 122)
        self.assertIn("lease_owner", said)
        self.assertIn("deployments", said)

    def test_what_names_no_object_is_refused(self):
        for owner in ("web", "deployments/web", "apps/v1/deployments/", "apps/v1/deployments/../../x", "apps/v1/deployments/Web"):
            done = self.mpsync("lock", "x", "--", "true", url=self.owned_by(owner))
            self.assertIn("is no lease_owner", done.stderr, owner)


class Priority(KubernetesCase):
    def test_requests_for_leases_go_with_elections(self):
        """The FlowSchema that is shipped applies, and the server puts the account's requests into it."""
        kustomization = os.path.join(self.folder, "kustomization.yaml")
        component = os.path.relpath(ROOT / "k8s/components/flow-schema", self.folder)
        with open(kustomization, "w", encoding="utf-8") as file:
            file.write(f"""
components: [{component}]
patches:
  - target: {{kind: FlowSchema, name: mpsync}}
    patch: '[{{"op": "replace", "path": "/spec/rules/0/subjects/0/serviceAccount",
             "value": {{"name": "app", "namespace": "{self.namespace}"}}}}]'
""")
        built = self.kubectl("kustomize", "--load-restrictor=LoadRestrictionsNone", self.folder)
        self.assertEqual((built.returncode, built.stderr), (0, ""))
        applied = self.kubectl("apply", "--validate=strict", "-f", "-", input=built.stdout)
        self.assertEqual((applied.returncode, applied.stderr), (0, ""), applied.stdout)
        schema = self.plane.request("GET", "/apis/flowcontrol.apiserver.k8s.io/v1/flowschemas/mpsync")
        token = self.account(rules=[LEASES_RULE])
        context = ssl.create_default_context(cafile=self.plane.certificates.ca)

        def schema_of_request():
            connection = http.client.HTTPSConnection("127.0.0.1", self.plane.port, context=context)
            connection.request("GET", f"{LEASES.format(self.namespace)}/x", headers={"Authorization": f"Bearer {token}"})
            try:
                return connection.getresponse().headers["X-Kubernetes-PF-FlowSchema-UID"]
            finally:
                connection.close()
        self.until(lambda: schema_of_request() == schema["metadata"]["uid"])
        self.assertEqual(schema["spec"]["priorityLevelConfiguration"]["name"], "leader-election")
