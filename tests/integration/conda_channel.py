"""Conda packages made on the spot: an interpreter of this machine, and wheels, packed and served."""

from __future__ import annotations

import hashlib
import io
import json
import subprocess
import tarfile
import zipfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from packaging.utils import canonicalize_name

from integration.channel import CHANNEL, zstd_stored
from integration.servers import Site
from metalock.lock.model import DEFAULT_CHANNEL_ALIAS, CondaPackage, Lock

LEFT_OUT = {
    "test", "tests", "idlelib", "tkinter", "turtledemo", "ensurepip", "lib2to3", "pydoc_data",
    "site-packages", "__pycache__",
}  # fmt: skip
"""Folders of a standard library that make it large; `config-*` goes too."""
ASK = "import json, platform, sys; print(json.dumps([sys.base_prefix, platform.python_version()]))"


@dataclass(frozen=True, slots=True)
class Member:
    """A file of a package: its bytes, or where a symbolic link points."""

    body: bytes = b""
    mode: int = 0o644
    link: str | None = None


@dataclass(frozen=True, slots=True)
class Packed:
    """A conda package, and its record."""

    package: CondaPackage
    body: bytes

    @property
    def path(self) -> str:
        """Below the server's root."""
        return f"/{CHANNEL}/{self.package.subdir}/{self.package.file_name}"


def pack(
    name: str,
    version: str,
    members: Mapping[str, Member],
    *,
    subdir: str = "linux-64",
    build: str = "0",
    depends: Iterable[str] = (),
) -> Packed:
    """A `.conda` file; those for `noarch` that need python are noarch Python packages."""
    index: dict[str, object] = {
        "name": name, "version": version, "build": build, "build_number": 0, "depends": list(depends),
        "subdir": subdir, "timestamp": 1767225600000, "license": "MIT",
    }  # fmt: skip
    paths = [_path_entry(path, member) for path, member in sorted(members.items())]
    info = {
        "info/paths.json": {"paths_version": 1, "paths": paths},
        "info/files": "".join(f"{path}\n" for path in sorted(members)),
    }
    if subdir == "noarch":
        kind = index["noarch"] = "python" if list(depends) else "generic"
        info["info/link.json"] = {"noarch": {"type": kind}, "package_metadata_version": 1}
    info["info/index.json"] = index
    body = _conda_file(f"{name}-{version}-{build}", members, info)
    file = f"{name}-{version}-{build}.conda"
    record = {**index, "fn": file, "sha256": hashlib.sha256(body).hexdigest(), "size": len(body)}
    record["md5"] = hashlib.md5(body, usedforsecurity=False).hexdigest()
    channel = f"{DEFAULT_CHANNEL_ALIAS}/{CHANNEL}"
    return Packed(CondaPackage(channel=channel, record=dict(sorted(record.items()))), body)


def _path_entry(path: str, member: Member) -> dict[str, object]:
    kind = "hardlink" if member.link is None else "softlink"
    digest = hashlib.sha256(member.body).hexdigest()
    return {"_path": path, "path_type": kind, "sha256": digest, "size_in_bytes": len(member.body)}


def _conda_file(stem: str, members: Mapping[str, Member], info: Mapping[str, object]) -> bytes:
    texts = {
        name: Member((value if isinstance(value, str) else json.dumps(value)).encode())
        for name, value in info.items()
    }
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("metadata.json", json.dumps({"conda_pkg_format_version": 2}))
        archive.writestr(f"pkg-{stem}.tar.zst", zstd_stored(_tar(members)))
        archive.writestr(f"info-{stem}.tar.zst", zstd_stored(_tar(texts)))
    return buffer.getvalue()


def _tar(members: Mapping[str, Member]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for path, member in sorted(members.items()):
            entry = tarfile.TarInfo(path)
            entry.mode, entry.mtime = member.mode, 1767225600
            if member.link is not None:
                entry.type, entry.linkname = tarfile.SYMTYPE, member.link
            entry.size = len(member.body)
            archive.addfile(entry, io.BytesIO(member.body))
    return buffer.getvalue()


def pack_interpreter(python: Path, *, subdir: str = "linux-64") -> Packed:
    """That Python with its standard library, less tests and Tk; it still loads its own libpython."""
    answer = subprocess.run([python, "-I", "-c", ASK], check=True, capture_output=True)
    base, version = json.loads(answer.stdout)
    root = Path(base)
    minor = ".".join(version.split(".")[:2])
    executable = (root / "bin" / f"python{minor}").resolve()
    members = {
        f"bin/python{minor}": Member(executable.read_bytes(), 0o755),
        "bin/python3": Member(link=f"python{minor}"),
        "bin/python": Member(link=f"python{minor}"),
    }
    for path in _library(root / "lib" / f"python{minor}"):
        members[path.relative_to(root).as_posix()] = Member(path.read_bytes(), path.stat().st_mode & 0o777)
    return pack("python", version, members, subdir=subdir, build="0_cpython")


def _library(folder: Path) -> Iterator[Path]:
    for path in sorted(folder.iterdir()):
        if path.name in LEFT_OUT or path.name.startswith(("config-", "_test")):
            continue
        if path.is_dir():
            yield from _library(path)
        else:
            yield path


def pack_wheel(body: bytes, file: str) -> Packed:
    """A pure wheel as a noarch Python package of the same name and version."""
    name, version = file.split("-")[:2]
    with zipfile.ZipFile(io.BytesIO(body)) as archive:
        members = {
            f"site-packages/{item.filename}": Member(archive.read(item))
            for item in archive.infolist()
            if not item.is_dir()
        }
    return pack(canonicalize_name(name), version, members, subdir="noarch", depends=("python",), build="py_0")


def with_conda_part(lock: Lock, packed: Iterable[Packed]) -> Lock:
    """The lock with these packages in place of its conda part; a Python must be among them."""
    packages = sorted((item.package for item in packed), key=lambda package: package.name)
    python = next(package for package in packages if package.name == "python")
    return replace(lock, conda=tuple(packages), python=python.version)


def publish(site: Site, packed: Iterable[Packed], change: Callable[[bytes], bytes] = bytes) -> None:
    """Serve the packages where the channel has them."""
    for item in packed:
        site.put(item.path, change(item.body))
