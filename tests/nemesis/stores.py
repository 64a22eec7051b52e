"""The stores, each with contenders of every kind and with the faults that belong to it."""
import contextlib
import os
import pathlib
import random
import shutil
import signal
import sqlite3
import subprocess
import sys

from contenders import BUILD, ROOT, Clocks, Command, Contender, Foreign, Python, descendants, signal_all
from faults import Fault, nothing, stop

for folder in ("integration", "etcd", "kubernetes"):
    sys.path.insert(0, str(ROOT / "tests" / folder))
from control_plane import LEASES, ControlPlane, find  # noqa: E402
from network import Network  # noqa: E402
from support import Case, Process, free_port  # noqa: E402

# Together they are within what is assumed: any two rates are less than 5 % apart.
RATES_PPM = (-23000, 0, 23000)


class Store:
    """One store, empty at first; each round of contenders has a name of its own in it."""
    round_s = 20

    def __init__(self, folder):
        self.folder = folder
        self.processes = []

    def start(self):
        pass

    def faults(self, name):
        raise NotImplementedError

    def contenders(self, history):
        raise NotImplementedError

    def state(self, name):
        """What the store says of the name."""
        raise NotImplementedError

    def clocks(self, number, ppm):
        return Clocks(f"{self.folder}/clocks-{number}", ppm)

    def run(self, command, environment=None):
        process = Process(command, environment, stderr=subprocess.DEVNULL)
        self.processes.append(process)
        return process

    def until(self, condition):
        Case().until(condition)

    def end(self):
        for process in self.processes:
            process.end()


class File(Store):
    """One SQLite file, on a file system so small that it can be filled."""

    def start(self):
        self.disk = pathlib.Path(self.folder, "disk")
        self.disk.mkdir()
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m", "small", str(self.disk)], check=True)
        self.path = f"{self.disk}/locks.db"
        self.url = f"file:{self.path}?ttl=2s"

    def end(self):
        super().end()
        subprocess.run(["umount", "--lazy", str(self.disk)], check=False)

    def contenders(self, history):
        # All processes of one kernel read one boot clock: their wall clocks alone may differ.
        return [Contender(history, self.url, clocks=self.clocks(0, 0)), Contender(history, self.url),
                Python(history, self.url), Command(history, self.url), Command(history, self.url)]

    def faults(self, name):
        return [Fault("fill the disk", self.fill, longest_s=2), Fault("keep the file locked", self.keep_locked, longest_s=2)]

    def state(self, name):
        database = sqlite3.connect(f"file:{self.path}?mode=ro", uri=True, timeout=10)
        with contextlib.closing(database):
            return repr([database.execute(f"SELECT * FROM {table}").fetchall() for table in ("waiter", "lock")])

    def fill(self):
        filler = self.disk / "filler"
        with contextlib.suppress(OSError), filler.open("wb", buffering=0) as file:
            while True:
                file.write(bytes(4096))
        return lambda: filler.unlink(missing_ok=True)

    def keep_locked(self):
        """A foreign program in the middle of a long transaction."""
        with contextlib.suppress(sqlite3.OperationalError):
            database = sqlite3.connect(self.path, isolation_level=None, timeout=1, check_same_thread=False)
            database.execute("BEGIN IMMEDIATE")
            return database.close
        return nothing


