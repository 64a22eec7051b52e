"""Roles that lack a verb: what is said, how soon, and what is left behind."""
import json
import os
import pathlib
import re
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "integration"))
from control_plane import KubernetesCase  # noqa: E402
from support import MPSYNC, PATIENCE_S  # noqa: E402

VERBS = ["get", "list", "watch", "create", "patch", "delete"]
# What each command ends with where the verb is missing, and what it says; without an entry it works in silence.
MISSING = {
    "try": {"get": (122, "cannot get resource"), "create": (122, "cannot create resource"),
            "patch": (0, "x cannot be released, and stays held until its ttl is over: .* cannot patch resource"),
            "delete": (0, "free Leases of locks stay behind: .* cannot delete resource")},
    "wait": {"get": (122, "cannot get resource"), "watch": (122, "cannot watch resource"),
             "patch": (122, "cannot patch resource")},
    "elect": {"get": (122, "cannot get resource"), "create": (122, "cannot create resource"),
              "patch": (0, "y cannot be released, and stays held until its ttl is over: .* cannot patch resource")},
    "status": {"get": (122, "cannot get resource")},
    "ls": {"list": (122, "cannot list resource")},
    "release": {"get": (122, "cannot get resource"), "patch": (122, "cannot patch resource")},
}
COMMANDS = {
    "try": ["lock", "--wait", "0", "x", "--", "true"],
    "wait": ["lock", "--wait", "1h", "held", "--", "true"],
    "elect": ["elect", "--once", "--wait", "1h", "y", "--", "true"],
    "status": ["status", "held"],
    "ls": ["ls"],
    "release": ["release", "--force", "forced"],
}
WORKS = {"wait": 121}


def leases(verbs):
    return {"apiGroups": ["coordination.k8s.io"], "resources": ["leases"], "verbs": verbs}


