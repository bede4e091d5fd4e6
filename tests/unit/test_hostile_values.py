"""Wrong values at every place of the JSON and TOML that other programs write, and metadata without end."""

from __future__ import annotations

import io
import json
import struct
import zlib
from hashlib import sha256
from pathlib import Path

import pytest
from audit_samples import facts, judged, metal
from hostile import CONTENTS, VALUES, bounded, json_mutations, mutations
from make_wheels import FILE, METADATA, make_wheel
from prefix_samples import LOCK, PYTHON, make_conda
from samples import cell, lock_of
from test_audit_result import GRAVE, audit_of
from test_facts import STORED
from test_lock_text import TEXT
from test_uv import pylock, request

from metalock.adapters import uv
from metalock.answers.questions import parse_questions
from metalock.audit.facts import load
from metalock.audit.result import audit_text, parse_audit
from metalock.audit.wheel import read_wheel
from metalock.binaries import InvalidBinary
from metalock.errors import DataFileError, MatrixError, MetalockError
from metalock.evidence.contract import contract, parse_contract
from metalock.evidence.model import Evidence, Observation, Observed, counts_of
from metalock.evidence.text import evidence_text, parse_evidence
from metalock.lock.text import LockTextError, lock_text, parse_lock
from metalock.parsing import as_list, as_table, as_text, parse_headers, parse_json, parse_toml
from metalock.platforms import Platform
from metalock.prefix.check import check_prefix
from metalock.untrusted import InvalidFileError


def evidence() -> str:
    lock = lock_of(cell())
    some = [
        Observation(name=c.key, observed=Observed.PASSED, values={"a": 1}, seconds=1.0)
        for c in contract()[:1]
    ]
    host = {"system": "Linux", "machine": "x86_64", "gpus": ["x"], "instructions": ["avx2"]}
    found = Evidence(lock="0" * 64, date="2026-08-21", backend="conda", host=host, observations=tuple(some))
    return evidence_text(found, lock)


def test_smoke_json_with_400_digits() -> None:
    """They ended `list` for the whole matrix: a float has no room for them."""
    table = json.loads(evidence())
    table["capabilities"][0]["seconds"] = 10**400
    with pytest.raises(InvalidFileError, match="seconds"):
        parse_evidence(json.dumps(table).encode(), Platform.LINUX_64)


def test_smoke_json() -> None:
    lock = lock_of(cell())
    with bounded():
        for text in json_mutations(evidence()):
            try:
                found = parse_evidence(text.encode(), Platform.LINUX_64)
            except InvalidFileError:
                continue
            counts_of(found.results(lock))
            evidence_text(found, lock).encode()


def test_audit_json() -> None:
    with bounded():
        for text in json_mutations(audit_text(audit_of(GRAVE))):
            try:
                found = parse_audit(text.encode())
            except InvalidFileError:
                continue
            audit_text(found).encode()


def test_lock_json() -> None:
    """With a right digest: what a hostile pull request would have."""
    table = json.loads(TEXT)
    table.pop("digest")
    with bounded(seconds=60):
        for value in mutations(table):
            rest = json.dumps(value, indent=1)[2:] + "\n"
            text = f'{{\n "digest": "{sha256(rest.encode()).hexdigest()}",\n{rest}'
            try:
                lock = parse_lock(text)
            except LockTextError:
                continue
            lock_text(lock).encode()
            lock.conda_in_link_order()
            lock.platform.wheel_tags(lock.python, lock.floor)


def test_conda_meta(tmp_path: Path) -> None:
    make_conda(tmp_path)
    path = tmp_path / "conda-meta" / "python.json"
    with bounded(seconds=60):
        for text in json_mutations(json.dumps({**PYTHON.record, "files": ["bin/python", "a/b"]})):
            path.write_text(text)
            check_prefix(LOCK, tmp_path)


def test_facts_in_the_cache() -> None:
    header = struct.Struct("<8s2I32s")
    magic, version, size, _ = header.unpack_from(STORED)
    head = json.loads(zlib.decompress(STORED[header.size : header.size + size]))
    with bounded():
        for text in [*json_mutations(json.dumps(head)), "[" * 100_000, "", "\0"]:
            data = zlib.compress(text.encode())
            stored = header.pack(magic, version, len(data), sha256(data).digest()) + data
            try:
                load(stored + STORED[header.size + size :])
            except InvalidBinary:
                continue


