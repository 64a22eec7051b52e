"""The Python package's reference: sphinx-build -W .ci/sphinx build/references/python, from the root."""

import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "bindings/python/src"))

project = "metaparticle_sync"
extensions = ["sphinx.ext.autodoc"]
# The C library below is not needed to read what the classes say.
autodoc_mock_imports = ["metaparticle_sync._native"]
autodoc_default_options = {"members": True, "inherited-members": "BaseException, OSError, tuple"}
html_theme = "basic"