class Verbs(KubernetesCase):
    def hold(self, name):
        holder = self.probe(self.url)
        holder.send(f"acquire {name} -1")
        holder.expect(f"held {name}")
        return holder

    def url_of(self, rules):
        token = self.account(rules=rules)
        return f"kubernetes:?kubeconfig={self.plane.kubeconfig(f'{self.folder}/k', {'token': token}, self.namespace)}"

    def without(self, verb):
        return self.url_of([leases([other for other in VERBS if other != verb])])

    def until_line(self, process, words):
        while words not in process.line():
            pass

    def test_each_command_without_each_verb(self):
        self.hold("held")
        for verb in VERBS:
            url = self.without(verb)
            for command, arguments in COMMANDS.items():
                with self.subTest(verb=verb, command=command):
                    if command == "release":
                        self.delete("forced")
                        self.hold("forced")
                    code, words = MISSING[command].get(verb, (WORKS.get(command, 0), None))
                    # Who is not refused waits for as long as it is told to: long enough to be answered.
                    arguments = ["5s" if words is None and command == "wait" and word == "1h" else word for word in arguments]
                    # Nobody waits for a right to run out, or for a verb to be granted.
                    done = self.mpsync(*arguments, url=f"{url}&ttl=1h", check=code)
                    self.assertRegex(done.stderr, words or r"\A(mpsync: held is held by .*\n)*\Z")
            self.left_behind(verb)

    def left_behind(self, verb):
        lock, election = self.lease("x"), self.lease("y")
        self.assertEqual((lock is not None, election is not None),
                         (verb in ("patch", "delete"), verb not in ("get", "create")), verb)
        for lease in filter(None, (lock, election)):
            self.assertEqual("holderIdentity" in lease["spec"], verb == "patch")
            self.delete(lease["metadata"]["name"])

    def test_a_role_of_one_name_is_enough_for_it(self):
        """Taken again and again, also from another: its Lease is deleted and made meanwhile."""
        url = self.url_of([{**leases(VERBS), "resourceNames": ["x"]}, leases(["create"])])
        for _ in range(2):
            self.mpsync("lock", "x", "--", "true", url=url, check=0)
        holder, waiter = self.probe(self.url), self.probe(url)
        holder.send("acquire x -1")
        holder.expect("held x")
        self.mpsync("status", "x", url=url, check=0)
        waiter.send("acquire x -1")
        waiter.expect("waiting x")
        holder.send("release x")
        waiter.expect("held x")
        waiter.send("release x")
        waiter.expect("released x")
        self.assertIn("cannot get resource", self.mpsync("lock", "y", "--", "true", url=url, check=122).stderr)

    def test_what_cannot_be_renewed_is_said_before_it_is_lost(self):
        done = self.mpsync("lock", "x", "--", "sleep", "600", url=f"{self.without('patch')}&ttl=15s", check=120)
        self.assertRegex(done.stderr, r"\Ampsync: x cannot be renewed: .* cannot patch resource .*\n"
                                      r"mpsync: x is being lost: .* cannot patch resource .*needed; the command is stopped\n\Z")

    def test_a_wait_without_an_end_asks_and_says_so_where_it_may_not_watch(self):
        holder = self.hold("held")
        waiter = self.start(["sh", "-c", f"{MPSYNC} lock held -- echo taken 2>&1"],
                            {"MPSYNC_URL": self.without("watch"), "MPSYNC_TTL": "15s"})
        self.until_line(waiter, "cannot watch resource")
        holder.send("release held")
        self.until_line(waiter, "taken")

    def test_an_observer_that_may_not_watch_is_told_once_and_asks(self):
        holder = self.hold("held")
        observer = self.start(["sh", "-c", f"exec {MPSYNC} watch held 2>&1"], {"MPSYNC_URL": self.without("watch")})
        told = [observer.line(), observer.line()]
        self.assertEqual(sum("cannot watch resource" in line for line in told), 1, told)
        self.assertEqual(sum(line.split()[1] == "held" for line in told), 1, told)
        holder.send("release held")
        self.assertEqual(observer.line().split()[1:3], ["held", "-"])

    def test_a_verb_that_is_granted_by_and_by_is_used(self):
        holder = self.hold("held")
        waiter = self.start(["sh", "-c", f"{MPSYNC} lock held -- echo taken 2>&1"], {"MPSYNC_URL": self.without("watch")})
        self.until_line(waiter, "cannot watch resource")
        self.account(rules=[leases(VERBS)])
        self.until(lambda: "metaparticle.io/next" in self.lease("held")["metadata"]["annotations"])
        holder.send("release held")
        self.until_line(waiter, "taken")

    def permitted(self, rules):
        """From now on; what was granted before is taken away."""
        self.account(rules=rules)

    def test_a_campaign_that_has_led_goes_on_where_it_may_not(self):
        """The Role is applied anew, for instance: its leader has lost, and leads again."""
        url = f"{self.url_of([leases(VERBS)])}&ttl=3s"
        candidate = self.start(["sh", "-c", f"{MPSYNC} elect y -- sh -c 'echo leads; exec sleep 600' 2>&1"],
                               {"MPSYNC_URL": url})
        self.until_line(candidate, "leads")
        self.permitted([])
        self.until_line(candidate, "cannot get resource")
        self.permitted([leases(VERBS)])
        self.until_line(candidate, "leads")

    def test_a_wait_that_was_answered_before_goes_on_where_it_may_not(self):
        holder = self.hold("held")
        waiter = self.start(["sh", "-c", f"{MPSYNC} lock held -- echo taken 2>&1"],
                            {"MPSYNC_URL": f"{self.url_of([leases(VERBS)])}&ttl=3s"})
        self.until_line(waiter, "is held by")
        self.permitted([])
        holder.send("release held")
        self.until_line(waiter, "cannot get resource")
        self.permitted([leases(VERBS)])
        self.until_line(waiter, "taken")

    def test_a_waiter_that_is_refused_is_told_though_others_are_renewed(self):
        """By the same client, whose server answers well all the time."""
        names = [f"own-{number}" for number in range(12)]
        holder, client = self.hold("held"), self.probe(self.url_of([leases(VERBS)]))
        for name in names:
            client.send(f"acquire {name} -1")
            client.expect(f"held {name}")
        client.send("acquire held -1")
        client.expect("waiting held")
        self.permitted([{**leases(VERBS), "resourceNames": names}, leases(["list", "watch", "create"])])
        holder.send("release held")
        while not ((line := client.line()).startswith("log ") and " \"held\" is forbidden" in line):
            self.assertFalse(line.startswith("lost"), line)

    def test_a_candidate_that_never_led_is_told_and_ends(self):
        done = self.mpsync("elect", "y", "--", "true", url=self.url_of([]), check=122)
        self.assertIn("cannot get resource", done.stderr)

    def test_a_quota_is_no_matter_of_the_role(self):
        """Its controller would count; here its use is written by hand."""
        path = f"/api/v1/namespaces/{self.namespace}/resourcequotas"
        hard = {"count/leases.coordination.k8s.io": "0"}
        self.plane.request("POST", path, {"metadata": {"name": "none"}, "spec": {"hard": hard}})
        self.plane.request("PATCH", f"{path}/none/status", {"status": {"hard": hard, "used": dict.fromkeys(hard, "0")}})
        said = []

        def refused():
            said.append(self.mpsync("lock", "--wait", "0", "x", "--", "true", url=self.url))
            return "exceeded quota" in said[-1].stderr
        self.until(refused)
        self.assertEqual(said[-1].returncode, 122)
        self.assertNotIn("Role", said[-1].stderr)

    def test_a_pod_that_may_neither_be_labelled_nor_told_of(self):
        self.plane.request("POST", f"/api/v1/namespaces/{self.namespace}/pods", {
            "metadata": {"name": "one"}, "spec": {"containers": [{"name": "a", "image": "a"}]}})
        done = subprocess.run(
            [MPSYNC, "elect", "--once", "z", "--", "true"], capture_output=True, text=True, timeout=PATIENCE_S, check=True,
            env={**os.environ, "MPSYNC_URL": self.url_of([leases(VERBS)]), "POD_NAME": "one",
                 "MPSYNC_LABEL_LEADER": "yes", "MPSYNC_LEADER_EVENTS": "yes"})
        self.assertRegex(done.stderr, 'the label .* cannot patch resource "pods"')
        self.assertEqual(len(re.findall('no Event tells who leads: .* cannot create resource "events"', done.stderr)), 1)


