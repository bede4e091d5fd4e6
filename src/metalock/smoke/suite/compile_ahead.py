"""Compile what each process is about to import: `python compile_ahead.py`, with PYTHONPYCACHEPREFIX set.

Runs inside the environment under test, Python 3.8 and later, while another process imports TensorFlow for
the first time. Each leaves out what the other has compiled, and this one starts where the import ends: Keras.
"""

from __future__ import annotations

import compileall
from importlib.util import find_spec

PACKAGES = ("keras", "tensorflow")


def main() -> None:
    for package in PACKAGES:
        spec = find_spec(package)
        for folder in (spec and spec.submodule_search_locations) or ():
            compileall.compile_dir(folder, quiet=2)


if __name__ == "__main__":
    main()
