"""Leases that are too large or too strange for anybody, and API servers that hardly are some."""
import contextlib
import http.server
import json
import pathlib
import re
import ssl
import subprocess
import sys
import threading

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "integration"))
from control_plane import LEASES, KubernetesCase  # noqa: E402
from support import MPSYNC, PATIENCE_S, free_port  # noqa: E402
from test_kubernetes import Relay  # noqa: E402

MEGABYTE = 1 << 20
LIMIT_KB = 64 * 1024  # of the sidecar


def held_by_another(holder="living", **metadata):
    return {"metadata": {"name": "x", **metadata}, "spec": {"holderIdentity": holder, "leaseDurationSeconds": 3600}}


class BadInputCase(KubernetesCase):
    def create(self, lease):
        return self.plane.request("POST", LEASES.format(self.namespace), lease)

    def hold(self, url, name="x", ttl="15s"):
        holder = self.probe(url, ttl=ttl)
        holder.send(f"acquire {name} -1")
        holder.expect(f"held {name}")
        return holder

    def assert_renews(self, holder, name="x"):
        """Twice more, from now on."""
        for _ in range(2):
            before = self.lease(name)["spec"]["renewTime"]
            self.until(lambda before=before: self.lease(name)["spec"]["renewTime"] != before)
        holder.send(f"held {name}")
        self.assertEqual(holder.expect("is_held", "lost"), f"is_held {name} 1")

    def watching_elector(self, url):
        """Its port and process, with what it says in a file."""
        port = free_port()
        with open(f"{self.folder}/log", "w", encoding="utf-8") as log:
            process = self.start([MPSYNC, "elector", "--store", url, "--listen", f"127.0.0.1:{port}"], stderr=log)
        self.until(lambda: self.http(port, "GET", "/healthz")[0] == 200)
        return port, process

    def assert_small(self, process):
        """At no time did it need more than its container has; sanitizers keep what is freed."""
        folder = pathlib.Path(f"/proc/{process.child.pid}")
        if not re.search(r"lib(a|t)san", (folder / "maps").read_text()):
            peak = int(re.search(r"VmHWM:\s+(\d+)", (folder / "status").read_text())[1])
            self.assertLess(peak, LIMIT_KB)


class Large(BadInputCase):
    def assert_busy(self, holder):
        elector = self.elector(self.url)
        for url in (self.url, elector.url):
            done = self.mpsync("lock", "--wait", "0", "x", "--", "true", url=url, check=121)
            self.assertIn(f"held by {holder[:200]}", done.stderr)
            for arguments in (["status", "--json", "x"], ["ls", "--json"]):
                shown = json.loads(self.mpsync(*arguments, url=url, check=0).stdout)
                self.assertEqual(shown["spec"]["owner"], holder)

    def test_a_holder_of_any_length(self):
        for length in (253, 10000, MEGABYTE):
            self.create(held_by_another("a" * length))
            self.assert_busy("a" * length)
            self.delete("x")

    def test_a_lease_of_ten_thousand_annotations(self):
        """All that the server lets through: they are of a quarter of a megabyte together."""
        self.create(held_by_another(annotations={f"a{number}": "x" * 15 for number in range(10000)}))
        self.assert_busy("living")

    def test_a_lease_of_a_megabyte(self):
        self.create(held_by_another(labels={f"a{number}": "x" * 60 for number in range(15000)}))
        self.assert_busy("living")

    def test_one_that_grows_under_its_holder_is_kept(self):
        holder = self.hold(self.url)
        waiter = self.probe(self.url)
        waiter.send("acquire x -1")
        waiter.expect("waiting x")
        self.patch("x", {"metadata": {"labels": {f"a{label}": "x" * 60 for label in range(7500)}}})
        self.assert_renews(holder)
        holder.send("release x")
        holder.expect("released x")
        waiter.expect("held x")

    def test_thirty_of_a_megabyte_leave_room(self):
        """A page of them would be longer than the memory of a sidecar."""
        for number in range(30):
            self.create({"metadata": {"name": f"large-{number:02}"},
                         "spec": {"holderIdentity": f"a{number}" + "a" * MEGABYTE, "leaseDurationSeconds": 3600}})
        port, elector = self.watching_elector(self.url)
        url = f"http://127.0.0.1:{port}"
        done = self.mpsync("lock", "x", "--", "echo", "taken", url=url, check=0)
        self.assertEqual(done.stdout, "taken\n")
        self.assertEqual(len(self.mpsync("ls", url=self.url, check=0).stdout.splitlines()), 31)
        self.assert_small(elector)


