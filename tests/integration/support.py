"""Real processes for the integration tests: electors, holders, the command line."""
import contextlib
import http.client
import json
import os
import pathlib
import queue
import random
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUILD = pathlib.Path(os.environ.get("MPSYNC_BUILD", ROOT / "build"))
MPSYNC = str(BUILD / "bin" / "mpsync")
PROBE = str(BUILD / "bin" / "probe")
# What is killed leaves no counts of the lines that it ran.
MEASURED = bool(os.environ.get("MPSYNC_MEASURED"))
# What bounds a test that hangs; nothing else depends on it, for nobody knows how fast a machine is.
PATIENCE_S = int(os.environ.get("MPSYNC_PATIENCE_S", 300))

# A background job of a shell, or of nohup, starts with these ignored, and so would every child.
signal.signal(signal.SIGINT, signal.default_int_handler)
signal.signal(signal.SIGHUP, signal.SIG_DFL)


taken = []


def free_port():
    """One that the kernel gives to no outgoing connection, nor this function to another process while this one runs."""
    first_of_connections = int(pathlib.Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    while True:
        port = random.randrange(10000, first_of_connections)
        mark = socket.socket(socket.AF_UNIX)
        with socket.socket() as probe, contextlib.suppress(OSError):
            mark.bind(f"\0mpsync-test-{port}")
            probe.bind(("127.0.0.1", port))
            taken.append(mark)
            return port
        mark.close()


class Process:
    """A child whose lines are read as they come, and that is gone at the end of the test."""

    def __init__(self, command, environment=None, stderr=None):
        self.child = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=stderr, text=True,
            env={**os.environ, **(environment or {})}, start_new_session=True)
        self.lines = queue.Queue()
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self):
        for line in self.child.stdout:
            self.lines.put(line.rstrip("\n"))
        self.lines.put(None)

    def line(self):
        line = self.lines.get(timeout=PATIENCE_S)
        if line is None:
            raise AssertionError(f"{self.child.args} ended early")
        return line

    def expect(self, *starts):
        """The next line that starts with one of these; `waiting` lines, and the log's, are passed over."""
        while True:
            line = self.line()
            if any(line.startswith(start) for start in starts):
                return line
            if not line.startswith(("waiting", "log ")):
                raise AssertionError(f"expected {starts}, got {line!r}")

    def send(self, text):
        self.child.stdin.write(text + "\n")
        self.child.stdin.flush()

    def signal(self, number):
        self.child.send_signal(number)

    def kill_all(self):
        """All of its group at once, so that nobody of it can tidy up."""
        os.killpg(self.child.pid, signal.SIGKILL)
        self.child.wait()

    def end(self):
        if self.child.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.child.pid, signal.SIGCONT)
                if MEASURED:
                    os.killpg(self.child.pid, signal.SIGTERM)
                    with contextlib.suppress(subprocess.TimeoutExpired):
                        self.child.wait(2)
                os.killpg(self.child.pid, signal.SIGKILL)
        self.child.wait()
        for stream in (self.child.stdin, self.child.stdout):
            with contextlib.suppress(BrokenPipeError):
                stream.close()


class Case(unittest.TestCase):
    """One test's own folder and processes."""

    def setUp(self):
        self.folder = tempfile.mkdtemp(prefix="mpsync-")
        self.addCleanup(shutil.rmtree, self.folder, True)
        self.file_url = f"file:{self.folder}/locks.db"

    def start(self, command, environment=None, stderr=None):
        process = Process(command, environment, stderr)
        self.addCleanup(process.end)
        return process

    def probe(self, url, ttl="15s", **options):
        environment = {"MPSYNC_URL": url, "MPSYNC_TTL": ttl}
        environment.update({f"MPSYNC_{name.upper()}": value for name, value in options.items()})
        process = self.start([PROBE], environment)
        process.expect("ready")
        return process

    def elector(self, store="memory:", port=None, *flags):
        port = port or free_port()
        elector = self.start(
            [MPSYNC, "elector", "--store", store, "--listen", f"127.0.0.1:{port}", *flags],
            {"HOME": self.folder}, stderr=subprocess.DEVNULL)
        elector.port = port
        elector.url = f"http://127.0.0.1:{port}"
        self.until(lambda: self.http(port, "GET", "/healthz")[0] == 200)
        return elector

    def until(self, condition):
        """Asks again and again, without sleeping longer than a connection takes."""
        end = time.monotonic() + PATIENCE_S
        while time.monotonic() < end:
            with contextlib.suppress(OSError, http.client.HTTPException):
                if condition():
                    return
            threading.Event().wait(0.01)
        self.fail("it never happened")

    def http(self, port, method, path, body=None, headers=None):
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE_S)
        try:
            payload = json.dumps(body) if isinstance(body, (dict, list)) else body
            connection.request(method, path, payload, headers or {})
            answer = connection.getresponse()
            content = answer.read().decode()
            if answer.getheader("Content-Type") == "application/json" and method != "HEAD":
                content = json.loads(content)
            return answer.status, content
        finally:
            connection.close()

    def metric(self, port, name):
        for line in self.http(port, "GET", "/metrics")[1].splitlines():
            if line.startswith(name + " "):
                return int(line.split()[1])
        raise AssertionError(name)

    def mpsync(self, *arguments, url=None, check=None, **more):
        done = subprocess.run(
            [MPSYNC, *arguments], capture_output=True, text=True, timeout=PATIENCE_S,
            env={**os.environ, "MPSYNC_URL": url or self.file_url}, **more)
        if check is not None:
            self.assertEqual(done.returncode, check, done.stderr)
        return done
