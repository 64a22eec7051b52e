"""What an API server, and the way to it, may do to those who hold and wait, and what may not come of it."""
import http.server
import pathlib
import sys
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "integration"))
from control_plane import KubernetesCase  # noqa: E402
from promises import Deafness  # noqa: E402
from relays import Wire  # noqa: E402
from support import MPSYNC  # noqa: E402
from test_kubernetes import Relay  # noqa: E402


class Noted(Relay):
    """Keeps what the API server answered to each kind of request."""

    def stream(self, answer):
        self.server.answered.append((self.command, answer.status))
        super().stream(answer)

    do_GET = do_POST = do_PATCH = do_DELETE = Relay.pass_on


class OutageCase(KubernetesCase):
    def wire(self):
        wire = Wire(self.plane.port)
        self.addCleanup(wire.close)
        return wire

    def url_over(self, wire, **more):
        certificate, key = self.plane.admin_pair
        path = self.plane.kubeconfig(
            f"{self.folder}/wire-{wire.port}", {"client-certificate": certificate, "client-key": key},
            self.namespace, {"server": f"https://127.0.0.1:{wire.port}",
                             "certificate-authority": self.plane.certificates.ca, **more})
        return f"kubernetes:?kubeconfig={path}"

    def relay(self, fault, pause=lambda method, path: 0):
        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Noted)
        server.daemon_threads = True
        server.answered = self.answered = []

        def paused(method, path):
            time.sleep(pause(method, path))
            return fault(method, path)
        server.plane, server.fault = self.plane, paused
        threading.Thread(target=server.serve_forever, daemon=True).start()
        self.addCleanup(server.server_close)
        self.addCleanup(server.shutdown)
        path = self.plane.kubeconfig(f"{self.folder}/relay", {}, self.namespace, {
            "server": f"http://127.0.0.1:{server.server_port}"})
        return f"kubernetes:?kubeconfig={path}"

    def hold(self, url, name, ttl):
        holder = self.probe(url, ttl=ttl)
        holder.send(f"acquire {name} -1")
        holder.expect(f"held {name}")
        return holder

    def assert_held(self, holder, name):
        holder.send(f"held {name}")
        self.assertEqual(holder.expect("is_held", "lost"), f"is_held {name} 1")


class HalfATtl(OutageCase):
    def test_an_outage_of_half_a_ttl_loses_nothing(self):
        """Whatever its kind, and at whatever moment between two renewals it begins."""
        kinds = [(self.wire(), break_it) for break_it in (Wire.refuse, Wire.silence, Wire.deafen)]
        holders, commands = [], []
        for number, (wire, _) in enumerate(kinds):
            url = self.url_over(wire)
            for phase in range(3):
                holders.append((self.hold(url, f"x{number}-{phase}", "1m"), f"x{number}-{phase}"))
            command = self.start([MPSYNC, "lock", "--ttl", "1m", "--grace", "400ms", f"c{number}", "--",
                                  "sh", "-c", "echo started; exec sleep 600"], {"MPSYNC_URL": url})
            command.expect("started")
            commands.append(command)
        for wire, break_it in kinds:
            break_it(wire)
        time.sleep(29.5)
        for wire, _ in kinds:
            wire.restore()
        names = [name for _, name in holders] + [f"c{number}" for number in range(len(kinds))]
        before = {name: self.lease(name)["spec"]["renewTime"] for name in names}
        # They go on because they were renewed behind the outage.
        for name in names:
            self.until(lambda name=name: self.lease(name)["spec"]["renewTime"] != before[name])
        for holder, name in holders:
            self.assert_held(holder, name)
        for command in commands:
            self.assertIsNone(command.child.poll())


