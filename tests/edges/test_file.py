"""What a file is to those who lock in it: one thing, whatever its name, and whoever else has it open."""
import contextlib
import os
import pathlib
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import threading

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "integration"))
from support import BUILD, MPSYNC, Case  # noqa: E402

LIBRARY = str(BUILD / "lib" / "libmpsync.so")
EMBEDDER = str(pathlib.Path(__file__).resolve().parent / "embedder.py")
PARTS = ("", "-wal", "-shm", "-notify")
NOBODY = ("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups")


def preloaded():
    """A library with sanitizers wants theirs to be there before all others; Python itself leaks."""
    sanitizer = os.environ.get("MPSYNC_PRELOAD")
    return {"LD_PRELOAD": sanitizer, "ASAN_OPTIONS": "detect_leaks=0"} if sanitizer else {}


class FileCase(Case):
    def setUp(self):
        super().setUp()
        self.path = f"{self.folder}/locks.db"

    def embedder(self, folder=None):
        environment = {"PYTHONUNBUFFERED": "1", **preloaded()}
        process = self.start([sys.executable, EMBEDDER], environment)
        if folder:
            self.ask(process, f"enter {folder}")
        return process

    def ask(self, process, text, answer=""):
        process.send(text)
        return process.expect(answer)

    def open(self, process, client, url=None, copy=LIBRARY):
        self.assertEqual(self.ask(process, f"open {client} {copy} {url or self.file_url}"), "opened")

    def copy_of_the_library(self):
        copy = f"{self.folder}/copy-of-libmpsync.so"
        shutil.copy(LIBRARY, copy)
        return copy

    def holds(self, process, client, name):
        self.assertTrue(self.ask(process, f"take {client} {name} 0").startswith("took"))

    def is_taken(self, name, url=None):
        """To another process."""
        done = self.mpsync("lock", name, "--wait", "0", "--", "true", url=url)
        self.assertIn("held", done.stderr)
        self.assertNotEqual(done.returncode, 0)

    def is_sound(self):
        with sqlite3.connect(self.path) as connection:
            self.assertEqual(connection.execute("pragma integrity_check").fetchall(), [("ok",)])


class OneProcess(FileCase):
    def test_several_clients_of_one_file(self):
        """The second does not cost the first its locks, whatever others do with the file meanwhile."""
        host = self.embedder()
        self.open(host, "one")
        self.open(host, "two", self.file_url + "?ttl=30s")
        self.holds(host, "one", "a")
        self.mpsync("ls", check=0)
        self.holds(host, "one", "b")
        self.is_taken("b")
        self.assertNotEqual(self.ask(host, "take two a 0")[:4], "took")
        self.is_sound()

    def test_the_end_of_one_client_leaves_the_other(self):
        host = self.embedder()
        self.open(host, "one")
        self.open(host, "two")
        self.holds(host, "one", "a")
        self.ask(host, "close two", "closed")
        self.mpsync("ls", check=0)
        self.holds(host, "one", "b")
        self.is_taken("a")
        self.is_taken("b")

    def test_a_program_that_reads_its_own_file(self):
        """Closing it drops the process's locks, which are not those that count."""
        host = self.embedder()
        self.open(host, "one")
        self.holds(host, "one", "a")
        for part in PARTS:
            self.ask(host, f"look {self.path}{part}", "looked")
        self.mpsync("ls", check=0)
        self.holds(host, "one", "b")
        self.is_taken("a")
        self.is_taken("b")
        self.is_sound()

    def test_two_copies_of_the_library(self):
        """As of two class loaders, or of two languages in one process."""
        host = self.embedder()
        self.open(host, "one")
        self.open(host, "two", copy=self.copy_of_the_library())
        self.holds(host, "one", "a")
        self.assertIn("failed", self.ask(host, "take two a 0"))
        self.holds(host, "two", "b")
        self.assertIn("failed", self.ask(host, "take one b 0"))
        self.ask(host, "close two", "closed")
        self.mpsync("ls", check=0)
        self.is_taken("a")
        self.holds(host, "one", "c")
        self.is_taken("c")
        self.is_sound()

    def test_many_threads_in_two_copies(self):
        host = self.embedder()
        copies = {"one": LIBRARY, "two": self.copy_of_the_library()}
        names = [f"{copy}{number}" for copy in copies for number in range(3)]
        for name in names:
            self.open(host, name, copy=copies[name[:3]])
        self.assertEqual(self.ask(host, f"turns {','.join(names)} 20", "turns"), "turns []")
        self.mpsync("ls", check=0)
        self.is_sound()

    def test_a_forked_child_has_a_client_of_its_own(self):
        """It takes none of its parent's locks for its own, and loses none with its parent."""
        fifo = f"{self.folder}/fifo"
        os.mkfifo(fifo)
        host = self.embedder()
        self.open(host, "one")
        self.holds(host, "one", "a")
        self.assertEqual(self.ask(host, f"fork {fifo}"), "forked")
        with open(fifo, "w", buffering=1, encoding="utf-8") as commands:
            def ask_child(text):
                commands.write(text + "\n")
                return host.expect("")

            self.assertEqual(ask_child(f"open two {LIBRARY} {self.file_url}"), "opened")
            self.assertIn("failed", ask_child("take two a 0"))
            self.assertIn("took", ask_child("take two b 0"))
            # It asks the kernel for locks of its own: what SQLite knew of its parent's would let it write at once.
            with contextlib.closing(sqlite3.connect(self.path, isolation_level=None)) as other:
                other.execute("BEGIN IMMEDIATE")
                self.assertIn("failed", ask_child("take two d 0"))
            self.assertIn("failed", self.ask(host, "take one b 0"))
            self.ask(host, "close one", "closed")
            self.mpsync("lock", "a", "--wait", "0", "--", "true", check=0)
            self.is_taken("b")
            self.assertIn("took", ask_child("take two c 0"))
            self.is_taken("c")
            self.open(host, "three")
            self.assertIn("failed", self.ask(host, "take three b 0"))
            self.assertEqual(ask_child("held two b"), "held 1")
            self.is_sound()


