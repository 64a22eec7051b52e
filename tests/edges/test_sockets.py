"""The elector at its sockets: what ends a stream, who may ask, what is bounded."""
import contextlib
import json
import os
import pathlib
import re
import resource
import shutil
import signal
import socket
import ssl
import struct
import subprocess
import sys
import tempfile
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "integration"))
from support import MPSYNC, PATIENCE_S, Case, free_port  # noqa: E402

# What an elector keeps of one reader: 1 MiB that is unread, in pieces that libevent makes up to twice as long as
# what is in them, and the chunk of 64 KiB that is being sent.
MOST_UNREAD_KB = 2 * 1024 + 64
READERS = 30

CLAIM = "1" * 32
OTHER = "2" * 32
SESSION = "3" * 32


class Connection:
    """One connection, of which every byte is seen."""

    def __init__(self, address, tls=None):
        self.socket = socket.socket(socket.AF_UNIX if isinstance(address, str) else socket.AF_INET)
        self.socket.settimeout(PATIENCE_S)
        self.socket.connect(address)
        if tls:
            self.socket = tls.wrap_socket(self.socket, server_hostname="localhost")
        self.buffer = b""
        self.raw = None  # of a stream: what has not been taken out of its chunks

    def send(self, method, path, body=None, host="localhost", **headers):
        payload = json.dumps(body).encode() if isinstance(body, dict) else body or b""
        lines = [f"{method} {path} HTTP/1.1"]
        if host is not None:
            lines.append(f"Host: {host}")
        lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
        if payload:
            lines.append(f"Content-Length: {len(payload)}")
        self.socket.sendall("\r\n".join(lines).encode() + b"\r\n\r\n" + payload)

    def more(self):
        """False: the other side has ended it."""
        part = self.socket.recv(1 << 20)
        if self.raw is None:
            self.buffer += part
            return part != b""
        self.raw += part
        self.unchunk()
        return part != b""

    def unchunk(self):
        while (end := self.raw.find(b"\r\n")) >= 0 and len(self.raw) >= (size := int(self.raw[:end], 16)) + end + 4:
            self.buffer += self.raw[end + 2:end + 2 + size]
            self.raw = self.raw[end + 4 + size:]

    def until(self, mark):
        while mark not in self.buffer:
            if not self.more():
                raise AssertionError(f"it ended before {mark!r}: {self.buffer[-200:]!r}")
        part, self.buffer = self.buffer.split(mark, 1)
        return part.decode()

    def head(self):
        """Status and headers of the next answer."""
        first, *lines = self.until(b"\r\n\r\n").split("\r\n")
        headers = {name.lower(): value for name, value in (line.split(": ", 1) for line in lines)}
        if headers.get("transfer-encoding") == "chunked":
            self.raw, self.buffer = self.buffer, b""
            self.unchunk()
        return int(first.split()[1]), headers

    def answer(self):
        status, headers = self.head()
        length = int(headers.get("content-length", 0))
        while len(self.buffer) < length and self.more():
            pass
        body, self.buffer = self.buffer[:length], self.buffer[length:]
        return status, json.loads(body) if body[:1] == b"{" else body

    def ask(self, *arguments, **more):
        self.send(*arguments, **more)
        return self.answer()

    def event(self, name):
        """The data of the next event of that name."""
        if self.raw is None:
            self.head()
        self.until(f"event: {name}\ndata: ".encode())
        return json.loads(self.until(b"\n\n"))

    def reset(self):
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.socket.close()


class SocketCase(Case):
    def connect(self, address, tls=None):
        connection = Connection(address, tls)
        self.addCleanup(connection.socket.close)
        return connection

    def memory_kb(self, process):
        status = pathlib.Path(f"/proc/{process.child.pid}/status").read_text()
        return int(re.search(r"VmRSS:\s+(\d+)", status)[1])