class Strange(BadInputCase):
    def test_a_name_leaves_its_namespace_alone(self):
        """However it is spelt, it is a Lease of the namespace that the URL says."""
        other = f"{self.namespace}-other"
        self.plane.request("POST", "/api/v1/namespaces", {"metadata": {"name": other}})
        self.plane.request("POST", LEASES.format(other), held_by_another())
        before = self.plane.request("GET", f"{LEASES.format(other)}/x")
        for name in (f"{other}/x", f"../../{other}/leases/x", f"..%2F..%2F{other}%2Fleases%2Fx", f"x?namespace={other}", "..", "x/"):
            holder = self.hold(self.url, name)
            names = [item["metadata"]["annotations"]["metaparticle.io/name"]
                     for item in self.plane.request("GET", LEASES.format(self.namespace))["items"]]
            self.assertEqual(names, [name])
            holder.send(f"release {name}")
            holder.expect(f"released {name}")
            self.until(lambda: not self.plane.request("GET", LEASES.format(self.namespace))["items"])
        self.assertEqual(self.plane.request("GET", f"{LEASES.format(other)}/x"), before)

    def test_a_copy_of_a_lease_is_not_the_lease(self):
        """Somebody saves "A_b" under another name that looks like one of ours: it says nothing of "A_b"."""
        holder = self.hold(self.url, "A_b")
        lease = self.plane.request("GET", LEASES.format(self.namespace))["items"][0]
        names = ["A_b"] + [f"other-{number}" for number in range(5)]
        waiter = self.probe(self.url)
        for name in names[1:]:
            self.create({**held_by_another(), "metadata": {"name": name}})
        for name in names:  # so many that the namespace is watched as a whole
            waiter.send(f"acquire {name} -1")
            waiter.expect(f"waiting {name}")
        copy = {"metadata": {"name": "mpsync-copy", "annotations": lease["metadata"]["annotations"]},
                "spec": {"leaseDurationSeconds": 1, "leaseTransitions": 7}}
        self.create(copy)
        listed = [json.loads(line)["metadata"]["name"]
                  for line in self.mpsync("ls", "--json", url=self.url, check=0).stdout.splitlines()]
        self.assertEqual(listed.count("A_b"), 1)
        self.patch("mpsync-copy", {"spec": {"holderIdentity": "somebody"}})
        listed = [json.loads(line)["metadata"]["name"]
                  for line in self.mpsync("ls", "--json", url=self.url, check=0).stdout.splitlines()]
        self.assertEqual(listed.count("A_b"), 1)
        holder.send("release A_b")
        holder.expect("released A_b")
        waiter.expect("held A_b")


class Closing(Relay):
    """HTTP/1.1 and no other, a connection for each answer."""

    def answer_one(self):
        self.close_connection = True
        self.pass_on()

    def send_response(self, code, message=None):
        super().send_response(code, message)
        if self.server.closes:
            self.send_header("Connection", "close")
            self.close_connection = True

    do_GET = do_POST = do_PATCH = do_DELETE = Relay.pass_on


class Flooding(Relay):
    """300 MB of JSON for each answer of a kind."""

    def pass_on(self):
        if not self.server.floods(self.command, self.path):
            Relay.pass_on(self)
            return
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(300 * MEGABYTE))
        self.end_headers()
        self.close_connection = True
        with contextlib.suppress(OSError):
            self.wfile.write(b'{"metadata":{"resourceVersion":"1","name":"')
            for _ in range(300):
                self.wfile.write(b"a" * MEGABYTE)

    do_GET = do_POST = do_PATCH = do_DELETE = pass_on


class OddServers(BadInputCase):
    def serve(self, handler, **how):
        """With TLS that offers HTTP/1.1 alone, as its own answers are."""
        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
        server.daemon_threads = True
        server.plane, server.fault = self.plane, lambda *_: None
        for name, value in how.items():
            setattr(server, name, value)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*self.plane.server_pair)
        context.set_alpn_protocols(["http/1.1"])
        server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        self.addCleanup(server.server_close)
        self.addCleanup(server.shutdown)
        path = self.plane.kubeconfig(f"{self.folder}/{server.server_port}", {}, self.namespace, {
            "server": f"https://127.0.0.1:{server.server_port}", "certificate-authority": self.plane.certificates.ca})
        return f"kubernetes:?kubeconfig={path}"

    def test_http_1_alone_and_connections_that_are_closed(self):
        for closes in (False, True):
            url = self.serve(Closing, closes=closes)
            holder, waiter = self.hold(url), self.probe(url)
            waiter.send("acquire x -1")
            waiter.expect("waiting x")
            self.assert_renews(holder)
            holder.send("release x")
            holder.expect("released x")
            waiter.expect("held x")
            self.assertEqual(len(self.mpsync("ls", url=url, check=0).stdout.splitlines()), 2)
            waiter.send("release x")
            waiter.expect("released x")

    def test_three_hundred_megabytes(self):
        """Whatever is asked for: an error that says so, and memory as ever."""
        def named(part, method="GET"):
            return lambda asked, path: asked == method and part in path
        cases = ((["lock", "--wait", "0", "x", "--", "true"], named("/leases/x"), 122),
                 (["status", "x"], named("/leases/x"), 122), (["ls"], named("limit="), 122),
                 (["lock", "--wait", "0", "x", "--", "true"], named("/leases", "POST"), 122))
        for arguments, floods, code in cases:
            with self.subTest(arguments=arguments):
                done = subprocess.run(
                    ["sh", "-c", 'ulimit -v 600000 && exec "$0" "$@"', MPSYNC, *arguments], capture_output=True, text=True,
                    env={"PATH": "/bin:/usr/bin", "MPSYNC_URL": self.serve(Flooding, floods=floods) + "&ttl=2m"}, timeout=PATIENCE_S, check=False)
                self.assertEqual(done.returncode, code, done.stderr)
                self.assertIn("too long", done.stderr)

    def test_an_elector_beside_three_hundred_megabytes(self):
        """Lists and watches that cannot be read: names are served all the same, and what is held is kept."""
        port, elector = self.watching_elector(self.serve(Flooding, floods=lambda method, path: "limit=" in path or "watch=1" in path))
        holder = self.hold(f"http://127.0.0.1:{port}")
        self.assert_renews(holder)
        self.assert_small(elector)