class Busy(FileCase):
    """Another program writes the file just now, as a backup does."""

    def lock_out(self):
        self.mpsync("ls", check=0)
        other = sqlite3.connect(self.path, isolation_level=None)
        self.addCleanup(other.close)
        other.execute("BEGIN IMMEDIATE")
        return other

    def test_a_check_says_what_keeps_it(self):
        self.lock_out()
        done = self.mpsync("doctor")
        self.assertNotEqual(done.returncode, 0)
        self.assertIn("another program keeps", done.stdout + done.stderr)


class Spellings(FileCase):
    def test_the_path_is_fixed_when_the_client_opens(self):
        first, other = f"{self.folder}/first", f"{self.folder}/other"
        os.mkdir(first)
        os.mkdir(other)
        host = self.embedder(first)
        self.open(host, "one", "file:rel.db")
        self.ask(host, f"enter {other}", "entered")
        self.holds(host, "one", "a")
        self.assertEqual(os.listdir(other), [])
        self.is_taken("a", f"file:{first}/rel.db")
        self.assertEqual(self.ask(host, "url one", "url"), f"url file:{first}/rel.db")

    def test_a_command_is_told_the_whole_path(self):
        """From wherever it looks, and whatever is in the name."""
        os.mkdir(f"{self.folder}/a b%?")
        os.mkdir(f"{self.folder}/other")
        done = subprocess.run(
            [MPSYNC, "lock", "x", "--", "sh", "-c", "cd ../other && mpsync lock x --wait 0 -- true; echo $?"],
            cwd=f"{self.folder}/a b%?", capture_output=True, text=True, check=False,
            env={**os.environ, "MPSYNC_URL": "file:rel.db?ttl=20s",
                 "PATH": f"{os.path.dirname(MPSYNC)}:{os.environ['PATH']}"})
        self.assertNotEqual(done.stdout.strip(), "0", done.stderr)
        self.assertEqual(os.listdir(f"{self.folder}/other"), [])
        self.assertIn("rel.db", os.listdir(f"{self.folder}/a b%?"))

    def test_hard_links_are_refused(self):
        holder = self.probe(self.file_url)
        holder.send("acquire s -1")
        holder.expect("held s")
        os.link(self.path, f"{self.folder}/other.db")
        done = self.mpsync("lock", "s", "--wait", "0", "--", "true", url=f"file:{self.folder}/other.db")
        self.assertNotEqual(done.returncode, 0)
        self.assertIn("hard link", done.stderr)
        holder.send("held s")
        self.assertEqual(holder.expect("is_held s"), "is_held s 1")

    def test_links_beside_it_are_refused(self):
        """What is written into -wal, -shm or the notification file would be written into somebody's file."""
        precious = pathlib.Path(self.folder, "precious")
        precious.write_text("precious")
        for part in PARTS[1:]:
            for link in (os.link, os.symlink):
                link(precious, self.path + part)
                done = self.mpsync("lock", "s", "--wait", "0", "--", "true")
                self.assertNotEqual(done.returncode, 0)
                self.assertIn(self.path + part, done.stderr)
                self.assertIn("link", done.stderr)
                os.unlink(self.path + part)
        self.assertEqual(precious.read_text(), "precious")
        self.mpsync("lock", "s", "--wait", "0", "--", "true", check=0)

    def test_a_file_that_is_mounted_alone_is_refused(self):
        """-wal and -shm are not beside it: it would be two databases on one file."""
        self.mpsync("ls", check=0)
        pathlib.Path(f"{self.folder}/mounted.db").touch()
        script = f"mount --bind {self.path} {self.folder}/mounted.db && exec {MPSYNC} ls"
        done = subprocess.run(["unshare", "-m", "sh", "-c", script], capture_output=True, text=True,
                              env={**os.environ, "MPSYNC_URL": f"file:{self.folder}/mounted.db"}, check=False)
        self.assertNotEqual(done.returncode, 0)
        self.assertIn("mount its folder", done.stderr)

    def test_hand_over_through_a_symbolic_link(self):
        """At once, and not when the right has run out: the right is an hour long."""
        os.symlink("locks.db", f"{self.folder}/link.db")
        os.symlink(self.folder, f"{self.folder}/here")
        holder = self.probe(f"file:{self.folder}/here/link.db", ttl="1h")  # there is no file yet
        holder.send("acquire x -1")
        holder.expect("held x")
        waiter = self.probe(self.file_url, ttl="1h")
        waiter.send("acquire x -1")
        waiter.expect("waiting x")
        holder.send("release x")
        holder.expect("released x")
        waiter.expect("held x")
        self.assertEqual(sorted(os.listdir(self.folder)),
                         ["here", "link.db"] + [f"locks.db{part}" for part in sorted(PARTS)])

    def refused(self, url, *words):
        done = self.mpsync("ls", url=url)
        self.assertNotEqual(done.returncode, 0)
        for word in words:
            self.assertIn(word, done.stderr)

    def test_a_missing_folder_is_named(self):
        self.refused(f"file:{self.folder}/no/such/x.db", f"{self.folder}/no/such", "does not exist")
        self.assertEqual(os.listdir(self.folder), [])

    def test_a_tilde_is_refused(self):
        done = subprocess.run([MPSYNC, "ls", "--url", "file:~/x.db"], cwd=self.folder,
                              capture_output=True, text=True, check=False)
        self.assertNotEqual(done.returncode, 0)
        self.assertIn("$HOME", done.stderr)
        self.assertEqual(os.listdir(self.folder), [])

    def test_only_the_default_location_is_made(self):
        environment = {**os.environ, "HOME": self.folder}
        environment.pop("XDG_STATE_HOME", None)
        subprocess.run([MPSYNC, "ls", "--url", "file:"], env=environment, check=True)
        self.assertTrue(os.path.exists(f"{self.folder}/.local/state/mpsync/locks.db"))

    def test_a_folder_is_no_file(self):
        self.refused(f"file:{self.folder}", "not a file")
        self.refused(f"file:{self.folder}/", "not a file")


