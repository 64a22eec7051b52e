"""etcd under load: the network breaks, members stop and die, and what everybody believed is judged."""
import os
import pathlib
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "integration"))
from network import Network  # noqa: E402
from support import BUILD, Case, Process  # noqa: E402

MEMBERS = ("m0", "m1", "m2")
CLIENTS = ("c0", "c1")
TURNS = str(BUILD / "bin" / "turns")


class Worker:
    """A program that takes turns, whose lines are the history of one client."""

    def __init__(self, number, command, url):
        self.number = number
        self.steps = []
        self.turns = 0
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env={**os.environ, "MPSYNC_URL": url})
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()

    def _read(self):
        for line in self.process.stdout:
            if line.endswith("\n"):
                self.steps.append(f"{self.number} {line}")
                self.turns += line.startswith("acquired")

    def ends(self):
        return sum(" ended " in step for step in self.steps)

    def stop(self):
        self.process.kill()
        self.process.wait()
        self.reader.join()
        self.process.stdout.close()
        # It may have released, and been killed before it said so.
        if self.steps:
            number, kind, token, before, _ = self.steps[-1].split()
            if kind in ("acquired", "holds"):
                self.steps.append(f"{number} ended {token} {before} {2**62}\n")


class Faults(Case):
    """Three members and two groups of clients, each in a network namespace of its own."""

    @classmethod
    def setUpClass(cls):
        folder = tempfile.mkdtemp(prefix="mpsync-etcd-")
        cls.addClassCleanup(shutil.rmtree, folder, True)
        cls.judge = f"{folder}/linearizable"
        subprocess.run(["go", "build", "-o", cls.judge, "."], check=True,
                       cwd=pathlib.Path(__file__).parent / "linearizable")

    def setUp(self):
        super().setUp()
        self.network = Network(MEMBERS + CLIENTS)
        self.addCleanup(self.network.remove)
        self.network.make()
        self.endpoints = {member: f"{self.network.addresses[member]}:2379" for member in MEMBERS}
        self.members = {}
        for member in MEMBERS:
            self.start_member(member)
        self.until(self.all_healthy)
        self.workers = []
        self.addCleanup(self.stop_workers)

    def start_member(self, member):
        process = Process(self.network.within(member, self.member_command(member)), stderr=subprocess.DEVNULL)
        self.addCleanup(process.end)
        self.members[member] = process

    def member_command(self, member):
        address = self.network.addresses[member]
        cluster = ",".join(f"{name}=http://{self.network.addresses[name]}:2380" for name in MEMBERS)
        return ["etcd", "--name", member, "--data-dir", f"{self.folder}/{member}", "--log-level", "error",
                "--heartbeat-interval", "50", "--election-timeout", "500",
                "--listen-client-urls", f"http://{address}:2379,http://127.0.0.1:2379",
                "--advertise-client-urls", f"http://{address}:2379", "--listen-peer-urls", f"http://{address}:2380",
                "--initial-advertise-peer-urls", f"http://{address}:2380", "--initial-cluster", cluster]

    def etcdctl(self, member, *arguments):
        """Asks the member from within its own namespace."""
        return subprocess.run(
            self.network.within(member, ["etcdctl", "--endpoints", "127.0.0.1:2379", *arguments]),
            capture_output=True, text=True, env={**os.environ, "ETCDCTL_API": "3"}, check=False)

    def all_healthy(self):
        return all(self.etcdctl(member, "endpoint", "health").returncode == 0 for member in MEMBERS)

    def leader(self):
        """A busy machine may just be electing one."""
        leaders = []

        def leads():
            leaders[:] = [member for member in MEMBERS if re.search(
                r"^127.*, true, false", self.etcdctl(member, "endpoint", "status").stdout)]
            return leaders
        self.until(leads)
        return leaders[0]

    def start_worker(self, hold_ms=5):
        """Every second one belongs to the one group of clients, the others to the other."""
        number = len(self.workers)
        url = "etcd://" + ",".join(self.endpoints.values()) + "?ttl=2s"
        command = self.network.within(CLIENTS[number % 2], [TURNS, "x", str(hold_ms)])
        self.workers.append(Worker(number, command, url))
        return self.workers[-1]

    def start_workers(self):
        for _ in range(4):
            self.start_worker()
        self.go_on(self.workers)

    def start_holder(self):
        """In the first group of clients, one that has its turn now and would keep it for ever."""
        holder = self.start_worker(hold_ms=3600 * 1000)
        self.until(lambda: holder.turns >= 1)
        return holder

    def go_on_without(self, holder):
        self.go_on([worker for worker in self.workers if worker is not holder])

    def stop_workers(self):
        workers, self.workers = self.workers, []
        for worker in workers:
            worker.stop()
        return workers

    def go_on(self, workers):
        """Until each of them has had five turns more."""
        goals = [(worker, worker.turns + 5) for worker in workers]
        self.until(lambda: all(worker.turns >= goal for worker, goal in goals))

    def clients(self, group):
        return [worker for worker in self.workers if CLIENTS[worker.number % 2] == group]

    def judge_history(self):
        """Nobody held what another held, and tokens rose, in some order that the moments allow."""
        history = "".join(step for worker in self.stop_workers() for step in worker.steps)
        judged = subprocess.run([self.judge], input=history, capture_output=True, text=True, cwd=self.folder, check=False)
        self.assertEqual(judged.returncode, 0, judged.stdout + judged.stderr)

    def test_the_leader_is_cut_off(self):
        """The others elect one and everybody goes on; nobody held what another held."""
        self.start_workers()
        leader = self.leader()
        self.network.cut(leader)
        self.go_on(self.workers)
        self.network.heal(leader)
        self.until(self.all_healthy)
        self.go_on(self.workers)
        self.judge_history()

    def test_each_member_stands_still_dies_and_comes_back(self):
        self.start_workers()
        for member in MEMBERS:
            self.members[member].signal(signal.SIGSTOP)
            self.go_on(self.workers)
            self.members[member].signal(signal.SIGCONT)
            self.go_on(self.workers)
            self.members[member].end()
            self.go_on(self.workers)
            self.start_member(member)
            self.until(self.all_healthy)
        self.judge_history()

    def test_each_follower_is_cut_off(self):
        self.start_workers()
        leader = self.leader()
        for member in [name for name in MEMBERS if name != leader]:
            self.network.cut(member)
            self.go_on(self.workers)
            self.network.heal(member)
            self.until(self.all_healthy)
        self.judge_history()

    def test_a_group_of_clients_is_cut_off(self):
        """What they hold is lost to them before the others, who go on, are granted it."""
        self.start_workers()
        holder = self.start_holder()
        self.network.cut("c0")
        self.go_on(self.clients("c1"))
        self.until(lambda: holder.ends() >= 1)
        holder.process.kill()
        self.network.heal("c0")
        self.go_on_without(holder)
        self.judge_history()

    def test_all_clients_are_cut_off(self):
        """Who holds loses in time; all go on when the network is there again."""
        self.start_workers()
        holder = self.start_holder()
        self.network.cut("c0")
        self.network.cut("c1")
        self.until(lambda: holder.ends() >= 1)
        holder.process.kill()
        self.network.heal("c0")
        self.network.heal("c1")
        self.go_on_without(holder)
        self.judge_history()

    def test_a_group_of_clients_is_with_the_minority(self):
        """They reach only a member without its cluster; the others go on."""
        self.start_workers()
        holder = self.start_holder()
        minority = self.leader()
        others = [member for member in MEMBERS if member != minority]
        for member in others:
            self.network.cut_between(minority, member)
            self.network.cut_between("c0", member)
        self.network.cut_between("c1", minority)
        self.go_on(self.clients("c1"))
        self.until(lambda: holder.ends() >= 1)
        holder.process.kill()
        for member in others:
            self.network.heal_between(minority, member)
            self.network.heal_between("c0", member)
        self.network.heal_between("c1", minority)
        self.go_on_without(holder)
        self.judge_history()

    def test_two_members_do_not_reach_each_other(self):
        """Each reaches the third: whoever leads, everybody goes on."""
        self.start_workers()
        for one, other in (("m0", "m1"), ("m1", "m2"), ("m0", "m2")):
            self.network.cut_between(one, other)
            self.go_on(self.workers)
            self.network.heal_between(one, other)
        self.judge_history()

    def test_links_come_and_go(self):
        """One cut after another, by a seed that is told: of a node or between two, healed at the next turns."""
        seed = random.randrange(2**32)
        with self.subTest(seed=seed):
            chance = random.Random(seed)
            self.start_workers()
            for _ in range(12):
                self.one_cut(chance)
            self.go_on(self.workers)
            self.judge_history()

    def one_cut(self, chance):
        if chance.random() < 0.5:
            node = chance.choice(MEMBERS + CLIENTS)
            self.network.cut(node)
            self.go_on([worker for worker in self.workers if CLIENTS[worker.number % 2] != node][:1])
            self.network.heal(node)
        else:
            one, other = chance.sample(MEMBERS, 2)
            self.network.cut_between(one, other)
            self.go_on(self.workers[:1])
            self.network.heal_between(one, other)