class EndsOfStreams(SocketCase):
    """Only a clean end of the very stream that its client declared its fence is a proof that it is dead."""

    def setUp(self):
        super().setUp()
        self.port = self.elector().port
        self.address = ("127.0.0.1", self.port)

    def hold(self, fence="stream", generation=None):
        """A session with a stream that holds `a`; the stream's connection."""
        stream, other = self.connect(self.address), self.connect(self.address)
        stream.send("GET", "/holders/w", Mpsync_Session=SESSION)
        number = stream.event("hello")["stream"]
        self.assertEqual(other.ask("PUT", "/locks/a", {"holder": "w", "claim": CLAIM, "ttl": "1h"}, Mpsync_Session=SESSION)[0], 200)
        beat = {"seen": "0", "fence": fence, "stream": generation or number}
        self.assertEqual(other.ask("PUT", "/holders/w", beat, Mpsync_Session=SESSION)[0], 200)
        return stream

    def gone_from(self):
        """The elector has seen the stream's end, and then somebody else asks."""
        self.until(lambda: self.metric(self.port, "mpsync_streams") == 0)
        return self.connect(self.address).ask("PUT", "/locks/a", {"holder": "x", "claim": OTHER})[0]

    def test_a_clean_end_hands_over(self):
        self.hold().socket.close()
        self.assertEqual(self.gone_from(), 200)

    def test_a_half_close_of_the_client_hands_over(self):
        self.hold().socket.shutdown(socket.SHUT_WR)
        self.assertEqual(self.gone_from(), 200)

    def test_a_reset_proves_nothing(self):
        self.hold().reset()
        self.assertEqual(self.gone_from(), 409)

    def test_time_as_the_fence_proves_nothing_whatever_number_stands_beside_it(self):
        self.hold(fence="time").socket.close()
        self.assertEqual(self.gone_from(), 409)

    def test_another_stream_s_number_proves_nothing(self):
        self.hold(generation=1).socket.close()
        self.assertEqual(self.gone_from(), 409)

    def test_a_reset_after_bytes_that_were_never_read_proves_nothing(self):
        stream = self.hold()
        self.connect(self.address).ask("PUT", "/locks/b", {"holder": "w", "claim": "4" * 32}, Mpsync_Session=SESSION)
        stream.socket.sendall(b"x")
        stream.reset()
        self.assertEqual(self.gone_from(), 409)


class OtherNamespaces(SocketCase):
    """A process that the elector cannot name: what its death proves is told by a descriptor, not by a number."""

    @unittest.skipUnless(os.environ.get("CI") == "true" or (os.geteuid() == 0 and shutil.which("unshare")),
                         "needs unshare, as root")
    def test_a_holder_in_another_pid_namespace_is_replaced_when_it_is_killed(self):
        path = f"{self.folder}/s.sock"
        elector = self.start([MPSYNC, "elector", "--store", "memory:", "--listen", path], {"HOME": self.folder},
                             stderr=subprocess.DEVNULL)
        self.until(lambda: self.connect(path).ask("GET", "/healthz")[0] == 200)
        url = "http+unix://" + path
        holder = self.start(["unshare", "--pid", "--fork", "--kill-child", str(pathlib.Path(MPSYNC).with_name("probe"))],
                            {"MPSYNC_URL": url, "MPSYNC_TTL": "1h"})
        holder.expect("ready")
        holder.send("acquire x -1")
        holder.expect("held x")
        waiter = self.probe(url)
        waiter.send("acquire x -1")
        waiter.expect("waiting x")
        holder.signal(signal.SIGKILL)
        waiter.expect("held x")
        self.assertIsNone(elector.child.poll())