class Hands(FileCase):
    def hold(self, ttl="15s"):
        holder = self.probe(self.file_url, ttl=ttl)
        holder.send("acquire x -1")
        return holder, int(holder.expect("held x").split()[2])

    def is_lost_when(self, *parts):
        """Told by a renewal, which comes in a sixth of the ttl."""
        holder, token = self.hold()
        for part in parts:
            os.unlink(self.path + part)
        self.assertIn("deleted", holder.expect("lost x"))
        holder.send("acquire x -1")
        self.assertGreater(int(holder.expect("held x").split()[2]), token)
        self.is_taken("x")
        self.is_sound()

    def test_all_removed(self):
        self.is_lost_when(*PARTS)

    def test_database_removed(self):
        self.is_lost_when("")

    def test_wal_removed(self):
        self.is_lost_when("-wal")

    def test_shm_removed(self):
        self.is_lost_when("-shm")

    def test_notification_file_removed(self):
        self.is_lost_when("-notify")

    def test_taken_in_the_new_file(self):
        """The former holder is told, and what it closes is not the new file's."""
        holder, token = self.hold()
        for part in PARTS:
            os.unlink(self.path + part)
        other = self.probe(self.file_url)
        other.send("acquire x -1")
        self.assertGreater(int(other.expect("held x").split()[2]), token)
        holder.expect("lost x")
        holder.send("quit")
        holder.child.wait()
        self.is_taken("x")
        other.send("acquire y -1")
        other.expect("held y")
        self.is_taken("y")
        self.is_sound()

    def test_moved_away(self):
        holder, _ = self.hold()
        os.rename(self.path, f"{self.folder}/moved.db")
        self.assertIn("deleted", holder.expect("lost x"))

    def test_wal_replaced(self):
        """By a copy of itself, as somebody does who restores a backup: another file, whatever it holds."""
        holder, token = self.hold()
        shutil.copy(self.path + "-wal", f"{self.folder}/copy")
        os.rename(f"{self.folder}/copy", self.path + "-wal")
        holder.expect("lost x")
        holder.send("acquire x -1")
        self.assertGreater(int(holder.expect("held x").split()[2]), token)
        self.is_taken("x")
        self.is_sound()

    def test_every_client_of_the_process_is_told(self):
        host = self.embedder()
        self.open(host, "one", self.file_url + "?ttl=15s")
        self.open(host, "two", self.file_url + "?ttl=1h")
        self.holds(host, "one", "a")
        self.holds(host, "two", "b")
        os.unlink(self.path + "-shm")
        self.until(lambda: self.ask(host, "held one a", "held") == "held 0")
        self.holds(host, "one", "c")
        self.is_taken("c")
        self.holds(host, "two", "d")
        self.is_taken("d")
        self.is_sound()

    def test_the_wal_of_another(self):
        """It says which file, and how to go on; and so it goes on."""
        holder, _ = self.hold(ttl="1h")  # it writes nothing more over what follows
        size = os.path.getsize(self.path + "-wal")
        with open(self.path + "-wal", "r+b") as wal:
            wal.write(b"garbage " * (size // 8))
        done = self.mpsync("lock", "y", "--wait", "0", "--", "true")
        self.assertNotEqual(done.returncode, 0)
        self.assertIn(self.path + "-wal", done.stderr)
        self.assertIn("delete it", done.stderr)
        holder.signal(signal.SIGKILL)
        holder.child.wait()
        os.unlink(self.path + "-wal")
        os.unlink(self.path + "-shm")
        self.mpsync("lock", "y", "--wait", "5m", "--", "true", check=0)


class Users(FileCase):
    def setUp(self):
        super().setUp()
        os.chmod(self.folder, 0o755)

    def as_nobody(self, *arguments, url=None):
        return subprocess.run([*NOBODY, MPSYNC, *arguments], capture_output=True, text=True, check=False,
                              env={**os.environ, "MPSYNC_URL": url or self.file_url, "HOME": "/"})

    def modes(self):
        return {part: os.stat(self.path + part).st_mode & 0o7777 for part in PARTS}

    def test_the_owners_alone_whatever_the_umask(self):
        self.probe(self.file_url)
        self.assertEqual(set(self.modes().values()), {0o600})

    def test_shared_by_a_group(self):
        os.chmod(self.folder, 0o777)
        previous = os.umask(0o077)
        self.addCleanup(os.umask, previous)
        holder = self.probe(self.file_url + "?mode=0660&group=65534")
        os.umask(previous)
        self.assertEqual(set(self.modes().values()), {0o660})
        self.assertEqual({os.stat(self.path + part).st_gid for part in PARTS}, {65534})
        holder.send("acquire x -1")
        holder.expect("held x")
        self.assertIn("held", self.as_nobody("lock", "x", "--wait", "0", "--", "true").stderr)
        self.assertEqual(self.as_nobody("lock", "y", "--wait", "0", "--", "true").returncode, 0)
        holder.send("acquire y 0")
        holder.expect("held y")

    def test_made_by_another_of_the_group(self):
        """What the next one makes beside it is for all of them, too."""
        os.chmod(self.folder, 0o777)
        self.mpsync("ls", url=self.file_url + "?mode=0660&group=65534", check=0)
        for part in PARTS[1:]:
            os.unlink(self.path + part)
        self.assertEqual(self.as_nobody("lock", "y", "--wait", "0", "--", "true").returncode, 0)
        self.assertEqual(set(self.modes().values()), {0o660})
        self.mpsync("lock", "y", "--wait", "0", "--", "true", check=0)

    def test_a_mode_that_makes_no_sense(self):
        for mode in ("0060", "660x", "0777", "rw", ""):
            done = self.mpsync("ls", url=self.file_url + f"?mode={mode}")
            self.assertNotEqual(done.returncode, 0)
            self.assertIn("mode", done.stderr)

    def test_a_list_for_those_who_may_only_read(self):
        holder = self.probe(self.file_url + "?mode=0644")
        holder.send("acquire x -1")
        holder.expect("held x")
        done = self.as_nobody("ls")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("x", done.stdout)
        done = self.as_nobody("lock", "y", "--wait", "0", "--", "true")
        self.assertNotEqual(done.returncode, 0)
        self.assertIn("no permission", done.stderr)
        holder.send("quit")
        holder.child.wait()
        self.assertEqual(self.as_nobody("ls").returncode, 0)
        os.unlink(self.path + "-shm")
        os.unlink(self.path + "-wal")
        done = self.as_nobody("ls")
        self.assertNotEqual(done.returncode, 0)
        self.assertIn("-shm", done.stderr)

    def test_a_folder_in_which_the_kernel_protects_files(self):
        """Where it does (fs.protected_regular), the folder and the cure are named; else it works."""
        folder = tempfile.mkdtemp(prefix="mpsync-sticky-")
        self.addCleanup(shutil.rmtree, folder, True)
        os.chmod(folder, 0o1777)
        url = f"file:{folder}/locks.db"
        protected = int(pathlib.Path("/proc/sys/fs/protected_regular").read_text())
        os.chown(folder, 1, 1)
        self.probe(url + "?mode=0666")
        done = self.as_nobody("lock", "y", "--wait", "0", "--", "true", url=url)
        if protected:
            self.assertIn(folder, done.stderr)
            self.assertIn("sticky", done.stderr)
            self.assertIn("group's own", done.stderr)
        else:
            self.assertEqual(done.returncode, 0, done.stderr)

    def test_somebody_elses_file(self):
        self.mpsync("ls", check=0)
        done = self.as_nobody("ls")
        self.assertNotEqual(done.returncode, 0)
        self.assertIn(self.path, done.stderr)


class Values(FileCase):
    def test_a_value_is_stored_or_it_is_an_error(self):
        """Another process keeps the file locked for longer than a write is patient."""
        elector = self.elector(self.file_url)
        claim = {"holder": "me", "claim": "5" * 32, "ttl": "30s", "value": "old"}
        status, lock = self.http(elector.port, "PUT", "/locks/x", claim)
        self.assertEqual(status, 200)
        other = sqlite3.connect(self.path, isolation_level=None)
        other.execute("begin immediate")
        timer = self.start(["sleep", "3"])
        answers = []
        thread = threading.Thread(target=lambda: answers.append(self.http(
            elector.port, "PUT", "/locks/x",
            {**claim, "value": "new", "token": lock["spec"]["token"]})))
        thread.start()
        timer.child.wait()
        other.execute("rollback")
        other.close()
        thread.join()
        status, answer = answers[0]
        with sqlite3.connect(self.path) as connection:
            stored = connection.execute("select value from lock where name='x'").fetchone()[0]
        if status == 200:
            self.assertEqual((answer["spec"]["value"], stored), ("new", "new"))
        else:
            self.assertEqual(status, 503)
