"""What can stand between a client and a server: a wire that breaks in the ways that wires do."""
import contextlib
import socket
import struct
import threading

from support import free_port


class Wire:
    """Passes bytes between whoever connects and a port of this machine, as long as it is told to."""

    def __init__(self, target):
        self.target = target
        self.gates = []
        self.sockets = []
        self.silenced = False
        self.silent_next = 0
        self.accepted = 0
        self.listener = None
        # It is let go of and taken again: nobody else may get it in between.
        self.port = free_port()
        self.listen()

    def listen(self):
        listener = socket.socket()
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("127.0.0.1", self.port))
        listener.listen(64)
        self.listener = listener
        threading.Thread(target=self.accept, args=(listener,), daemon=True).start()

    def accept(self, listener):
        with contextlib.suppress(OSError):
            while True:
                near, _ = listener.accept()
                self.accepted += 1
                far = socket.create_connection(("127.0.0.1", self.target))
                gate = threading.Event()
                if self.silent_next:
                    self.silent_next -= 1
                elif not self.silenced:
                    gate.set()
                self.gates.append(gate)
                self.sockets += [near, far]
                for source, sink in ((near, far), (far, near)):
                    threading.Thread(target=self.pump, args=(source, sink, gate), daemon=True).start()

    @staticmethod
    def pump(source, sink, gate):
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                gate.wait()
                sink.sendall(data)
        for end in (source, sink):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def deafen(self, more=0):
        """Present connections, and so many more, pass no more bytes, and stay open; those after them work."""
        self.silent_next = more
        for gate in self.gates:
            gate.clear()
        self.gates = []

    def silence(self):
        """Nobody hears anything, on present connections and on new ones."""
        self.silenced = True
        for gate in self.gates:
            gate.clear()

    def refuse(self):
        """Present connections are reset, and new ones refused."""
        with contextlib.suppress(OSError):
            self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        for end in self.sockets:
            with contextlib.suppress(OSError):
                end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                end.close()
        self.sockets, self.gates = [], []

    def restore(self):
        if self.listener.fileno() < 0:
            self.listen()
        self.silenced = False
        for gate in self.gates:
            gate.set()

    def close(self):
        for gate in self.gates:
            gate.set()
        self.refuse()
