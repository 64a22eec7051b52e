"""Runs a folder's unittest tests, several at a time: they mostly wait.

    apart.py COUNT [TEST…]    otherwise as `python3 -m unittest -v [TEST…]` in the same folder

Each class has a process of its own, but those of a module that are `together` share one, and what takes long to start.
"""
import concurrent.futures
import re
import subprocess
import sys
import time
import unittest

sys.path.insert(0, "")


def cases(suite):
    for test in suite:
        if isinstance(test, unittest.TestSuite):
            yield from cases(test)
        else:
            yield test


def tests_of(loader, names):
    tests = list(cases(loader.loadTestsFromNames(names) if names else loader.discover(".")))
    if loader.errors or not tests:
        sys.exit("\n".join(loader.errors) or "apart.py: there are no tests")
    return tests


def groups_of(tests):
    """Those that say so first, then the largest. Each lists its tests by name: those run that were found."""
    groups, early = {}, set()
    for test in tests:
        case = type(test)
        key = (case.__module__, getattr(case, "together", case.__qualname__))
        groups.setdefault(key, []).append(test.id())
        if getattr(case, "begins_early", False):
            early.add(key)
    return [groups[key] for key in sorted(groups, key=lambda key: (key in early, len(groups[key])), reverse=True)]


def run(group):
    return subprocess.run([sys.executable, "-m", "unittest", "-v", *group], stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, text=True, errors="replace", check=False)


def main(count, *names):
    began = time.monotonic()
    tests = tests_of(unittest.TestLoader(), names)
    ran, failed = 0, []
    with concurrent.futures.ThreadPoolExecutor(int(count)) as pool:
        for done in pool.map(run, groups_of(tests)):
            ran += sum(int(number) for number in re.findall(r"^Ran (\d+) tests? in", done.stdout, re.MULTILINE))
            if done.returncode:
                failed.append(done.stdout)
            else:
                print(done.stdout, flush=True)
    print(*failed, sep="\n")
    print(f"{'-' * 70}\nRan {ran} of {len(tests)} tests in {time.monotonic() - began:.3f}s, {count} at a time\n")
    print(f"FAILED: {len(failed)} groups" if failed else "OK")
    return 1 if failed or ran != len(tests) else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
