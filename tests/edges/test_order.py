"""The order among those who wait for one file, where a place in it gets lost."""
import contextlib
import pathlib
import sqlite3
import subprocess
import sys
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "integration"))
from support import PATIENCE_S, PROBE, Case  # noqa: E402


class LostPlaces(Case):
    def places(self):
        with contextlib.closing(sqlite3.connect(f"{self.folder}/locks.db", timeout=PATIENCE_S)) as database:
            return database.execute("SELECT count(*) FROM waiter").fetchone()[0]

    def take_all_places_away(self):
        with contextlib.closing(sqlite3.connect(f"{self.folder}/locks.db", timeout=PATIENCE_S)) as database, database:
            database.execute("DELETE FROM waiter")

    def contender(self, awaiting):
        contender = self.probe(self.file_url, ttl="1h")
        contender.send("acquire x -1")
        contender.expect(awaiting)
        return contender

    def test_waiter_whose_place_was_lost_takes_another(self):
        """As when the disk was full while it came: those who come later are not before it for ever."""
        self.contender("held x")
        self.contender("waiting x")
        self.until(lambda: self.places() == 1)
        self.take_all_places_away()
        # News of the file: the first waiter looks at it, and does not find itself.
        self.contender("waiting x")
        end = time.monotonic() + PATIENCE_S
        while self.places() != 2:
            self.assertLess(time.monotonic(), end, "one of the two has no place")
            threading.Event().wait(0.01)


class WithoutInotify(Case):
    def test_waiter_looks_again_and_again(self):
        """A user has 128 instances of it by default, and other programs take them."""
        holder = self.probe(self.file_url, ttl="1h")
        holder.send("acquire x -1")
        holder.expect("held x")
        waiter = self.start(["unshare", "--user", "--map-root-user", "sh", "-c",
                             f"echo 0 > /proc/sys/user/max_inotify_instances && exec {PROBE}"],
                            {"MPSYNC_URL": self.file_url, "MPSYNC_TTL": "1h"})
        waiter.expect("ready")
        waiter.send("acquire x -1")
        waiter.expect("waiting x")
        holder.send("release x")
        waiter.expect("held x")


class FullDisk(Case):
    def setUp(self):
        super().setUp()
        self.mount = pathlib.Path(self.folder, "small")
        self.mount.mkdir()
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m", "small", self.mount], check=True)
        self.addCleanup(subprocess.run, ["umount", "-l", self.mount])
        self.url = f"file:{self.mount}/locks.db"

    def fill(self):
        with contextlib.suppress(OSError), (self.mount / "filler").open("wb", buffering=0) as filler:
            while True:
                filler.write(bytes(4096))

    def take_turns(self, contender, count):
        for _ in range(count):
            contender.send("acquire x 60000")
            contender.expect("held x")
            contender.send("release x")
            contender.expect("released x")

    def test_turns_go_on(self):
        """They change the same few pages: what the -wal has by then is room enough, used again and again."""
        contender = self.probe(self.url)
        self.take_turns(contender, 3)
        self.fill()
        self.take_turns(contender, 50)

    def test_turns_do_not_fill_it(self):
        """A -wal that grew until the disk is full could not be copied into a database that has to grow as well."""
        contender = self.probe(self.url)
        self.take_turns(contender, 250)
        self.assertLess(sum(part.stat().st_size for part in self.mount.iterdir()), 2**20 * 3 // 2)