class WhoMayAsk(SocketCase):
    """Rule 44, over plain TCP and TLS alike."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.certificates = pathlib.Path(tempfile.mkdtemp(prefix="mpsync-"))
        cls.addClassCleanup(shutil.rmtree, cls.certificates)
        subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2",
                        "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,DNS:elector.example,IP:127.0.0.2",
                        "-keyout", cls.certificates / "key", "-out", cls.certificates / "crt"],
                       check=True, capture_output=True)

    def tls(self):
        context = ssl.create_default_context(cafile=self.certificates / "crt")
        context.load_cert_chain(self.certificates / "crt", self.certificates / "key")
        return context

    def over_tls(self):
        """An elector whose TLS listener is not on loopback's own name, and how to connect to it."""
        port, plain = free_port(), free_port()
        certificate, key = self.certificates / "crt", self.certificates / "key"
        address = self.own_address()
        self.start([MPSYNC, "elector", "--store", "memory:", "--listen", f"{address}:{port}",
                    "--listen", f"127.0.0.1:{plain}", "--tls-cert", certificate, "--tls-key", key,
                    "--tls-client-ca", certificate], {"HOME": self.folder}, stderr=subprocess.DEVNULL)
        self.until(lambda: self.http(plain, "GET", "/healthz")[0] == 200)
        return (address, port)

    @staticmethod
    def own_address():
        """One of this machine's that is not loopback's; nothing is sent anywhere."""
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            probe.connect(("192.0.2.1", 9))
            return probe.getsockname()[0]

    def check(self, address, tls, scheme, good, bad):
        port = address[1]
        for host in good:
            self.assertEqual(self.connect(address, tls).ask("GET", "/locks", host=host)[0], 200, host)
            for origin in (f"{scheme}://{host}", f"{scheme.upper()}://{host.upper()}"):
                self.assertEqual(self.connect(address, tls).ask("GET", "/locks", host=host, Origin=origin)[0], 200, origin)
        for host in bad:
            status, body = self.connect(address, tls).ask("GET", "/locks", host=host)
            self.assertEqual((status, body["code"]), (421, "wrong_host"), host)
        own = good[0]
        other = "http" if scheme == "https" else "https"
        for origin in ("null", f"{scheme}://evil.example", f"{scheme}://{own}:1", f"{other}://{own}", own, "",
                       f"{scheme}://{own}.evil.example"):
            status, body = self.connect(address, tls).ask("PUT", "/locks/a", host=own, Origin=origin)
            self.assertEqual((status, body["code"]), (403, "forbidden"), origin)
        for site in ("cross-site", "same-site", "x"):
            self.assertEqual(self.connect(address, tls).ask("GET", "/locks", host=own, Sec_Fetch_Site=site)[0], 403, site)
        for site in ("none", "same-origin"):
            self.assertEqual(self.connect(address, tls).ask("GET", "/locks", host=own, Sec_Fetch_Site=site)[0], 200, site)
        self.assertEqual(self.connect(address, tls).ask("GET", "/locks", host=None)[0], 400)
        self.assertEqual(self.connect(address, tls).ask("GET", f"{scheme}://{own}:{port}/locks", host="x")[0], 200)
        self.assertEqual(self.connect(address, tls).ask("GET", f"{scheme}://evil.example/locks", host=own)[0], 421)

    def test_over_plain_tcp(self):
        port = self.elector().port
        self.check(("127.0.0.1", port), None, "http",
                   ["localhost", "localhost.", "127.0.0.1", "[::1]", f"localhost:{port}", "LOCALHOST:1", f"[::1]:{port}"],
                   ["evil.example", f"evil.example:{port}", "localhost.evil.example", "127.0.0.2", "localhost:x", "[::1"])

    def test_over_tls(self):
        address = self.over_tls()
        self.check(address, self.tls(), "https",
                   ["localhost", f"elector.example:{address[1]}", "127.0.0.2", "ELECTOR.example:443"],
                   ["evil.example", "x.elector.example", "127.0.0.1", "[::1]"])

    def test_tls_sessions_resume(self):
        address, tls = self.over_tls(), self.tls()
        for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
            tls.maximum_version = version
            first = self.connect(address, tls)
            self.assertEqual(first.ask("GET", "/locks")[0], 200)
            with socket.create_connection(address, PATIENCE_S) as plain:
                again = tls.wrap_socket(plain, server_hostname="localhost", session=first.socket.session)
                again.sendall(b"GET /locks HTTP/1.1\r\nHost: localhost\r\n\r\n")
                self.assertIn(b" 200 ", again.recv(65536).split(b"\r\n")[0])
                self.assertTrue(again.session_reused)

    def test_a_page_of_a_unix_socket_s_proxy_is_of_its_own_host(self):
        path = f"{self.folder}/s.sock"
        self.start([MPSYNC, "elector", "--store", "memory:", "--listen", path], {"HOME": self.folder},
                   stderr=subprocess.DEVNULL)
        self.until(lambda: self.connect(path).ask("GET", "/healthz", host="anything")[0] == 200)
        self.assertEqual(self.connect(path).ask("GET", "/locks", host="x", Origin="http://evil.example")[0], 403)
        self.assertEqual(self.connect(path).ask("GET", "/locks", host="x", Origin="null")[0], 403)