class Elector(File):
    """Two electors over one file; before each a relay, which hides who its clients are."""

    def start(self):
        super().start()
        self.ports = [free_port(), free_port()]
        self.relays = [free_port(), free_port()]
        self.electors = [self.start_elector(number) for number in range(2)]
        for relay, port in zip(self.relays, self.ports):
            self.start_relay(relay, port)
        for port in self.ports:
            self.until(lambda port=port: self.is_healthy(port))

    def start_elector(self, number):
        return self.run([str(BUILD / "bin" / "mpsync"), "elector", "--store", f"file:{self.path}", "--listen",
                         f"127.0.0.1:{self.ports[number]}", "--host", f"127.0.0.1:{self.relays[number]}"],
                        {"HOME": self.folder})

    def start_relay(self, port, target):
        self.relay = self.run(["socat", f"TCP-LISTEN:{port},fork,reuseaddr,bind=127.0.0.1", f"TCP:127.0.0.1:{target}"])

    def is_healthy(self, port):
        return Case().http(port, "GET", "/healthz")[0] == 200

    def contenders(self, history):
        urls = [f"http://127.0.0.1:{port}?ttl=2s" for port in (*self.ports, *self.relays)]
        return [Contender(history, urls[0], clocks=self.clocks(0, RATES_PPM[0])),
                Contender(history, urls[3], clocks=self.clocks(1, RATES_PPM[2])),
                Contender(history, self.url), Python(history, urls[2]),
                Command(history, urls[1])]

    def faults(self, name):
        return [*super().faults(name), Fault("kill an elector", lambda: self.replace(signal.SIGKILL)),
                Fault("replace an elector", lambda: self.replace(signal.SIGTERM)),
                Fault("stop an elector", self.stop_elector, longest_s=3),
                Fault("silence a relay", self.silence, longest_s=3)]

    def replace(self, number):
        which = random.randrange(2)
        self.electors[which].signal(number)
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.electors[which].child.wait(timeout=5)
        self.electors[which].end()
        self.electors[which] = self.start_elector(which)
        return nothing

    def stop_elector(self):
        return stop([random.choice(self.electors).child.pid])

    def silence(self):
        """It takes what it is sent, and passes nothing on."""
        return stop(descendants(self.relay.child.pid))


class Etcd(Store):
    """Three members and two groups of contenders, each in a network namespace of its own."""
    round_s = 40
    members = ("m0", "m1", "m2")
    groups = ("c0", "c1")

    def start(self):
        self.network = Network(self.members + self.groups)
        self.network.make()
        self.endpoints = ",".join(f"{self.network.addresses[member]}:2379" for member in self.members)
        self.url = f"etcd://{self.endpoints}?ttl=2s"
        self.running = {member: self.start_member(member) for member in self.members}
        self.until(lambda: all(self.etcdctl(member, "endpoint", "health").returncode == 0 for member in self.members))
        self.elector_port = free_port()
        self.run(self.network.within("c0", [str(BUILD / "bin" / "mpsync"), "elector", "--store", self.url.split("?")[0],
                                            "--listen", f"127.0.0.1:{self.elector_port}"]), {"HOME": self.folder})

    def start_member(self, member):
        address = self.network.addresses[member]
        cluster = ",".join(f"{name}=http://{self.network.addresses[name]}:2380" for name in self.members)
        return self.run(self.network.within(member, [
            "etcd", "--name", member, "--data-dir", f"{self.folder}/{member}", "--log-level", "error",
            "--heartbeat-interval", "50", "--election-timeout", "500",
            "--listen-client-urls", f"http://{address}:2379,http://127.0.0.1:2379",
            "--advertise-client-urls", f"http://{address}:2379", "--listen-peer-urls", f"http://{address}:2380",
            "--initial-advertise-peer-urls", f"http://{address}:2380", "--initial-cluster", cluster]))

    def etcdctl(self, member, *arguments):
        return subprocess.run(
            self.network.within(member, ["etcdctl", "--endpoints", "127.0.0.1:2379", *arguments]),
            capture_output=True, text=True, env={**os.environ, "ETCDCTL_API": "3"}, check=False)

    def end(self):
        super().end()
        self.network.remove()

    def within(self, group):
        return lambda command: self.network.within(group, command)

    def contenders(self, history):
        c0, c1 = self.within("c0"), self.within("c1")
        return [Contender(history, self.url, c0, self.clocks(0, RATES_PPM[0])),
                Contender(history, self.url, c1, self.clocks(1, RATES_PPM[2])),
                Contender(history, f"http://127.0.0.1:{self.elector_port}?ttl=2s", c0),
                Python(history, self.url, c1), Command(history, self.url, c0),
                Foreign(history, [os.environ["NEMESIS_ETCD_MUTEX"], self.endpoints, history.name], c1)]

    def faults(self, name):
        return [Fault("cut a node off", self.cut, longest_s=4), Fault("cut between two members", self.cut_between, longest_s=4),
                Fault("kill a member", self.kill_member), Fault("stop a member", self.stop_member, longest_s=4),
                Fault("delete the key of a holder", lambda: self.delete(name), assumed=False)]

    def state(self, name):
        return self.etcdctl("m0", "get", "--prefix", name).stdout + self.etcdctl("m0", "endpoint", "status").stdout

    def cut(self):
        node = random.choice(self.members + self.groups[:1])
        self.network.cut(node)
        return lambda: self.network.heal(node)

    def cut_between(self):
        one, other = random.sample(self.members, 2)
        self.network.cut_between(one, other)
        return lambda: self.network.heal_between(one, other)

    def kill_member(self):
        member = random.choice(self.members)
        self.running[member].end()
        self.running[member] = self.start_member(member)
        return nothing

    def stop_member(self):
        return stop([self.running[random.choice(self.members)].child.pid])

    def delete(self, name):
        keys = self.etcdctl("m0", "get", "--prefix", "--keys-only", "--limit", "1", name + "/").stdout.split()
        if keys:
            self.etcdctl("m0", "del", keys[0])
        return nothing


