"""One mutant in a world of its own: its change lies over the sources and their build, which stay as they are.

Run by run.py in new namespaces of mounts, processes and network: what the tests leave behind is gone
with them. It reads what to do as JSON and answers with one line of it.
"""
import json
import pathlib
import subprocess
import sys

from mutants import ROOT
from tests import build, command, environment, who_failed


def overlay(folder):
    subprocess.run(["mount", "-t", "tmpfs", "world", folder], check=True)
    upper, work = (pathlib.Path(folder, name) for name in ("upper", "work"))
    upper.mkdir()
    work.mkdir()
    subprocess.run(["mount", "-t", "overlay", "world", "-o", f"lowerdir={ROOT},upperdir={upper},workdir={work}",
                    str(ROOT)], check=True)
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    # The names of network namespaces, which tests make by their process id.
    pathlib.Path("/run/netns").mkdir(exist_ok=True)
    subprocess.run(["mount", "-t", "tmpfs", "names", "/run/netns"], check=True)


def run(test):
    words, folder = command(test)
    return subprocess.run(words, cwd=folder, env=environment(test), stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace", check=False)


def answer(**what):
    print(json.dumps(what), flush=True)


def main():
    order = json.load(sys.stdin)
    overlay(order["folder"])
    if order["file"]:
        pathlib.Path(order["file"]).write_text(order["content"])
    for test in order["tests"]:
        built = subprocess.run(build(test), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
        if built.returncode != 0:
            answer(outcome="not buildable", said=built.stdout)
            return
        # Known to whoever ends this world because the test does not end.
        answer(outcome="hangs", test=test)
        done = run(test)
        if done.returncode != 0:
            answer(outcome="fails", test=who_failed(test, done.stdout), said=done.stdout)
            return
    answer(outcome="passes")


if __name__ == "__main__":
    main()
