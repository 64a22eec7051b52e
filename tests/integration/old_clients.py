"""What callers of the old wire keep while their electors are restarted and replaced, on every store."""
import signal
import subprocess

from support import MPSYNC, free_port


class OldClients:
    """Mixed into a Case of a store, whose `url` it is. They name no holder, and look at the status alone."""

    def elector_at(self, port, environment):
        elector = self.start([MPSYNC, "elector", "--store", self.url, "--listen", f"127.0.0.1:{port}"], environment,
                             stderr=subprocess.DEVNULL)
        self.until(lambda: self.http(port, "GET", "/healthz")[0] == 200)
        return elector

    def old_put(self, port, name="old/a", method="PUT"):
        return self.http(port, method, f"/locks/{name}")[0]

    def assert_others_are_refused(self, port):
        body = {"holder": "other", "claim": "f" * 32, "ttl": "3s"}
        answers = []

        def is_certain():
            answers.append(self.http(port, "PUT", "/locks/old/a", body)[0])
            return answers[-1] != 503

        self.until(is_certain)
        self.assertEqual(answers[-1], 409)

    def replace(self, environments, how):
        """The same address, one elector after another; somebody else's stands by all the time."""
        port = free_port()
        other = free_port()
        self.elector_at(other, {"HOME": f"{self.folder}/other"})
        elector = self.elector_at(port, environments[0])
        self.assertEqual(self.old_put(port), 200)
        for environment in environments[1:]:
            elector.signal(how)
            elector.child.wait()
            self.assert_others_are_refused(other)
            elector = self.elector_at(port, environment)
            self.assertEqual(self.old_put(port, method="POST"), 409)
            self.assertEqual(self.old_put(port), 200)
            self.assert_others_are_refused(other)
            self.assertEqual(self.old_put(other), 409)

    def test_old_clients_keep_what_they_have_when_their_elector_is_killed(self):
        self.replace([{"HOME": self.folder}] * 3, signal.SIGKILL)

    def test_old_clients_keep_what_they_have_when_their_elector_is_stopped(self):
        self.replace([{"HOME": self.folder, "POD_UID": "pod-1"}] * 3, signal.SIGTERM)

    def test_old_clients_keep_what_they_have_while_two_electors_of_a_pod_overlap(self):
        ports = [free_port(), free_port()]
        environment = {"HOME": self.folder, "POD_UID": "pod-1"}
        electors = [self.elector_at(ports[0], environment), None]
        self.assertEqual(self.old_put(ports[0]), 200)
        for turn in range(4):
            after, before = (turn + 1) % 2, turn % 2
            electors[after] = self.elector_at(ports[after], environment)
            for port in (ports[after], ports[before], ports[after]):
                self.assertEqual(self.old_put(port), 200)
            electors[before].end()
            self.assertEqual(self.old_put(ports[after]), 200)
