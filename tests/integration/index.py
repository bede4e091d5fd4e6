"""A small package index: project pages (PEP 503, PEP 691) and wheels of a kilobyte."""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
from base64 import urlsafe_b64encode as b64encode
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from packaging.utils import canonicalize_name

from integration.servers import JSON_API, Answer

MANY = "manylinux_2_17_x86_64"
MAC = "macosx_12_0_arm64"


@dataclass(frozen=True, slots=True, kw_only=True)
class Wheel:
    """A wheel, and what its index says of it."""

    file: str
    body: bytes
    metadata: bytes
    date: str = "2026-01-01"
    yanked: bool = False
    claimed: str | None = None
    """A sha256 other than the body's, for an index that is wrong."""

    @property
    def project(self) -> str:
        return canonicalize_name(self.file.split("-")[0])

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.body).hexdigest() if self.claimed is None else self.claimed


def make_wheel(
    name: str,
    version: str,
    requires: Iterable[str] = (),
    *,
    tag: str = "py3-none-any",
    date: str = "2026-01-01",
    python: str = ">=3.9",
    files: Mapping[str, bytes] | None = None,
) -> Wheel:
    """The same bytes at every call."""
    stem = f"{name.replace('-', '_')}-{version}"
    head = ["Metadata-Version: 2.1", f"Name: {name}", f"Version: {version}", f"Requires-Python: {python}"]
    metadata = "\n".join([*head, *(f"Requires-Dist: {spec}" for spec in requires), ""]).encode()
    content = {
        f"{stem}.dist-info/METADATA": metadata,
        f"{stem}.dist-info/WHEEL": f"Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: {tag}\n".encode(),
        **(files or {}),
    }
    content[f"{stem}.dist-info/RECORD"] = _record(content, f"{stem}.dist-info/RECORD")
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for path, data in content.items():
            archive.writestr(zipfile.ZipInfo(path, (2026, 1, 1, 0, 0, 0)), data)
    return Wheel(file=f"{stem}-{tag}.whl", body=buffer.getvalue(), metadata=metadata, date=date)


def _record(content: Mapping[str, bytes], own: str) -> bytes:
    lines = [
        f"{path},sha256={b64encode(hashlib.sha256(data).digest()).rstrip(b'=').decode()},{len(data)}"
        for path, data in content.items()
    ]
    return "\n".join([*lines, f"{own},,", ""]).encode()


def _native(name: str, version: str, requires: Iterable[str] = (), date: str = "2026-01-01") -> list[Wheel]:
    return [
        make_wheel(name, version, requires, tag=f"cp3{minor}-cp3{minor}-{platform}", date=date)
        for minor in (11, 12)
        for platform in (MANY, MAC)
    ]


def make_wheels() -> list[Wheel]:
    """numpy 2.0.9 and keras 3.6.9 are newer than the tests' cut-off."""
    needs = ["numpy<2.1,>=1.26", "keras>=3.5", "packaging", "setuptools"]
    return [
        *_native("tensorflow", "2.18.1", needs),
        *_native("tensorflow", "2.17.1", needs),
        *_native("numpy", "1.26.4"),
        *_native("numpy", "2.0.1"),
        *_native("numpy", "2.0.2", date="2026-06-01"),
        *_native("numpy", "2.0.9", date="2026-09-01"),
        *_native("scipy", "1.15.0", ["numpy>=1.23"]),
        *_native("pillow", "12.0.0"),
        make_wheel("keras", "3.5.0", ["numpy"]),
        make_wheel("keras", "3.6.0", ["numpy"]),
        make_wheel("keras", "3.6.9", ["numpy"], date="2026-09-01"),
        make_wheel("tf-keras", "2.18.0", ["tensorflow<2.19,>=2.18"]),
        make_wheel("tf-keras", "2.17.0", ["tensorflow<2.18,>=2.17"]),
        make_wheel("tensorflow-metal", "1.2.0", tag=f"cp311-cp311-{MAC}"),
        make_wheel("tensorflow-metal", "1.2.0", tag=f"cp312-cp312-{MAC}"),
        make_wheel("tensorflow-io", "0.37.1", tag=f"cp311-cp311-{MANY}"),
        make_wheel("packaging", "25.0", python=">=3.8"),
        make_wheel("setuptools", "80.9.0"),
        make_wheel("wheel", "0.45.1", python=">=3.8"),
        make_wheel("wrapt", "1.14.0"),
    ]


def index_files(wheels: Iterable[Wheel], *, html_only: bool = False) -> dict[str, Answer]:
    """Path below the host to what the index answers there."""
    projects: dict[str, list[Wheel]] = {}
    files: dict[str, Answer] = {}
    for wheel in wheels:
        projects.setdefault(wheel.project, []).append(wheel)
        files[f"/files/{wheel.file}"] = Answer({"application/octet-stream": wheel.body})
        files[f"/files/{wheel.file}.metadata"] = Answer({"application/octet-stream": wheel.metadata})
    for name, entries in projects.items():
        html = {"text/html": _html_page(entries)}
        bodies = html if html_only else {JSON_API: _json_page(name, entries), **html}
        files[f"/simple/{name}/"] = Answer(bodies)
    return files


def _json_page(name: str, wheels: Iterable[Wheel]) -> bytes:
    files: list[Mapping[str, object]] = [
        {
            "filename": wheel.file,
            "url": f"../../files/{wheel.file}",
            "hashes": {"sha256": wheel.sha256},
            "core-metadata": {"sha256": hashlib.sha256(wheel.metadata).hexdigest()},
            "size": len(wheel.body),
            "upload-time": f"{wheel.date}T00:00:00Z",
            "yanked": wheel.yanked,
        }
        for wheel in wheels
    ]
    return json.dumps({"meta": {"api-version": "1.1"}, "name": name, "versions": [], "files": files}).encode()


def _html_page(wheels: Iterable[Wheel]) -> bytes:
    links = "".join(
        f'<a href="../../files/{wheel.file}#sha256={wheel.sha256}" data-upload-time="{wheel.date}T00:00:00Z"'
        f' data-core-metadata="sha256={hashlib.sha256(wheel.metadata).hexdigest()}"'
        f"{' data-yanked' if wheel.yanked else ''}>{wheel.file}</a><br>"
        for wheel in wheels
    )
    return f"<!DOCTYPE html><html><body>{links}</body></html>".encode()


def changed(wheels: Iterable[Wheel], start: str, **fields: object) -> list[Wheel]:
    """The wheels, with fields of those changed whose file name starts so."""
    return [
        replace(w, **fields) if w.file.startswith(start) else w  # type: ignore[arg-type]
        for w in wheels
    ]
