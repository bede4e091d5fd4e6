"""Feed damaged samples to the readers; anything but `InvalidBinary`, or a long wait, is a find.

`python tests/fuzz/fuzz_readers.py --seconds 120 --save finds/` mutates at random, from a seed.
With atheris installed, `--coverage` lets it steer instead; its own options follow a `--`.
"""

from __future__ import annotations

import argparse
import importlib
import io
import random
import resource
import sys
import tempfile
import time
import traceback
from contextlib import suppress
from hashlib import sha256
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "src"), str(ROOT / "tests/data")]

from make_samples import SAMPLES  # noqa: E402 the path is set above

from metalock.binaries import (  # noqa: E402 the same
    Binary,
    Import,
    InvalidBinary,
    Lookup,
    read,
    read_stream,
)
from metalock.binaries.fingerprint import dump, load  # noqa: E402 the same

if TYPE_CHECKING:
    from collections.abc import Callable

SLOW_SECONDS = 2.0
MOST_MEGABYTES = 1500
NAMES = ("_TF_NewStatus", "TF_NewStatus", "twice", "", "_passed_on", "x" * 300)
EDGES = (0, 1, 2, 3, 7, 8, 0x7F, 0x80, 0xFF, 0xFFFF, 0x7FFFFFFF, 0xFFFFFFFF, 2**63, 2**64 - 1)


def ask(binary: Binary) -> list[object]:
    """Look at everything that a caller could."""
    wanted = [Import(name=name, lookup=Lookup.FLAT, version="SAMPLE_1") for name in NAMES]
    return [
        list(islice(binary.exports, 100_000)),
        [binary.exports.find(name) for name in NAMES],
        [binary.exports.provides(one) for one in wanted],
    ]


def exercise(data: bytes) -> None:
    """Read in every way; only `InvalidBinary` is caught."""
    for architecture in (None, "arm64", "x86_64"):
        try:
            binary = read(data, architecture=architecture)
        except InvalidBinary:
            continue
        try:
            answers = ask(binary)
        except InvalidBinary:
            continue
        stored = io.BytesIO()
        dump({"a": binary}, stored)
        again = load(stored.getvalue())["a"]
        if ask(again) != answers or again.imports != binary.imports:
            raise AssertionError("a fingerprint answers otherwise than its binary")
    with tempfile.TemporaryFile() as spool, suppress(InvalidBinary):
        ask(read_stream(io.BytesIO(data), spool, architecture="arm64"))


def mutate(data: bytes, pick: random.Random) -> bytes:
    """Flip, overwrite with telling numbers, copy about, cut or drop."""
    out = bytearray(data)
    for _ in range(pick.choice((1, 1, 2, 4, 16))):
        at = pick.randrange(len(out) or 1)
        match pick.randrange(6):
            case 0:
                out[at : at + 1] = bytes([pick.randrange(256)])
            case 1:
                size = pick.choice((1, 2, 4, 8))
                out[at : at + size] = (pick.choice(EDGES) % 256**size).to_bytes(size, "little")
            case 2:
                size = pick.choice((2, 4, 8))
                out[at : at + size] = pick.randrange(len(out) or 1).to_bytes(size, "little")
            case 3:
                source = pick.randrange(len(out) or 1)
                out[at : at + 16] = out[source : source + 16]
            case 4:
                del out[at : at + pick.randrange(1, 9)]
            case _:
                out = out[: max(at, 64)]
    return bytes(out)


def run(seconds: float, seed: int, found: Callable[[bytes, str], None]) -> int:
    """Try mutants until the time is up; say how many there were."""
    pick = random.Random(seed)
    seeds = list(SAMPLES.values())
    end = time.monotonic() + seconds
    count = 0
    while time.monotonic() < end:
        data = mutate(pick.choice(seeds), pick)
        begin = time.monotonic()
        try:
            exercise(data)
        except Exception:  # noqa: BLE001 whatever it is, it is a find
            found(data, traceback.format_exc())
        if time.monotonic() - begin > SLOW_SECONDS:
            found(data, f"took {time.monotonic() - begin:.1f} s")
        count += 1
        if len(data) < 4096 and count % 50 == 0:
            seeds[pick.randrange(len(seeds))] = (
                data if pick.random() < 0.3 else pick.choice(list(SAMPLES.values()))
            )
    return count


def with_coverage(arguments: list[str]) -> None:
    """Let libFuzzer steer."""
    atheris: Any = importlib.import_module("atheris")
    atheris.instrument_all()
    atheris.Setup([sys.argv[0], *arguments], exercise)
    atheris.Fuzz()


def main() -> int:
    """Run for a while and save what was found."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--seed", type=int, default=time.time_ns() % 2**32)
    parser.add_argument("--save", type=Path, default=Path("finds"))
    parser.add_argument("--coverage", action="store_true")
    options, rest = parser.parse_known_args()
    if options.coverage:
        with_coverage([one for one in rest if one != "--"])
    # memory that runs away shall be a find, and not the end of the machine
    limit = MOST_MEGABYTES << 20
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    finds = 0

    def found(data: bytes, what: str) -> None:
        nonlocal finds
        finds += 1
        options.save.mkdir(parents=True, exist_ok=True)
        name = sha256(data).hexdigest()[:16]
        (options.save / name).write_bytes(data)
        print(f"{name}: {what}", flush=True)

    count = run(options.seconds, options.seed, found)
    print(f"{count} inputs from seed {options.seed}, {finds} finds")
    return 1 if finds else 0


if __name__ == "__main__":
    sys.exit(main())
