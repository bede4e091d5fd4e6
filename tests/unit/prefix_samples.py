"""Small environments, put together as pip, uv and conda leave them, and the lock that they were made from."""

from __future__ import annotations

import json
from base64 import urlsafe_b64encode
from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path

from samples import cell, conda, lock_of

from metalock.lock.model import CondaPackage, Lock
from metalock.prefix.check import check_prefix
from metalock.prefix.model import Backend, expected_distributions
from metalock.records import Entry, wheel_digest

PYTHON = conda("python", "3.11.9")
PIP = conda("pip", "25.0", depends=["python"])
LOCK = lock_of(cell(), (PIP, PYTHON), {"numpy": "2.0.2", "tensorflow": "2.18.1"})
SITE = "lib/python3.11/site-packages"


def members(name: str, version: str) -> dict[str, bytes]:
    """Return the files of a wheel less its RECORD."""
    return {
        f"{name}.py": f"version = {version!r}\n".encode(),
        f"{name}-{version}.dist-info/METADATA": (
            f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n\nx\n".encode()
        ),
    }


def entry(path: str, data: bytes) -> Entry:
    digest = urlsafe_b64encode(sha256(data).digest()).rstrip(b"=").decode()
    return Entry(path, f"sha256={digest}", str(len(data)))


def record_lines(entries: list[Entry]) -> str:
    return "".join(f"{','.join(one)}\n" for one in entries)


RECORDS = {
    package.sha256: wheel_digest(
        [entry(path, data) for path, data in members(package.name, package.version).items()], frozenset()
    )
    for package in LOCK.pip
}
"""The table of `envs/records.json` for the lock."""


def install(prefix: Path, name: str, version: str, *, record: bool = True) -> Path:
    """Unpack a wheel as pip does, and return its module."""
    files = members(name, version)
    for path, data in files.items():
        put(prefix, f"{SITE}/{path}", data)
    entries = [entry(path, data) for path, data in files.items()]
    info = f"{name}-{version}.dist-info"
    entries += [Entry(f"__pycache__/{name}.cpython-311.pyc"), Entry(f"{info}/RECORD")]
    if record:
        put(prefix, f"{SITE}/{info}/RECORD", record_lines(entries).encode())
    return prefix / SITE / f"{name}.py"


def put(prefix: Path, path: str, data: bytes = b"") -> Path:
    place = prefix / path
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_bytes(data)
    return place


def make_venv(prefix: Path, python: str = "3.11.2", key: str = "version_info") -> Path:
    """Make a venv on an interpreter next to it."""
    base = put(prefix.parent, "base/bin/python3", b"an interpreter")
    (prefix / "bin").mkdir(parents=True)
    (prefix / "bin" / "python").symlink_to(base)
    (prefix / "bin" / "python3.11").symlink_to("python")
    settings = f"home = {base.parent}\n{key} = {python}\ninclude-system-site-packages = false\n"
    (prefix / "pyvenv.cfg").write_text(settings)
    for name, version in expected_distributions(LOCK, Backend.VENV).items():
        install(prefix, name, version)
    return prefix


def record_conda(
    prefix: Path, package: CondaPackage, files: list[str], paths: list[Mapping[str, object]] | None = None
) -> Path:
    table = {**package.record, "files": files, "paths_data": {"paths_version": 1, "paths": paths or []}}
    return put(prefix, f"conda-meta/{package.name}.json", json.dumps(table).encode())


def conda_path(path: str, data: bytes, **more: object) -> dict[str, object]:
    return {"_path": path, "path_type": "hardlink", "sha256": sha256(data).hexdigest()} | more


def make_conda(prefix: Path) -> Path:
    """Make an environment of Python and pip by conda, and the wheels by pip."""
    files = members("pip", "25.0")
    for path, data in files.items():
        put(prefix, f"{SITE}/{path}", data)
    pyc = f"{SITE}/__pycache__/pip.cpython-311.pyc"
    # conda names the files of a noarch package by their place in the package
    paths: list[Mapping[str, object]] = [
        conda_path(f"site-packages/{path}", data) for path, data in files.items()
    ]
    paths.append({"_path": pyc, "path_type": "pyc_file"})
    record_conda(prefix, PIP, [*(f"{SITE}/{path}" for path in files), pyc], paths)
    program = put(prefix, "bin/python3.11", b"in /opt/env")
    (prefix / "bin" / "python").symlink_to(program.name)
    stdlib = put(prefix, "lib/python3.11/os.py", b"pass\n")
    paths = [
        {"_path": "bin/python", "path_type": "softlink", "sha256": sha256(b"").hexdigest()},
        conda_path(
            "bin/python3.11",
            b"in /placeholder",
            prefix_placeholder="/placeholder",
            sha256_in_prefix=sha256(program.read_bytes()).hexdigest(),
        ),
        conda_path("lib/python3.11/os.py", stdlib.read_bytes()),
        conda_path("lib/python3.11/__pycache__/os.cpython-311.pyc", b"as it was built"),
    ]
    record_conda(prefix, PYTHON, [str(one["_path"]) for one in paths], paths)
    put(prefix, "lib/python3.11/__pycache__/os.cpython-311.pyc", b"compiled again")
    for package in LOCK.pip:
        install(prefix, package.name, package.version)
    return prefix


MAKERS = {"venv": make_venv, "conda": make_conda}


def found_in(prefix: Path, lock: Lock = LOCK, records: Mapping[str, str] = RECORDS) -> list[tuple[str, str]]:
    """Return the code and the place of each finding."""
    return [(one.rule.code, one.where) for one in check_prefix(lock, prefix, records=records)]


def details(prefix: Path) -> dict[str, str]:
    """Return what each finding says, by its code."""
    return {one.rule.code: one.detail for one in check_prefix(LOCK, prefix, records=RECORDS)}