class Answers(SocketCase):
    def setUp(self):
        super().setUp()
        self.running = self.elector()
        self.address = ("127.0.0.1", self.running.port)

    def test_head_has_no_body_on_any_path(self):
        connection = self.connect(self.address)
        self.assertEqual(connection.ask("PUT", "/locks/held")[0], 200)
        for path, status in (("/locks", 200), ("/locks/held", 200), ("/locks/free", 404), ("/locks?watch=1", 200),
                             ("/locks/held?watch=1", 200), ("/holders/w", 405), ("/healthz", 200), ("/readyz", 200),
                             ("/metrics", 200), ("/openapi.yaml", 200), ("/nothing", 404), ("/locks?limit=x", 400)):
            connection.send("HEAD", path)
            answered, headers = connection.head()
            self.assertEqual(answered, status, path)
            self.assertNotIn("transfer-encoding", headers, path)
            # The next answer on the connection begins right behind.
            self.assertEqual(connection.ask("GET", "/healthz")[0], 200, path)
            if status == 200 and "watch" not in path and path != "/metrics":
                connection.send("GET", path)
                self.assertEqual(connection.head()[1]["content-length"], headers["content-length"], path)
                connection = self.connect(self.address)

    def test_a_release_with_a_token_that_was_never_given_releases_nothing(self):
        connection = self.connect(self.address)
        put = {"holder": "w", "claim": CLAIM, "ttl": "1h"}
        token = int(connection.ask("PUT", "/locks/a", put)[1]["spec"]["token"])
        for wrong in (token - 1, token + 1, 2**64 - 1):
            status, body = connection.ask("DELETE", "/locks/a", {**put, "token": str(wrong)})
            self.assertEqual((status, body["code"]), (400, "invalid"))
        status, body = connection.ask("DELETE", "/locks/a", {"holder": "w", "claim": OTHER, "token": str(token)})
        self.assertEqual((status, body["code"]), (409, "lost"))
        self.assertEqual(connection.ask("GET", "/locks/a")[1]["spec"]["token"], str(token))

    def test_each_field_is_known_and_stands_once(self):
        connection = self.connect(self.address)
        for method, path, body, word in (
                ("PUT", "/locks/a", '{"holder":"a","claim":"%s","x":1,"x":2}' % CLAIM, '"x"'),
                ("PUT", "/locks/a", '{"holder":"a","claim":"%s","ttl":"1s","ttl":"2s"}' % CLAIM, '"ttl" stands twice'),
                ("PUT", "/locks", '{"metadata":{"name":"a"},"metadata":{"name":"b"}}', "twice"),
                ("PUT", "/locks", '{"metadata":{"name":"a","name":"b"}}', "twice"),
                ("PUT", "/holders/a", '{"seen":"0","seen":"0"}', '"seen" stands twice'),
                ("PUT", "/holders/a", '{"nonsense":1}', '"nonsense"')):
            status, answer = connection.ask(method, path, body.encode(), Mpsync_Session=SESSION)
            self.assertEqual((status, answer["code"]), (400, "invalid"))
            self.assertIn(word, answer["message"])

    def test_features_are_listed(self):
        self.assertIn("low", self.connect(self.address).ask("GET", "/healthz")[1]["features"])
        stream = self.connect(self.address)
        stream.send("GET", "/holders/w", Mpsync_Session=SESSION)
        self.assertIn("low", stream.event("hello")["features"])

    def test_a_place_that_is_kept_is_not_granted_without_one_more_request(self):
        """A wait that ran out: its place is kept for a moment, but whoever is there when its turn comes is served."""
        holder, waiter = self.connect(self.address), self.connect(self.address)
        self.assertEqual(holder.ask("PUT", "/locks/a", {"holder": "w", "claim": CLAIM})[0], 200)
        wish = {"holder": "x", "claim": OTHER, "wait": "10ms"}
        self.assertEqual(waiter.ask("PUT", "/locks/a", wish)[0], 409)
        self.assertEqual(holder.ask("DELETE", "/locks/a", {"holder": "w", "claim": CLAIM})[0], 200)
        self.assertEqual(holder.ask("GET", "/locks/a")[0], 404)
        self.assertEqual(waiter.ask("PUT", "/locks/a", wish)[0], 200)

    def test_a_place_that_is_kept_is_taken_up_by_the_same_claim(self):
        holder, waiter = self.connect(self.address), self.connect(self.address)
        self.assertEqual(holder.ask("PUT", "/locks/a", {"holder": "w", "claim": CLAIM})[0], 200)
        wish = {"holder": "x", "claim": OTHER, "wait": "10ms"}
        self.assertEqual(waiter.ask("PUT", "/locks/a", wish)[0], 409)
        waiter.send("PUT", "/locks/a", {**wish, "wait": "60s"})
        self.assertEqual(holder.ask("DELETE", "/locks/a", {"holder": "w", "claim": CLAIM})[0], 200)
        self.assertEqual(waiter.answer()[0], 200)


