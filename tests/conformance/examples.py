"""Runs every program of examples/: MPSYNC_EXAMPLES says how, {"python": {"lock": ["python3", "…/lock.py"]}}."""
import json
import os
import subprocess
import sys
import unittest
import pathlib

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "integration"))
from support import PATIENCE_S, Case  # noqa: E402

EXAMPLES = json.loads(os.environ["MPSYNC_EXAMPLES"])
TOLD = {"lock": "holding\nreleased\n", "election": "leading\nnot leading\n"}


class Examples(Case):
    """Each says what its comment promises, and leaves nothing held for the next."""


def example(name, command):
    def test(self):
        run = subprocess.run(command, env={**os.environ, "MPSYNC_URL": f"file:{self.folder}/locks.db"},
                             capture_output=True, text=True, timeout=PATIENCE_S)
        self.assertEqual((run.stdout, run.returncode), (TOLD[name.split("_")[0]], 0), run.stderr)
        again = subprocess.run(command, env={**os.environ, "MPSYNC_URL": f"file:{self.folder}/locks.db"},
                               capture_output=True, text=True, timeout=PATIENCE_S)
        self.assertEqual(again.stdout, run.stdout, again.stderr)
    test.__doc__ = " ".join(command[-1:])
    return test


for language, programs in EXAMPLES.items():
    for name, command in programs.items():
        setattr(Examples, f"test_{language}_{name}", example(name, command))