class Silence(OutageCase):
    """A server that is stopped, and not dead."""

    def silent_url(self):
        wire = self.wire()
        wire.silence()
        return self.url_over(wire)

    def test_a_try_and_a_short_wait_end_with_does_not_answer(self):
        url = self.silent_url()
        for wait in ("0", "1s"):
            done = self.mpsync("lock", "--ttl", "6s", "--wait", wait, "x", "--", "true", url=url, check=122)
            self.assertIn("does not answer", done.stderr)

    def test_a_try_behind_one_that_waits_does_not_take_silence_for_a_holder(self):
        """At one elector, whose server does not answer either of them."""
        config = self.plane.kubeconfig(f"{self.folder}/nowhere", {}, self.namespace, {"server": "https://127.0.0.1:1"})
        elector = self.elector(f"kubernetes:?kubeconfig={config}")
        waiter = self.probe(elector.url)
        waiter.send("acquire x -1")
        waiter.expect("waiting x")
        self.until(lambda: self.mpsync("lock", "--wait", "0", "x", "--", "true", url=elector.url).returncode == 122)

    def test_a_try_behind_a_claim_that_leaves_ends_too(self):
        client = self.probe(self.silent_url(), ttl="6s")
        client.send("acquire x -1")
        client.send("cancel x")
        client.expect("cancelled x")
        client.send("acquire x 0")
        self.assertIn("does not answer", client.expect("failed x"))

    def test_whoever_waits_is_told_once_and_what_to_do(self):
        """Where nobody listens, and where there is no such host."""
        waiting = []
        for server in ("https://127.0.0.1:1", "https://no.such.host.invalid"):
            config = self.plane.kubeconfig(f"{self.folder}/nowhere-{len(waiting)}", {}, self.namespace, {"server": server})
            url = f"kubernetes:?kubeconfig={config}"
            for command in (["lock", "x", "--", "true"], ["elect", "x", "--", "true"], ["watch", "x"], ["ls", "--watch"],
                            ["lock", "--wait", "1h", "x", "--", "true"], ["elector", "--listen", f"{self.folder}/{server[8:10]}", "--store", url]):
                environment = {"MPSYNC_URL": url, "XDG_STATE_HOME": f"{self.folder}/state-{len(waiting)}"}
                waiting.append((self.start(["sh", "-c", 'exec "$0" "$@" 2>&1', MPSYNC, *command], environment), server))
        for process, server in waiting:
            line = process.line()
            while "does not answer" not in line:
                line = process.line()
            self.assertIn(f"the API server {server} does not answer", line)
            self.assertIn("check the server that", line)
            self.assertIn("/nowhere", line)
        time.sleep(2)
        for process, _ in waiting:
            self.assertTrue(process.lines.empty(), process.child.args)


class DeafServer(Deafness, OutageCase):
    holders_ttl = "15s"  # what tells of the silence are renewals that do not come

    def test_observers_notice(self):
        wire = self.wire()
        self.observers_notice(wire, self.url_over(wire), self.url)

    def test_waiters_notice(self):
        wire = self.wire()
        holder = self.hold(self.url, "x", "15s")
        waiter = self.probe(self.url_over(wire), ttl="6s")
        waiter.send("acquire x -1")
        waiter.expect("waiting x")
        wire.deafen()
        holder.send("release x")
        holder.expect("released x")
        waiter.expect("held x")

    def test_an_observer_whose_first_answer_is_trouble(self):
        told = []

        def fault(method, path):
            if method != "GET" or told:
                return None
            told.append(path)
            return 503, {}, '{"message":"not now"}'
        watch = self.start([MPSYNC, "watch", "--json", "x"], {"MPSYNC_URL": self.relay(fault)})
        self.until(lambda: told)
        self.hold(self.url, "x", "15s")
        while '"owner":""' in watch.line():
            pass


class Slow(OutageCase):
    """Writes that take as long as a policy engine that hangs makes them."""

    def renewed(self, times):
        versions = set()

        def seen():
            versions.add((self.lease("x") or {"spec": {}})["spec"].get("renewTime"))
            return len(versions - {None}) > times
        self.until(seen)

    def test_writes_of_seven_seconds_are_acquired_and_kept(self):
        holder = self.hold(self.relay(lambda *_: None, lambda method, _: 0 if method == "GET" else 7), "x", "30s")
        self.renewed(3)
        self.assert_held(holder, "x")

    def test_a_renewal_that_is_told_to_wait_for_long_does_not(self):
        """API Priority and Fairness names up to 16 s, and a gateway an hour."""
        told = []

        def fault(method, _):
            if method != "PATCH" or len(told) > 1:
                return None
            told.append(method)
            return 429, {"Retry-After": "3600"}, '{"message":"slow down"}'
        holder = self.hold(self.relay(fault), "x", "15s")
        self.until(lambda: len(told) == 2)
        self.renewed(3)
        self.assert_held(holder, "x")

    def test_a_date_in_the_past_is_no_time_to_wait(self):
        told = []

        def fault(method, _):
            if method != "POST" or told:
                return None
            told.append(method)
            return 503, {"Retry-After": "Wed, 21 Oct 2015 07:28:00 GMT"}, '{"message":"later"}'
        self.hold(self.relay(fault), "x", "15s")
        self.assertTrue(told)

    def test_what_a_try_wrote_late_is_taken_back(self):
        """The grant lands when nobody wants it any more."""
        landed = []

        def pause(method, _):
            if method == "POST" and not landed:
                landed.append(method)
                return 20
            return 0
        client = self.probe(self.relay(lambda *_: None, pause), ttl="30s")
        client.send("acquire x 0")
        client.expect("failed x")
        self.until(lambda: ("POST", 201) in self.answered)
        self.until(lambda: self.lease("x") is None)
