"""A small conda channel, made by hand: enough for two Pythons on two platforms."""

from __future__ import annotations

import hashlib
import json
import struct
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime

Record = dict[str, object]
Channel = dict[str, dict[str, Record]]
"""Subdir to file name to record."""

CHANNEL = "conda-forge"
RAW_BLOCK = 1 << 16
LINUX = ("__glibc >=2.17,<3.0.a0",)
MAC = ("__osx >=11.0",)


def record(
    name: str,
    version: str,
    subdir: str,
    depends: Iterable[str] = (),
    *,
    build: str = "h0_0",
    date: str = "2026-01-01",
) -> Record:
    """A repodata record of a package that nobody made."""
    file = f"{name}-{version}-{build}.conda"
    moment = datetime.fromisoformat(date).replace(tzinfo=UTC)
    entry: Record = {
        "build": build,
        "build_number": int(build.rsplit("_", 1)[1]),
        "depends": list(depends),
        "fn": file,
        "license": "MIT",
        "md5": hashlib.md5(f"{subdir}/{file}".encode(), usedforsecurity=False).hexdigest(),
        "name": name,
        "sha256": hashlib.sha256(f"{subdir}/{file}".encode()).hexdigest(),
        "size": 1000 + len(file),
        "subdir": subdir,
        "timestamp": int(moment.timestamp()) * 1000,
        "version": version,
    }
    if subdir == "noarch":
        entry["noarch"] = "python" if "python" in [spec.split()[0] for spec in depends] else "generic"
    return entry


def _native(subdir: str, needs: tuple[str, ...]) -> list[Record]:
    python = ("openssl >=3.5.4,<4.0a0", "tzdata", *needs)
    return [
        record("openssl", "3.5.4", subdir, needs, date="2026-01-05"),
        record("openssl", "3.6.0", subdir, needs, date="2026-06-05"),
        record("openssl", "3.6.9", subdir, needs, date="2026-09-05"),
        record("python", "3.11.14", subdir, python, date="2026-01-06"),
        record("python", "3.12.11", subdir, python, date="2026-01-07"),
    ]


def make_channel() -> Channel:
    """openssl 3.6.9 is newer than the tests' cut-off; on macOS, openssl 3.6.1 needs macOS 14."""
    everywhere = [
        record("pip", "25.2", "noarch", ("python >=3.9,<3.13.0a0", "setuptools", "wheel"), build="pyh1_0"),
        record("packaging", "25.0", "noarch", ("python >=3.8",), build="pyh2_1"),
        record("setuptools", "80.9.0", "noarch", ("python >=3.9",), build="pyh3_0"),
        record("wheel", "0.45.1", "noarch", ("python >=3.8",), build="pyh4_0"),
        record("tzdata", "2026a", "noarch"),
    ]
    mac = [*_native("osx-arm64", MAC), record("openssl", "3.6.1", "osx-arm64", ("__osx >=14.0",))]
    groups = {"linux-64": _native("linux-64", LINUX), "osx-arm64": mac, "noarch": everywhere}
    return {subdir: {str(r["fn"]): r for r in records} for subdir, records in groups.items()}


def channel_files(channel: Channel, *, sharded: bool = False) -> dict[str, bytes]:
    """Path below the host to the bytes of a static channel, as whole repodata or in shards (CEP 16)."""
    files: dict[str, bytes] = {}
    for subdir, records in channel.items():
        root = f"/{CHANNEL}/{subdir}"
        if sharded:
            files |= {f"{root}/{name}": body for name, body in _shards(subdir, records).items()}
        else:
            plain = {name: {k: v for k, v in r.items() if k != "fn"} for name, r in records.items()}
            body = {
                "info": {"subdir": subdir},
                "packages": {},
                "packages.conda": plain,
                "repodata_version": 1,
            }
            files[f"{root}/repodata.json.zst"] = zstd_stored(json.dumps(body).encode())
    return files


def _shards(subdir: str, records: Mapping[str, Record]) -> dict[str, bytes]:
    files: dict[str, bytes] = {}
    index: dict[str, object] = {}
    for package in sorted({str(r["name"]) for r in records.values()}):
        own = {name: _shard_record(r) for name, r in records.items() if r["name"] == package}
        body = zstd_stored(msgpack({"packages": {}, "packages.conda": own, "removed": []}))
        digest = hashlib.sha256(body)
        index[package] = digest.digest()
        files[f"shards/{digest.hexdigest()}.msgpack.zst"] = body
    info = {"base_url": "", "shards_base_url": "./shards/", "subdir": subdir}
    files["repodata_shards.msgpack.zst"] = zstd_stored(msgpack({"version": 1, "info": info, "shards": index}))
    return files


def _shard_record(entry: Record) -> Record:
    """Hashes are bytes there."""
    hashes = {key: bytes.fromhex(str(entry[key])) for key in ("md5", "sha256")}
    return {key: value for key, value in entry.items() if key != "fn"} | hashes


def zstd_stored(data: bytes) -> bytes:
    """A zstandard frame (RFC 8878) that holds the bytes in raw blocks."""
    frame = bytearray(b"\x28\xb5\x2f\xfd\xa0" + struct.pack("<I", len(data)))
    for start in range(0, max(len(data), 1), RAW_BLOCK):
        block = data[start : start + RAW_BLOCK]
        is_last = start + RAW_BLOCK >= len(data)
        frame += struct.pack("<I", (len(block) << 3) | is_last)[:3] + block
    return bytes(frame)


def msgpack(value: object) -> bytes:
    """The five kinds of value that shards hold."""
    if isinstance(value, str):
        data = value.encode()
        return b"\xd9" + struct.pack(">B", len(data)) + data
    if isinstance(value, bytes):
        return b"\xc4" + struct.pack(">B", len(value)) + value
    if isinstance(value, int):
        return b"\xcf" + struct.pack(">Q", value)
    if isinstance(value, list):
        return b"\xdc" + struct.pack(">H", len(value)) + b"".join(map(msgpack, value))
    assert isinstance(value, dict)
    pairs = b"".join(msgpack(key) + msgpack(item) for key, item in value.items())
    return b"\xde" + struct.pack(">H", len(value)) + pairs
