"""A network of its own for a test: a bridge with one network namespace for each node, whose links can be cut."""
import collections
import itertools
import os
import subprocess

_numbers = itertools.count()


def ip(*words):
    subprocess.run(["ip", *words], check=True, capture_output=True)


class Network:
    def __init__(self, nodes):
        prefix = f"mpsync{os.getpid()}-{next(_numbers)}-"
        self._hub = prefix + "hub"
        self._namespaces = {node: prefix + node for node in nodes}
        self._ports = {node: f"port{number}" for number, node in enumerate(nodes)}
        self.addresses = {node: f"10.77.0.{number}" for number, node in enumerate(nodes, 1)}
        self._made = []
        # A link that was cut twice is whole when it was healed twice.
        self._cuts = collections.Counter()

    def make(self):
        self._add_namespace(self._hub)
        ip("-n", self._hub, "link", "add", "bridge", "type", "bridge")
        ip("-n", self._hub, "link", "set", "bridge", "up")
        for node, namespace in self._namespaces.items():
            port = self._ports[node]
            self._add_namespace(namespace)
            ip("-n", self._hub, "link", "add", port, "type", "veth", "peer", "name", "eth0", "netns", namespace)
            ip("-n", self._hub, "link", "set", port, "master", "bridge", "up")
            ip("-n", namespace, "address", "add", self.addresses[node] + "/24", "dev", "eth0")
            ip("-n", namespace, "link", "set", "eth0", "up")

    def _add_namespace(self, name):
        ip("netns", "add", name)
        self._made.append(name)
        ip("-n", name, "link", "set", "lo", "up")

    def remove(self):
        for name in self._made:
            ip("netns", "delete", name)

    def within(self, node, command):
        """The command, run by this node."""
        return ["ip", "netns", "exec", self._namespaces[node], *command]

    def cut(self, node):
        """Nobody reaches it, and it reaches nobody."""
        if self._is_first_cut(node):
            ip("-n", self._hub, "link", "set", self._ports[node], "down")

    def heal(self, node):
        if self._is_last_heal(node):
            ip("-n", self._hub, "link", "set", self._ports[node], "up")

    def cut_between(self, one, other):
        """Neither reaches the other, while both reach the rest."""
        if self._is_first_cut(frozenset((one, other))):
            self._blackhole("add", one, other)

    def heal_between(self, one, other):
        if self._is_last_heal(frozenset((one, other))):
            self._blackhole("delete", one, other)

    def _blackhole(self, verb, one, other):
        for source, target in ((one, other), (other, one)):
            ip("-n", self._namespaces[source], "route", verb, "blackhole", self.addresses[target] + "/32")

    def _is_first_cut(self, link):
        self._cuts[link] += 1
        return self._cuts[link] == 1

    def _is_last_heal(self, link):
        self._cuts[link] -= 1
        return self._cuts[link] == 0
