"""More connections than an elector has room for: those that wait stay, those that idle go."""
import pathlib
import socket
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "integration"))
from support import PATIENCE_S, Case  # noqa: E402


class Crowd(Case):
    def connect(self):
        connection = socket.create_connection(("127.0.0.1", self.port), timeout=PATIENCE_S)
        self.addCleanup(connection.close)
        return connection

    def test_a_stream_is_not_idle(self):
        """It has been silent for longer than anybody of the crowd."""
        self.port = self.elector("memory:", None, "--max-connections", "20").port
        stream = self.connect()
        stream.sendall(b"GET /locks?watch=1 HTTP/1.1\r\nHost: localhost:%d\r\n\r\n" % self.port)
        seen = b""
        while b"synced" not in seen:
            seen += stream.recv(4096)
        crowd = [self.connect() for _ in range(60)]
        self.assertEqual(crowd[0].recv(1), b"")
        self.assertEqual(self.http(self.port, "PUT", "/locks/x")[0], 200)
        while b'"x"' not in seen:
            more = stream.recv(4096)
            self.assertTrue(more, "the stream was closed")
            seen += more
