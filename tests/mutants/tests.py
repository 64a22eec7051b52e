"""Tests as the lists name them, without a shell: `unit test_client`, `edges test_pids.Holders`, …

    unit PROGRAM | simulation ARGUMENT… | integration TEST | edges TEST | etcd TEST | kubernetes TEST
"""
import os
import re
import subprocess

from mutants import ROOT

BUILD = ROOT / "build-asan"
FOLDERS = ("integration", "edges", "etcd", "kubernetes")
# What those tests start.
NOT_STARTED = re.compile(r"(test_|fuzz_|bench$|constant$|simulation$)")


def programs(of_a_kind):
    names = subprocess.run(["ninja", "-C", str(BUILD), "-t", "targets", "all"],
                           check=True, capture_output=True, text=True).stdout
    return sorted(name for name in re.findall(r"^(bin/[^:]+): \S*EXECUTABLE_LINKER", names, re.MULTILINE)
                  if of_a_kind(name.removeprefix("bin/")))


def needs(test):
    """The programs to be built for it."""
    kind, _, name = test.partition(" ")
    if kind == "unit":
        return [f"bin/{name}"]
    if kind == "simulation":
        return ["bin/simulation"]
    return programs(lambda program: not NOT_STARTED.match(program))


def command(test):
    """What runs it, in which folder."""
    kind, _, name = test.partition(" ")
    if kind == "unit":
        return [str(BUILD / "bin" / name)], ROOT
    if kind == "simulation":
        return [str(BUILD / "bin" / "simulation"), *name.split()], ROOT
    if kind in FOLDERS:
        return ["python3", "-m", "unittest", "--failfast", *name.split()], ROOT / "tests" / kind
    raise SystemExit(f"mutants: what is {test!r}?")


def environment():
    return {**os.environ, "MPSYNC_BUILD": str(BUILD),
            "KUBEBUILDER_ASSETS": os.environ.get("KUBEBUILDER_ASSETS", str(ROOT / "build" / "kubernetes"))}


def all_of(file):
    """Every test that could notice a mistake in this file, the quick ones first."""
    name = file.name
    units = [f"unit {program.removeprefix('bin/')}"
             for program in programs(lambda program: program.startswith("test_"))]
    answer = units + ["simulation --seeds 300", "edges", "integration"]
    if name.startswith("etcd") or name in ("http.c", "observers.c"):
        answer.append("etcd test_etcd")
    if name.startswith(("kube", "lease", "records", "yaml", "http", "observers")):
        answer.append("kubernetes test_kubernetes")
    return answer
