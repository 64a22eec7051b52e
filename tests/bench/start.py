"""Prints how much longer a program takes to start that loads the package, beside an empty one: the median of 20."""
import pathlib
import statistics
import subprocess
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
PROGRAMS = {
    "python": [[str(ROOT / "build/venv/bin/python"), "-c", text] for text in ("", "import metaparticle_sync")],
    "node": [["node", "-e", text] for text in ("", f"require('{ROOT}/bindings/node')")],
}


def once(command):
    began = time.perf_counter()
    subprocess.run(command, check=True)
    return (time.perf_counter() - began) * 1000


for language, (empty, loading) in PROGRAMS.items():
    medians = [statistics.median(once(command) for _ in range(20)) for command in (empty, loading)]
    print(f"{language}: {medians[1] - medians[0]:.0f} ms over an empty program's {medians[0]:.0f} ms")
