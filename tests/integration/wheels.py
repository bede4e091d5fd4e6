"""The real wheels that the readers are tested with: fetched once, identified by their hash."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import zipfile
from dataclasses import dataclass
from hashlib import file_digest
from pathlib import Path
from typing import TYPE_CHECKING

from metalock.binaries import Binary, read_stream, sniff

if TYPE_CHECKING:
    from collections.abc import Iterator

DIRECTORY = Path(os.environ.get("METALOCK_WHEELS", Path(tempfile.gettempdir()) / "wheels"))


@dataclass(frozen=True, kw_only=True)
class Wheel:
    package: str
    version: str
    platform: str
    sha256: str
    python: str = "311"

    @property
    def file_name(self) -> str:
        tag = f"cp{self.python}"
        return f"{self.package.replace('-', '_')}-{self.version}-{tag}-{tag}-{self.platform}.whl"

    def fetch(self) -> Path:
        path = DIRECTORY / self.file_name
        if not path.exists():
            DIRECTORY.mkdir(parents=True, exist_ok=True)
            command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps"]
            command += ["--only-binary=:all:", "--python-version", self.python]
            for one in self.platform.split("."):
                command += ["--platform", one]
            command += ["--dest", str(DIRECTORY), f"{self.package}=={self.version}"]
            subprocess.run(command, check=True)
        with path.open("rb") as file:
            assert file_digest(file, "sha256").hexdigest() == self.sha256, path
        return path


MAC, MAC_11 = "macosx_12_0_arm64", "macosx_11_0_arm64"
LINUX = "manylinux_2_17_x86_64.manylinux2014_x86_64"

TENSORFLOW_MAC = Wheel(
    package="tensorflow-macos",
    version="2.15.0",
    platform=MAC,
    sha256="6933b6a298bcce3b302fa55c6943a2e2caba44601d0e5d0a86cae248fd90da8f",
)
TENSORFLOW_LINUX = Wheel(
    package="tensorflow-cpu",
    version="2.15.0",
    platform=LINUX,
    sha256="f46c795177f6311c83562e05d38dc7d4618f8d3150e6902a4499b875f3f97270",
)
_METAL = {
    "0.8.0": "2a6a11a2f702153bb0b6bf44288ba7095b8e0999aba5c9aad219931a15ecf860",
    "1.0.0": "047fb3fd17780c2631185d03dfc21bb96db549f3d2de2d975325ed8328d88d24",
    "1.1.0": "1c365669fc9d764edcc1773254a477db7096975b1bff58fb37a11d7b8ca4295f",
    "1.2.0": "5fa7cee627031c14f45bd97ff0ef422cd6c3866199ff99cf29b94db6674ceb42",
}
_IO = {
    "0.34.0": "3c28e431c764f6ac0982ee22d4f80418dc75def08f0f3e4127303e83a32387ad",
    "0.36.0": "55e401cc689c0ba4d8a8b3ed4b5c88e520ca3f242119a93c58c62de401a99672",
    "0.37.1": "410b70c108ce93f657147b8e9528353e1df5292a5e33cd6555d4cd964c856b0e",
}
_GCS = {
    "0.34.0": "ec4604c99cbb5b708f4516dee27aa655abae222b876c98b740f4c2f89dd5c001",
    "0.36.0": "848e8e89a0f49258c7782189c938d8d1162d989da1a80c79f95c7af3ef6006c8",
    "0.37.1": "b02f9c5f94fd62773954a04f69b68c4d576d076fd0db4ca25d5479f0fbfcdbad",
}


def _macs(package: str, hashes: dict[str, str]) -> dict[str, Wheel]:
    return {
        version: Wheel(package=package, version=version, platform=MAC, sha256=sha256)
        for version, sha256 in hashes.items()
    }


METAL = {
    "0.5.0": Wheel(
        package="tensorflow-metal",
        version="0.5.0",
        platform=MAC_11,
        python="310",
        sha256="668a452276a9b7536ec67172e4d4812496136c32cc2b13d663bcc9d7f83de26e",
    ),
    **_macs("tensorflow-metal", _METAL),
}
IO, GCS = _macs("tensorflow-io", _IO), _macs("tensorflow-io-gcs-filesystem", _GCS)
IO_LINUX = Wheel(
    package="tensorflow-io",
    version="0.36.0",
    platform=LINUX,
    sha256="af843f1bfe217a22cda2c549167aaa9c02dd1d345d9e843a1923ef107f27cff6",
)
PLUGINS = [*METAL.values(), *IO.values(), *GCS.values(), IO_LINUX]


def members(wheel: Path) -> Iterator[str]:
    """List the binaries in a wheel."""
    with zipfile.ZipFile(wheel) as archive:
        for name in archive.namelist():
            with archive.open(name) as member:
                if sniff(member.read(4)):
                    yield name


def read_member(wheel: Path, name: str, *, imports: bool) -> Binary:
    with (
        zipfile.ZipFile(wheel) as archive,
        archive.open(name) as stream,
        tempfile.TemporaryFile() as spool,
    ):
        return read_stream(stream, spool, imports=imports)
