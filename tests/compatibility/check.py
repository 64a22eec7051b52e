"""Runs the programs of a folder as they were written for the first Metaparticle Sync, over a file and an elector.

check.py FOLDER COMMAND…: for each NAME.expected in FOLDER, COMMAND with its {} replaced by NAME prints these
lines, the last of which is its exit code. A program finds in MPSYNC the command with which it lets itself lose.
"""
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.request

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests/integration"))
from support import MPSYNC, PATIENCE_S, free_port  # noqa: E402


def start_elector(folder):
    port = free_port()
    elector = subprocess.Popen(
        [MPSYNC, "elector", "--store", f"file:{folder}/elector.db", "--allow-force", "--listen", f"127.0.0.1:{port}"],
        env={**os.environ, "XDG_STATE_HOME": folder}, stderr=subprocess.DEVNULL)
    url = f"http://127.0.0.1:{port}"
    end = time.monotonic() + PATIENCE_S
    while True:
        try:
            urllib.request.urlopen(url + "/healthz").close()
            return elector, url
        except OSError:
            if elector.poll() is not None or time.monotonic() > end:
                raise
            time.sleep(0.01)


def run(command, url):
    done = subprocess.run(command, env={**os.environ, "MPSYNC_URL": url, "MPSYNC": MPSYNC}, text=True,
                          stdout=subprocess.PIPE, timeout=4 * PATIENCE_S, check=False)
    return f"{done.stdout}exit {done.returncode}\n"


def main(folder, *command):
    failures = 0
    state = tempfile.mkdtemp(prefix="mpsync-old-")
    elector, elector_url = start_elector(state)
    try:
        for expected in sorted(pathlib.Path(folder).glob("*.expected")):
            for url in (f"file:{state}/{expected.stem}.db", elector_url):
                told = run([word.replace("{}", expected.stem) for word in command], url)
                if told != expected.read_text():
                    failures += 1
                    print(f"{expected.stem} over {url}:\n{told}expected:\n{expected.read_text()}")
    finally:
        elector.terminate()
        elector.wait()
        # Processes of a program that has ended may still be ending, and write.
        shutil.rmtree(state, ignore_errors=True)
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