class Bounds(SocketCase):
    """What readers do not read, and what nobody uses, takes no more than so much memory."""

    def expect_bounded(self, elector, before_kb):
        """AddressSanitizer rounds every piece up, and keeps some that are freed."""
        most_kb = READERS * MOST_UNREAD_KB
        if "libasan" in pathlib.Path(f"/proc/{elector.child.pid}/maps").read_text():
            most_kb = 3 * most_kb
        self.assertLess(self.memory_kb(elector) - before_kb, most_kb)

    def test_unread_events_of_watches_are_bounded(self):
        elector = self.elector()
        readers = [self.connect(("127.0.0.1", elector.port)) for _ in range(READERS)]
        for reader in readers:
            reader.send("GET", "/locks?watch=1&ping=10ms")
            reader.head()
        writer, value = self.connect(("127.0.0.1", elector.port)), "v" * 16000
        before = self.memory_kb(elector)
        for number in range(1, 600):
            wish = {"holder": "w", "claim": f"{number:032x}", "value": value}
            self.assertEqual(writer.ask("PUT", f"/locks/{number % 5}", wish)[0], 200)
            writer.ask("DELETE", f"/locks/{number % 5}", {"holder": "w", "claim": wish["claim"]})
        # Each was sent 9 MiB; who is 1 MiB behind is ended, and what was not read is dropped.
        self.expect_bounded(elector, before)
        self.is_ended(readers[0])

    def test_unread_events_of_holders_are_bounded(self):
        elector = self.elector()
        readers = [self.connect(("127.0.0.1", elector.port)) for _ in range(READERS)]
        for reader in readers:
            reader.send("GET", "/holders/w?ping=10ms")
            reader.head()
        writer, name = self.connect(("127.0.0.1", elector.port)), "n" * 1000
        before = self.memory_kb(elector)
        for number in range(1, 4000):
            wish = {"holder": "w", "claim": f"{number:032x}"}
            self.assertEqual(writer.ask("PUT", f"/locks/{name}", wish)[0], 200)
            writer.ask("DELETE", f"/locks/{name}", wish)
        self.expect_bounded(elector, before)
        self.is_ended(readers[0])

    def test_unread_lists_are_bounded(self):
        """A page ends where it is long enough, and the whole is to be had page by page."""
        elector = self.elector()
        writer, value = self.connect(("127.0.0.1", elector.port)), "v" * 16000
        writer.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        names = sorted(f"{number:03}" for number in range(300))
        for number, name in enumerate(names):
            wish = {"holder": "w", "claim": f"{number + 1:032x}", "value": value, "ttl": "1h"}
            self.assertEqual(writer.ask("PUT", f"/locks/{name}", wish)[0], 200)
        before = self.memory_kb(elector)
        readers = [self.connect(("127.0.0.1", elector.port)) for _ in range(READERS)]
        for reader in readers:
            reader.send("GET", "/locks?limit=1000")
            reader.head()
        self.assertLess(self.memory_kb(elector) - before, READERS * 1024)
        found, place = [], ""
        while place is not None:
            page = writer.ask("GET", f"/locks?limit=1000{place}")[1]
            found += [lock["metadata"]["name"] for lock in page["items"]]
            place = f"&continue={page['continue']}" if "continue" in page else None
        self.assertEqual(found, names)
        listed = self.mpsync("ls", "--json", url=elector.url, check=0).stdout.splitlines()
        self.assertEqual([json.loads(line)["metadata"]["name"] for line in listed], names)

    def test_a_watch_shows_all_there_is_however_much_that_is(self):
        elector = self.elector()
        writer, value = self.connect(("127.0.0.1", elector.port)), "v" * 16000
        for number in range(300):
            wish = {"holder": "w", "claim": f"{number + 1:032x}", "value": value, "ttl": "1h"}
            self.assertEqual(writer.ask("PUT", f"/locks/{number}", wish)[0], 200)
        reader = self.connect(("127.0.0.1", elector.port))
        reader.send("GET", "/locks?watch=1")
        reader.head()
        self.assertEqual(reader.until(b"event: synced").count("event: lock"), 300)

    def test_a_session_s_stream_waits_for_its_reader_and_skips_nothing(self):
        elector = self.elector()
        address = ("127.0.0.1", elector.port)
        stream, writer = self.connect(address), self.connect(address)
        stream.send("GET", "/holders/w", Mpsync_Session=SESSION)
        stream.event("hello")
        name = "n" * 1000
        for number in range(1, 1501):
            claims = {"holder": "w", "claim": f"{2 * number:032x}"}, {"holder": "w", "claim": f"{2 * number + 1:032x}"}
            writer.ask("PUT", f"/locks/{name}", claims[0], Mpsync_Session=SESSION)
            self.assertEqual(writer.ask("PUT", f"/locks/{name}", {**claims[1], "queue": True}, Mpsync_Session=SESSION)[0], 202)
            writer.ask("DELETE", f"/locks/{name}", claims[0], Mpsync_Session=SESSION)
            writer.ask("DELETE", f"/locks/{name}", claims[1], Mpsync_Session=SESSION)
        for number in range(1, 1501):
            self.assertEqual(stream.event("granted")["claim"], f"{2 * number + 1:032x}")

    def test_sessions_are_bounded_and_those_without_anything_give_way(self):
        elector = self.elector("memory:", None, "--max-connections", "50")
        connection = self.connect(("127.0.0.1", elector.port))
        for number in range(1, 200):
            self.assertEqual(connection.ask("PUT", "/locks/a", {"holder": "w", "claim": f"{number:032x}", "ttl": "1h"},
                                            Mpsync_Session=f"{number:032x}")[0], 200 if number == 1 else 409)
        self.assertLessEqual(self.metric(elector.port, "mpsync_sessions"), 50)
        status, body = 0, {}
        for number in range(200, 300):
            status, body = connection.ask("PUT", f"/locks/{number}", {"holder": "w", "claim": f"{number:032x}", "ttl": "1h"},
                                          Mpsync_Session=f"{number:032x}")
        self.assertEqual((status, body["code"]), (503, "too_many"))
        self.assertEqual(self.metric(elector.port, "mpsync_sessions"), 50)

    def test_no_descriptors_left_on_a_unix_socket(self):
        """Idle connections go, those that do something stay, and what is said is said once."""
        path = f"{self.folder}/s.sock"
        with open(f"{self.folder}/log", "w", encoding="utf-8") as log:
            elector = self.start(["prlimit", "--nofile=100:100", MPSYNC, "elector", "--store", "memory:", "--listen", path],
                                 {"HOME": self.folder}, stderr=log)
        self.until(lambda: self.connect(path).ask("GET", "/healthz")[0] == 200)
        idle = [self.connect(path) for _ in range(300)]
        self.assertEqual(self.connect(path).ask("GET", "/healthz")[0], 200)
        streams = []
        with contextlib.suppress(OSError, AssertionError):
            for _ in range(200):
                stream = self.connect(path)
                # The last one has no answer: there are no descriptors any more.
                stream.socket.settimeout(5 if streams else PATIENCE_S)
                stream.send("GET", "/holders/w")
                streams.append((stream, stream.head()[0]))
        self.assertTrue(any(status == 200 for _, status in streams))
        spent = self.processor_s(elector)
        crowd = [self.connect(path) for _ in range(200)]
        for connection in idle + crowd + [stream for stream, _ in streams]:
            connection.socket.close()
        self.until(lambda: self.connect(path).ask("GET", "/healthz")[0] == 200)
        self.assertLess(self.processor_s(elector) - spent, 20)
        self.assertLess(len(pathlib.Path(self.folder, "log").read_text().splitlines()), 10)

    @staticmethod
    def is_ended(reader):
        """With `overrun`, which only a reader sees that begins to read within ten seconds."""
        with contextlib.suppress(ConnectionResetError):
            while reader.more():
                if b"event: overrun" in reader.buffer:
                    return

    @staticmethod
    def processor_s(process):
        fields = pathlib.Path(f"/proc/{process.child.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


if __name__ == "__main__":
    unittest.main()