def _toml(value: object) -> str:
    """JSON of scalars, arrays and inline tables is TOML but for the colons and null."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{json.dumps(key)} = {_toml(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(_toml(item) for item in value) + "]"
    return json.dumps(value).replace("NaN", "nan").replace("Infinity", "inf").replace("null", "1979-05-27")


def test_pylock_of_uv() -> None:
    table = parse_toml(pylock("x-1.0-py3-none-any.whl"))
    with bounded(seconds=60):
        for value in mutations(table):
            text = (
                "".join(f"{key} = {_toml(item)}\n" for key, item in value.items())
                if isinstance(value, dict)
                else ""
            )
            try:
                wheels = uv._parse_pylock(text, request())
            except MetalockError:
                continue
            for wheel in wheels:
                json.dumps(wheel.size)
        for data in CONTENTS.values():
            with pytest.raises(MetalockError):
                uv._parse_pylock(data.decode(errors="replace"), request())


CAPABILITY = {
    "name": "a.b", "question": "q?", "claim": "c", "env": {"A": "1"}, "needs": ["numpy"],
    "seconds": 5, "devices": True,
    "expect": [{"when": {"keras": ">=3"}, "outcome": "unsupported", "error": "e", "instead": "i"}],
}  # fmt: skip
QUESTION = {
    "question": "q?", "verified-by": ["a"], "answer": "x", "pages": {"a": "b"},
    "claim": [{"text": "t", "decided-by": "a.b", "holds-if": "works"}],
}  # fmt: skip


def test_data_files_of_metalock() -> None:
    """A fault in them is not one of `matrix.toml`, and names the file."""
    sources = set()
    with bounded(seconds=60):
        for key, sample, parse in (
            ("capability", CAPABILITY, lambda text: parse_contract(text, "area")),
            ("question", QUESTION, parse_questions),
        ):
            parse(f"{key} = [{_toml(sample)}]")
            for value in mutations([sample]):
                try:
                    parse(f"{key} = {_toml(value)}")
                except DataFileError as error:
                    sources.add(str(error).partition(":")[0])
            for text in ("x = ", "a = " + "[" * 100_000, "x = 1"):
                with pytest.raises(DataFileError) as caught:
                    parse(text)
                assert not isinstance(caught.value, MatrixError)
    assert sources == {"capabilities/area.toml", "questions.toml"}


TOO_LONG = "headers of more than 1024 KiB"
MULTIPART = "Content-Type: multipart/mixed; boundary=a\n\n"
DEEP = f"six; {'(' * 3000}python_version > '3'{')' * 3000}"


def test_markers_nested_3000_deep() -> None:
    with bounded():
        findings = judged(facts("x", requires=[DEEP, "six @"]))
    assert [finding.rule.code for finding in findings] == ["A901", "A901"]
    assert all(len(finding.detail) < 600 for finding in findings)


@pytest.mark.parametrize(
    ("metadata", "problem"),
    [
        ("".join(f"Requires-Dist: p{number}>=1\n" for number in range(100_000)), TOO_LONG),
        ("X" * (2 << 20), TOO_LONG),
        (f"Requires-Dist: {DEEP}\n", ""),
        ("Requires-Dist: caf\u00e9\nRequires-Python: \u00e9\n", ""),
        ("".join(f"X{number}: y\n" for number in range(20_000)), ""),
        (f"{MULTIPART}{f'--a{chr(10)}{MULTIPART}' * 3000}", ""),
        ("\n" * 1_000_000, ""),
    ],
    ids=["requirements", "long", "deep", "not ASCII", "headers", "multipart", "lines"],
)  # fmt: skip
def test_metadata_of_a_wheel(metadata: str, problem: str) -> None:
    data = make_wheel({}, metadata=METADATA + metadata)
    names = (problem,) if problem else ()
    with bounded(*names, seconds=20):
        read_wheel(io.BytesIO(data), FILE, "0" * 64, Platform.LINUX_64)
        assert not problem


def test_judging_requirements_is_linear() -> None:
    """As many as fit into the headers of a wheel."""
    wheel = metal()
    with bounded(seconds=60):
        judged(
            facts("x", requires=[f'p{number}>=1; python_version < "3.8"' for number in range(20_000)]), wheel
        )


@pytest.mark.parametrize("value", VALUES, ids=repr)
def test_the_shapes_of_values(value: object) -> None:
    for shape, kind in ((as_table, dict), (as_list, list), (as_text, str)):
        if isinstance(value, kind):
            assert shape(value) is value
        else:
            with pytest.raises(ValueError, match="not a"):
                shape(value)


@pytest.mark.parametrize(
    "text", ["NaN", "1e999", "-Infinity", str(2**63), '"\\ud800"', '{"\\udc00": 1}', "[" * 10**5, ""]
)
def test_no_json(text: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        parse_json(text)


def test_json() -> None:
    assert parse_json(b'\xef\xbb\xbf{"a":\r\n[1, 1.5, "\\ud83d\\ude00", "\\\\ud800"]}') == {
        "a": [1, 1.5, "\U0001f600", "\\ud800"]
    }
    assert parse_headers(b"\xef\xbb\xbfA: 1\r\nB: \xff\r\n\r\nC: 2").items() == [("A", "1"), ("B", "\ufffd")]


def test_a_key_of_64_parts_is_allowed() -> None:
    assert parse_toml(".".join(["a"] * 64) + " = 1")
    assert parse_toml('a = "' + "a." * 10 + '"')
    with pytest.raises(ValueError, match="a dotted key of more than 64 parts"):
        parse_toml(".".join(["a"] * 65) + " = 1")


def test_events_of_the_suite(tmp_path: Path) -> None:
    from metalock.smoke.process import _Session, _take

    places = set()
    event = {"event": "end", "name": "a", "outcome": "passed", "error": "", "seconds": 1}
    with bounded():
        for line in [
            *json_mutations(json.dumps(event)),
            *(data.decode(errors="replace") for data in CONTENTS.values()),
        ]:
            try:
                _take(_Session(since=0), line.encode(), 0)
            except MetalockError as error:
                places.add("smoke suite" in str(error))
    assert places == {True}