class Kubernetes(Store):
    """One kube-apiserver, and two groups of contenders whose relays to it can fall silent."""
    round_s = 60

    def start(self):
        plane_folder = pathlib.Path(self.folder, "plane")
        plane_folder.mkdir()
        self.plane = ControlPlane(str(plane_folder))
        self.plane.start()
        self.until(self.plane.is_ready)
        self.relays = []
        self.configs = [self.reach(group) for group in range(2)]
        self.urls = [f"kubernetes:?kubeconfig={config}&ttl=3s" for config in self.configs]
        self.elector_port = free_port()
        self.run([str(BUILD / "bin" / "mpsync"), "elector", "--store", f"kubernetes:?kubeconfig={self.configs[0]}",
                  "--listen", f"127.0.0.1:{self.elector_port}"], {"HOME": self.folder})

    def until(self, condition):
        def met():
            with contextlib.suppress(OSError):
                return condition()
        super().until(met)

    def reach(self, group):
        port = free_port()
        self.relays.append(self.run(["socat", f"TCP-LISTEN:{port},fork,reuseaddr,bind=127.0.0.1",
                                     f"TCP:127.0.0.1:{self.plane.port}"]))
        certificate, key = self.plane.admin_pair
        return self.plane.kubeconfig(
            f"{self.folder}/kubeconfig-{group}", {"client-certificate": certificate, "client-key": key},
            cluster={"server": f"https://127.0.0.1:{port}", "certificate-authority": self.plane.certificates.ca})

    def end(self):
        super().end()
        self.plane.end()

    def contenders(self, history):
        client_go = [os.environ["NEMESIS_CLIENT_GO"], self.configs[1], "default", history.name, "client-go", "12s", "4s", "1s"]
        return [Contender(history, self.urls[0], clocks=self.clocks(0, RATES_PPM[0])),
                Contender(history, self.urls[1], clocks=self.clocks(1, RATES_PPM[2])),
                Contender(history, f"http://127.0.0.1:{self.elector_port}?ttl=3s"),
                Python(history, self.urls[1]), Command(history, self.urls[0]), Foreign(history, client_go)]

    def faults(self, name):
        return [Fault("silence a relay", self.silence, longest_s=5), Fault("break connections", self.break_connections),
                Fault("kill the API server", self.kill_server), Fault("stop the API server", lambda: stop([self.plane.server.child.pid]), longest_s=3),
                Fault("stop its etcd", lambda: stop([self.plane.etcd.child.pid]), longest_s=3),
                Fault("annotate the Lease", lambda: self.kubectl("annotate", "lease", name, "--overwrite", f"touched=n{random.random()}")),
                Fault("delete the Lease", lambda: self.kubectl("delete", "lease", name), assumed=False)]

    def state(self, name):
        return str(self.plane.try_request("GET", f"{LEASES.format('default')}/{name}"))

    def silence(self):
        return stop(descendants(random.choice(self.relays).child.pid))

    def break_connections(self):
        signal_all(descendants(random.choice(self.relays).child.pid)[1:], signal.SIGKILL)
        return nothing

    def kill_server(self):
        self.plane.server.end()
        self.plane.start_server()
        return nothing

    def kubectl(self, *words):
        with contextlib.suppress(subprocess.TimeoutExpired):
            subprocess.run([find("kubectl"), "--kubeconfig", self.configs[0], "--request-timeout", "2s", *words],
                           stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, timeout=30, check=False)
        return nothing


STORES = {"file": File, "elector": Elector, "etcd": Etcd, "kubernetes": Kubernetes}
