"""Tiny wheels, good and hostile, put together in memory."""

from __future__ import annotations

import io
import warnings
from collections.abc import Iterable, Mapping
from zipfile import ZIP_DEFLATED, ZipFile, ZipInfo

METADATA = "Metadata-Version: 2.1\nName: sample\nVersion: 1.0\n"
FILE = "sample-1.0-cp311-cp311-macosx_12_0_arm64.whl"


def make_wheel(
    files: Mapping[str, bytes] | Iterable[tuple[str, bytes]],
    *,
    name: str = "sample",
    version: str = "1.0",
    metadata: str | None = METADATA,
) -> bytes:
    """A wheel of these members, which may be named twice; without metadata where that is None."""
    pairs = list(files.items() if isinstance(files, Mapping) else files)
    if metadata is not None:
        pairs.append((f"{name}-{version}.dist-info/METADATA", metadata.encode()))
    buffer = io.BytesIO()
    with ZipFile(buffer, "w", ZIP_DEFLATED) as archive, warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # a name that is there already
        for path, data in pairs:
            info = ZipInfo(path)
            info.compress_type = ZIP_DEFLATED
            archive.writestr(info, data)
    return buffer.getvalue()
