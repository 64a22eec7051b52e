"""Leases as other programs write them: any duration, any time, any count."""
import concurrent.futures
import http.client
import itertools
import json
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "integration"))
from control_plane import LEASES, KubernetesCase  # noqa: E402

LONG_S = (4000000, 4294967, 4294968, 31536000, 2147483647)


class Numbers(KubernetesCase):
    def write(self, name, **spec):
        self.plane.request("POST", LEASES.format(self.namespace), {"metadata": {"name": name}, "spec": spec})

    def holder_of(self, name):
        return self.lease(name)["spec"].get("holderIdentity")

    def test_a_lease_is_busy_for_as_long_as_it_says(self):
        """Seconds that 32 bits do not hold in milliseconds: neither taken at once nor free when they are over."""
        elector = self.elector(self.url)
        names = {f"x{number}": seconds for number, seconds in enumerate(LONG_S)}
        for name, seconds in names.items():
            self.write(name, holderIdentity="living", leaseDurationSeconds=seconds)

        def contend(name, url, wait):
            return name, self.mpsync("lock", "--wait", wait, name, "--", "true", url=url)
        # Longer than any of them lasts in 32 bits but is to be answered in, and all at once.
        with concurrent.futures.ThreadPoolExecutor() as pool:
            contenders = [pool.submit(contend, name, url, wait)
                          for name in names for url in (self.url, elector.url) for wait in ("0", "10s")]
        for name, done in (contender.result() for contender in contenders):
            self.assertEqual(done.returncode, 121, (names[name], done.stderr))
            self.assertEqual(self.holder_of(name), "living")
        listed = [json.loads(line) for line in self.mpsync("ls", "--json", url=elector.url, check=0).stdout.splitlines()]
        self.assertEqual([lock["spec"]["ttl"] for lock in listed], [f"{seconds}.000s" for seconds in LONG_S])

    def test_a_shorter_duration_is_a_change_as_well(self):
        """Whoever waits for a year hears that it is three seconds now."""
        self.write("x", holderIdentity="living", leaseDurationSeconds=LONG_S[-1])
        waiter = self.probe(self.url, ttl="3s")
        waiter.send("acquire x -1")
        waiter.expect("waiting x")
        self.patch("x", {"spec": {"leaseDurationSeconds": 3}})
        waiter.expect("held x")

    def test_numbers_without_a_successor_start_again(self):
        last = "9999-12-31T23:59:59.999999Z"
        self.write("free", leaseDurationSeconds=1, acquireTime=last, renewTime=last, leaseTransitions=2147483647)
        self.write("held", holderIdentity="gone", leaseDurationSeconds=1, acquireTime=last, renewTime=last,
                   leaseTransitions=2147483647)
        for name in ("free", "held"):
            holder = self.probe(self.url)
            holder.send(f"acquire {name} -1")
            holder.expect(f"held {name}")
            spec = self.lease(name)["spec"]
            self.assertEqual(spec["leaseTransitions"], 0)
            self.until(lambda name=name, spec=spec: self.lease(name)["spec"]["renewTime"] != spec["renewTime"])
            holder.send(f"release {name}")
            holder.expect(f"released {name}")

    def test_the_holder_of_such_a_lease_may_be_shown(self):
        self.write("x", holderIdentity="living", leaseDurationSeconds=LONG_S[-1], renewTime="9999-01-01T00:00:00.000000Z")
        for arguments in (["status", "x"], ["ls"]):
            done = self.mpsync(*arguments, url=self.url)
            self.assertIn("living", done.stdout + done.stderr)


class Many(KubernetesCase):
    def test_all_of_more_than_a_thousand_are_listed(self):
        """Pages of the server's and pages of the elector's: each name once."""
        connection = http.client.HTTPSConnection("127.0.0.1", self.plane.port, context=self.plane.context)
        self.addCleanup(connection.close)
        names = [f"n{i:04}" for i in range(1203)]
        for name in names:
            connection.request("POST", LEASES.format(self.namespace), json.dumps(
                {"metadata": {"name": name}, "spec": {"holderIdentity": "a", "leaseDurationSeconds": 15}}),
                {"Content-Type": "application/json"})
            connection.getresponse().read()
        elector = self.elector(self.url)
        for url in (self.url, elector.url):
            listed = self.mpsync("ls", "--json", url=url, check=0).stdout.splitlines()
            self.assertEqual([json.loads(line)["metadata"]["name"] for line in listed], names)


class Strangers(KubernetesCase):
    def test_leases_have_no_prefix(self):
        done = self.mpsync("lock", "x", "--", "true", url=f"{self.url}&prefix=app2/", check=125)
        self.assertIn("prefix", done.stderr)


class Refusals(KubernetesCase):
    """What the server says is told as it is: a hint at the Role where it is the Role."""

    def test_a_namespace_that_goes(self):
        self.plane.request("DELETE", f"/api/v1/namespaces/{self.namespace}")
        done = self.refused()
        self.assertEqual(done.returncode, 122, done.stderr)
        self.assertIn("terminated", done.stderr)
        self.assertNotIn("Role", done.stderr)

    def refused(self, name="x"):
        return self.mpsync("lock", "--wait", "0", name, "--", "true", url=self.url)

    def test_a_policy_of_the_cluster(self):
        """A validating admission policy denies with 422: nothing that the program did wrong."""
        path = "/apis/admissionregistration.k8s.io/v1"
        name = f"no-leases-{self.namespace}"
        self.plane.request("POST", f"{path}/validatingadmissionpolicies", {"metadata": {"name": name}, "spec": {
            "failurePolicy": "Fail", "validations": [{"expression": "false", "message": "not on a Sunday"}],
            "matchConstraints": {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": self.namespace}},
                                 "resourceRules": [{"apiGroups": ["coordination.k8s.io"], "apiVersions": ["v1"],
                                                    "operations": ["*"], "resources": ["leases"]}]}}})
        self.plane.request("POST", f"{path}/validatingadmissionpolicybindings", {"metadata": {"name": name}, "spec": {
            "policyName": name, "validationActions": ["Deny"]}})
        # It comes into force a moment later: each try is for a name of its own.
        tries = itertools.count()
        self.until(lambda: self.refused(f"try-{next(tries)}").returncode != 0)
        done = self.refused()
        self.assertEqual(done.returncode, 122, done.stderr)
        self.assertIn("not on a Sunday", done.stderr)
        self.assertNotIn("Role", done.stderr)
