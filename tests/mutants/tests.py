"""Tests as the lists name them, without a shell: `unit test_client`, `edges test_pids.Holders`, …

    unit PROGRAM | simulation ARGUMENT… | integration TEST | edges TEST | etcd TEST | kubernetes TEST
    python NAME | node NAME | java NAME | dotnet NAME | rust NAME | go NAME, as in bindings.sh
"""
import os
import re
import subprocess

from mutants import BINDINGS, CORE, LANGUAGES, LISTS, ROOT

# With sanitizers what runs by itself; what is driven from Python as it is delivered, but for its assertions.
SANITIZED = ROOT / "build-asan"
DEBUG = ROOT / "build-debug"
FOLDERS = ("integration", "edges", "etcd", "kubernetes")
# Sanitizers do not outlive a fork.
UNSANITIZED = ("unit test_fork",)
# What those tests start.
NOT_STARTED = re.compile(r"(test_|fuzz_|bench$|constant$|simulation$)")


def build_of(test):
    return DEBUG if test in UNSANITIZED or test.partition(" ")[0] in FOLDERS else SANITIZED


def programs(build, of_a_kind):
    names = subprocess.run(["ninja", "-C", str(build), "-t", "targets", "all"],
                           check=True, capture_output=True, text=True).stdout
    return sorted(name for name in re.findall(r"^(bin/[^:]+): \S*EXECUTABLE_LINKER", names, re.MULTILINE)
                  if of_a_kind(name.removeprefix("bin/")))


def build(test):
    """What builds anew what it looks at."""
    kind, _, name = test.partition(" ")
    if kind in LANGUAGES:
        return in_language("build", kind, name)
    return ["ninja", "-C", str(build_of(test)), *needs(test)]


def in_language(verb, language, name):
    return ["sh", str(LISTS / "bindings.sh"), verb, language, *([name] if name else [])]


def needs(test):
    """The programs to be built for it."""
    kind, _, name = test.partition(" ")
    if kind == "unit":
        return [f"bin/{name}"]
    if kind == "simulation":
        return ["bin/simulation"]
    return programs(DEBUG, lambda program: not NOT_STARTED.match(program))


def command(test):
    """What runs it, in which folder."""
    kind, _, name = test.partition(" ")
    if kind == "unit":
        return [str(build_of(test) / "bin" / name)], ROOT
    if kind == "simulation":
        return [str(SANITIZED / "bin" / "simulation"), *name.split()], ROOT
    if kind in FOLDERS:
        return ["python3", "-m", "unittest", "--failfast", *name.split()], ROOT / "tests" / kind
    if kind in LANGUAGES:
        return in_language("test", kind, name), ROOT
    raise SystemExit(f"mutants: what is {test!r}?")


def environment(test):
    # One that hangs has failed, and its world is not waited for.
    return {"MPSYNC_PATIENCE_S": "60", **os.environ, "MPSYNC_BUILD": str(ROOT / "build" if test.partition(" ")[0] in LANGUAGES else DEBUG),
            "KUBEBUILDER_ASSETS": os.environ.get("KUBEBUILDER_ASSETS", str(ROOT / "build" / "kubernetes"))}


# Which tests look at what: by the beginnings of paths below core/, the first that fits counts.
AREAS = (
    ("elector/", ["unit test_sessions", "unit test_adoption", "unit test_tombstones", "unit test_id_table",
                  "edges test_elector", "integration test_http", "integration test_holders", "integration test_faults"]),
    ("cli/", ["edges test_command", "integration test_command_line"]),
    ("libmpsync/stores/sqlite/", ["edges test_pids", "edges test_order", "edges test_file", "integration test_holders",
                                 "integration test_command_line", "integration test_faults"]),
    ("libmpsync/base/process", ["edges test_pids", "edges test_command", "integration test_holders"]),
    ("libmpsync/stores/etcd/", ["unit test_etcd_names", "simulation --seeds 300", "edges test_etcd", "etcd test_etcd"]),
    ("libmpsync/stores/kubernetes/", ["unit test_lease", "edges test_kubernetes", "kubernetes test_kubernetes"]),
    ("libmpsync/stores/elector/", ["simulation --seeds 300", "edges test_elector", "integration test_holders",
                                  "integration test_faults", "integration test_http"]),
    ("libmpsync/", ["unit test_client", "unit test_queue", "unit test_engine", "unit test_records",
                    "edges test_handles", "integration test_holders", "integration test_faults",
                    "integration test_command_line", "unit test_memory"]),
)


def exists(test):
    kind, _, name = test.partition(" ")
    if kind == "unit":
        return (SANITIZED / "bin" / name).exists()
    return kind == "simulation" or (ROOT / "tests" / kind / f"{name}.py").exists()


def all_of(file):
    """Every test that looks at what this file does, the quick ones first."""
    if file.is_relative_to(BINDINGS):
        return [file.relative_to(BINDINGS).parts[0]]
    tests = next(tests for start, tests in AREAS if str(file.relative_to(CORE)).startswith(start))
    return [test for test in tests if exists(test)]


def who_failed(test, said):
    """The test that noticed, of those that one program or module has."""
    failed = re.search(r"^(?:FAIL|ERROR): \w+ \(([\w.]+)\)", said, re.MULTILINE)
    kind = test.partition(" ")[0]
    return f"{kind} {failed[1]}" if failed and kind in (*FOLDERS, "python") else test