class Plugins(KubernetesCase):
    def test_a_plugin_that_fails_ends_with_its_own_code(self):
        """Its output ends before itself, while the command waits for children of its own."""
        plugin = pathlib.Path(self.folder, "plugin")
        plugin.write_text("#!/bin/sh\nexec >&-\nsleep 0.2\nexit 3\n")
        plugin.chmod(0o755)
        config = self.plane.kubeconfig(f"{self.folder}/k", {"exec": {
            "apiVersion": "client.authentication.k8s.io/v1", "command": "./plugin", "interactiveMode": "Never"}}, self.namespace)
        for command in ("lock", "elect"):
            done = self.mpsync(command, "x", "--", "true", url=f"kubernetes:?kubeconfig={config}", check=122)
            self.assertIn("exit code 3", done.stderr)

    def test_a_plugin_that_runs_is_none_of_the_commands_processes(self):
        """The end of the command waits neither for a plugin nor ends it: the release needs what it brings."""
        plugin = pathlib.Path(self.folder, "plugin")
        calls = pathlib.Path(self.folder, "calls")
        credential = {"apiVersion": "client.authentication.k8s.io/v1", "kind": "ExecCredential", "status": {
            "token": self.account(rules=[leases(VERBS)]), "expirationTimestamp": "2020-01-01T00:00:00Z"}}
        plugin.write_text(f"#!/bin/sh\necho begun >> {calls}\nsleep 1\necho ended >> {calls}\necho '{json.dumps(credential)}'\n")
        plugin.chmod(0o755)
        config = self.plane.kubeconfig(f"{self.folder}/k", {"exec": {
            "apiVersion": "client.authentication.k8s.io/v1", "command": "./plugin", "interactiveMode": "Never"}}, self.namespace)
        # The second call of the plugin is that of the first renewal.
        script = f"until [ $(grep -c begun {calls}) -gt $(grep -c ended {calls}) ]; do sleep 0.05; done"
        self.mpsync("lock", "--kill-all", "x", "--", "sh", "-c", script, check=0,
                    url=f"kubernetes:?kubeconfig={config}&ttl=30s")
        self.assertIsNone(self.lease("x"))
