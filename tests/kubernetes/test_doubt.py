"""What is not known: a write without an answer, and a credential plugin that does not answer."""
import os
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "integration"))
from support import MPSYNC  # noqa: E402
from test_outages import OutageCase  # noqa: E402


class Late(OutageCase):
    def url_where_creating_takes(self, seconds, ttl="30s"):
        return f"{self.relay(lambda *_: None, lambda method, _: seconds if method == 'POST' else 0)}&ttl={ttl}"

    def test_a_commands_try_waits_for_half_a_ttl(self):
        """A write of more than a third of the ttl, after which others give up."""
        url = self.url_where_creating_takes(21, ttl="60s")
        done = self.mpsync("lock", "--wait", "0", "x", "--", "echo", "taken", url=url, check=0)
        self.assertEqual(done.stdout, "taken\n")

    def test_what_a_command_wrote_is_taken_back_within_one_request_more(self):
        done = self.mpsync("lock", "--wait", "0", "x", "--", "echo", "taken", url=self.url_where_creating_takes(20), check=122)
        self.assertIn("does not answer", done.stderr)
        self.assertNotIn("may stay held", done.stderr)
        self.assertEqual(done.stdout, "")
        self.assertIn(("POST", 201), self.answered)
        self.assertIsNone(self.lease("x"))

    def test_what_a_command_could_not_wait_for_is_said(self):
        done = self.mpsync("lock", "--wait", "0", "x", "--", "true", url=self.url_where_creating_takes(90), check=122)
        self.assertIn("does not answer", done.stderr)
        self.assertIn("x may stay held by nobody for 30 s", done.stderr)
        self.assertNotIn(("POST", 201), self.answered)


class SlowPlugin(OutageCase):
    def url_with_plugin(self, script):
        plugin = pathlib.Path(self.folder, "plugin")
        plugin.write_text(f"#!/bin/sh\n{script}\n")
        os.chmod(plugin, 0o755)
        config = self.plane.kubeconfig(f"{self.folder}/k", {"exec": {
            "apiVersion": "client.authentication.k8s.io/v1", "command": "./plugin", "interactiveMode": "Never"}}, self.namespace)
        return f"kubernetes:?kubeconfig={config}&ttl=6s"

    def test_it_is_named_by_whoever_waits_for_it(self):
        url = self.url_with_plugin("exec sleep 600")
        done = self.mpsync("lock", "--wait", "0", "x", "--", "true", url=url, check=122)
        self.assertIn("the credential plugin ./plugin does not answer", done.stderr)
        waiting = self.start(["sh", "-c", 'exec "$0" lock x -- true 2>&1', MPSYNC], {"MPSYNC_URL": url})
        self.assertIn("the credential plugin ./plugin does not answer", waiting.line())
