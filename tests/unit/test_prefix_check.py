"""The check of an environment against its lock; markers, platforms and the choice of a lock."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from prefix_samples import (
    LOCK,
    MAKERS,
    PIP,
    PYTHON,
    RECORDS,
    SITE,
    conda_path,
    details,
    entry,
    found_in,
    install,
    make_conda,
    make_venv,
    put,
    record_conda,
    record_lines,
)
from samples import conda, locked_workspace

from metalock.adapters.building import MARKER, discard, is_half_built, is_vacant, under_construction
from metalock.errors import UsageError
from metalock.platforms import Platform, platform_of
from metalock.prefix.check import check_prefix, not_compared, same_version
from metalock.prefix.choose import choose, choose_for, this_platform
from metalock.prefix.hashing import SoundFiles
from metalock.prefix.model import Backend
from metalock.prefix.read import backend_of, read_prefix

NUMPY = f"{SITE}/numpy-2.0.2.dist-info"
TENSORFLOW = f"{SITE}/tensorflow-2.18.1.dist-info"


@pytest.fixture
def prefix(tmp_path: Path) -> Path:
    return tmp_path / "env"


@pytest.mark.parametrize("key", ["version", "version_info"])
def test_a_venv_as_locked(prefix: Path, key: str) -> None:
    make_venv(prefix, key=key)
    assert found_in(prefix) == []
    assert backend_of(prefix) is Backend.VENV
    assert not_compared(LOCK, read_prefix(prefix), RECORDS) == ["pip"]
    assert not_compared(LOCK, read_prefix(prefix), {}) == ["numpy", "pip", "tensorflow"]


def test_a_conda_prefix_as_locked(prefix: Path) -> None:
    make_conda(prefix)
    assert found_in(prefix) == []
    assert backend_of(prefix) is Backend.CONDA
    assert not_compared(LOCK, read_prefix(prefix), RECORDS) == []
    record_conda(prefix, PYTHON, ["bin/python", "bin/python3.11", "lib/python3.11/os.py"])
    assert found_in(prefix) == []
    assert not_compared(LOCK, read_prefix(prefix), RECORDS) == ["python"]


def test_no_prefix(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="is not a conda or venv environment"):
        backend_of(tmp_path)


def test_another_python(prefix: Path) -> None:
    make_venv(prefix)
    assert ("B005", str(prefix)) in found_in(prefix, replace(LOCK, python="3.12.1"))
    (prefix / "bin" / "python").unlink()
    (prefix / "bin" / "python").symlink_to("/nowhere/python")
    assert details(prefix)["B005"] == "its interpreter is gone"


def test_a_replaced_interpreter(prefix: Path) -> None:
    make_venv(prefix)
    link = prefix / "bin" / "python"
    link.unlink()
    link.write_bytes(b"an interpreter")
    assert found_in(prefix) == [], "python -m venv --copies"
    link.write_bytes(b"another program")
    assert {code for code, _ in found_in(prefix)} == {"B005"}
    link.unlink()
    link.symlink_to(put(prefix.parent, "other/python", b"another program"))
    assert details(prefix)["B005"] == "not the interpreter that pyvenv.cfg names: bin/python, bin/python3.11"


def test_a_venv_that_lets_other_packages_in(prefix: Path) -> None:
    make_venv(prefix)
    with (prefix / "pyvenv.cfg").open("a") as file:
        file.write("include-system-site-packages = false\n")
    assert found_in(prefix) == []
    with (prefix / "pyvenv.cfg").open("a") as file:
        file.write("include-system-site-packages = True\n")
    assert found_in(prefix) == [("B005", str(prefix))]


@pytest.mark.parametrize(
    "text",
    ["", " Include-System-Site-Packages=TRUE\n", "a\x0cinclude-system-site-packages = false\n"],
    ids=["not stated", "other spelling", "no line of its own"],
)
def test_a_venv_that_does_not_keep_other_packages_out(prefix: Path, text: str) -> None:
    make_venv(prefix)
    stated = (prefix / "pyvenv.cfg").read_text()
    (prefix / "pyvenv.cfg").write_text(stated.replace("include-system-site-packages = false\n", text))
    assert found_in(prefix) == [("B005", str(prefix))]


def test_a_venv_with_two_homes(prefix: Path) -> None:
    make_venv(prefix)
    stated = (prefix / "pyvenv.cfg").read_text()
    (prefix / "pyvenv.cfg").write_text(f"home = {prefix.parent}/elsewhere\n{stated}")
    assert details(prefix)["B005"] == "not the interpreter that pyvenv.cfg names: bin/python, bin/python3.11"


@pytest.mark.parametrize("name", ["python2", "python3.9", "python3.13t"])
def test_a_program_with_the_name_of_another_interpreter(prefix: Path, name: str) -> None:
    make_venv(prefix)
    put(prefix, f"bin/{name}", b"another program")
    assert details(prefix) == {"B005": f"not the interpreter that pyvenv.cfg names: bin/{name}"}


@pytest.mark.parametrize("make", MAKERS.values(), ids=list(MAKERS))
@pytest.mark.parametrize("folder", ["bin", "lib", "lib/python3.11"])
def test_a_folder_that_is_a_link_within_the_environment(
    prefix: Path, make: Callable[[Path], Path], folder: str
) -> None:
    """The search does not follow links, so what is behind one is in no record."""
    make(prefix)
    (prefix / "share").mkdir()
    (prefix / folder).rename(prefix / "share" / "moved")
    (prefix / folder).symlink_to(prefix / "share" / "moved")
    put(prefix, f"{SITE}/sitecustomize.py")
    assert f"in no package's record: {folder}" in details(prefix)["B008"]


def test_a_linked_folder_of_activation_scripts(prefix: Path) -> None:
    make_conda(prefix)
    put(prefix, "share/conda/activate.d/more.sh")
    (prefix / "etc").mkdir()
    (prefix / "etc" / "conda").symlink_to("../share/conda")
    assert details(prefix) == {"B008": "in no package's record: etc/conda"}


def test_links_that_tools_make(prefix: Path) -> None:
    make_venv(prefix)
    (prefix / "lib64").symlink_to("lib")
    assert found_in(prefix) == []


def test_a_script_of_entry_points_that_the_wheel_did_not_bring(prefix: Path) -> None:
    make_venv(prefix)
    info = f"{SITE}/numpy-2.0.2.dist-info"
    put(prefix, f"{info}/entry_points.txt", b"[console_scripts]\nls = numpy:run\n")
    put(prefix, "bin/ls", b"print()\n")
    with (prefix / info / "RECORD").open("a") as file:
        file.write(record_lines([entry("../../../bin/ls", b"print()\n")]))
    assert found_in(prefix) == [("B007", "numpy")]


def test_two_records_of_a_conda_package(prefix: Path) -> None:
    make_conda(prefix)
    put(prefix, f"{SITE}/sitecustomize.py")
    table = {**PYTHON.record, "files": [f"{SITE}/sitecustomize.py"]}
    put(prefix, "conda-meta/a.json", json.dumps(table).encode())
    assert details(prefix) == {"B003": "has 2 records in conda-meta"}


def test_other_missing_and_extra_wheels(prefix: Path) -> None:
    make_venv(prefix)
    install(prefix, "numpy", "2.0.1")
    install(prefix, "wrapt", "1.0")
    (prefix / SITE / "old.egg-info").write_text("Name: old\nVersion: 1\n")
    for path in (prefix / TENSORFLOW).iterdir():
        path.unlink()
    (prefix / TENSORFLOW).rmdir()
    found = set(found_in(prefix))
    assert found >= {("B001", "tensorflow"), ("B002", "numpy"), ("B003", "wrapt"), ("B003", "old")}
    assert ("B003", "numpy") in found, "it is there twice"
    assert ("B007", "numpy") not in found, "the RECORD of another version says nothing more"


def test_files_against_their_record(prefix: Path) -> None:
    make_venv(prefix)
    numpy = prefix / SITE / "numpy.py"
    numpy.write_text(numpy.read_text().replace("2", "3"))
    (prefix / SITE / "tensorflow.py").unlink()
    (prefix / SITE / "pip-25.0.dist-info" / "RECORD").unlink()
    found = {finding.where: finding.detail for finding in check_prefix(LOCK, prefix, records=RECORDS)}
    assert found == {
        "numpy": "numpy.py has changed",
        "tensorflow": "tensorflow.py is missing",
        "pip": "pip-25.0.dist-info has no RECORD",
        str(prefix): f"in no package's record: {SITE}/pip.py",
    }


def test_a_package_that_is_gone_with_its_record(prefix: Path) -> None:
    """It was reported as locked: nothing of the RECORD was compared with the wheel."""
    make_venv(prefix)
    (prefix / SITE / "numpy.py").unlink()
    (prefix / NUMPY / "RECORD").write_text("")
    assert found_in(prefix) == [("B004", "numpy"), ("B007", "numpy")]
    assert found_in(prefix, records={}) == [("B004", "numpy")]
    metadata = entry("numpy-2.0.2.dist-info/METADATA", (prefix / NUMPY / "METADATA").read_bytes())
    (prefix / NUMPY / "RECORD").write_text(record_lines([metadata]))
    assert found_in(prefix) == [("B007", "numpy")]
    assert found_in(prefix, records={}) == [], "which the note of not_compared is for"


def test_a_file_that_was_changed_with_its_record(prefix: Path) -> None:
    make_venv(prefix)
    data = put(prefix, f"{SITE}/numpy.py", b"raise SystemExit\n").read_bytes()
    lines = (prefix / NUMPY / "RECORD").read_text().splitlines(keepends=True)
    (prefix / NUMPY / "RECORD").write_text(record_lines([entry("numpy.py", data)]) + "".join(lines[1:]))
    assert found_in(prefix) == [("B007", "numpy")]


def bad_line(*fields: str) -> Callable[[Path], object]:
    def change(prefix: Path) -> None:
        with (prefix / NUMPY / "RECORD").open("a") as file:
            file.write(",".join(fields) + "\n")

    return change


def replaced_record(make: Callable[[Path], object]) -> Callable[[Path], object]:
    def change(prefix: Path) -> None:
        (prefix / NUMPY / "RECORD").unlink()
        make(prefix / NUMPY / "RECORD")

    return change


def linked_file(prefix: Path) -> None:
    (prefix / SITE / "numpy.py").unlink()
    (prefix / SITE / "numpy.py").symlink_to("/dev/zero")


@pytest.mark.parametrize(
    ("change", "detail"),
    [
        (
            bad_line("numpy.py", "md5=AAECAwQFBgcICQoLDA0ODw", "18"),
            "numpy.py has a hash by md5 in RECORD, which",
        ),
        (
            bad_line("numpy.py", "sha1=AAECAwQFBgcICQoLDA0ODxAREhM", ""),
            "numpy.py has a hash by sha1 in RECORD",
        ),
        (bad_line("extra.py", "", ""), "extra.py has no hash in RECORD"),
        (bad_line("extra.pyc", "", ""), "extra.pyc has no hash in RECORD"),
        (bad_line("numpy.py", "sha256=!", "18"), "numpy.py has a hash or size in RECORD that is not one"),
        (bad_line("numpy.py", "sha256=AAEC", "9" * 5000), "numpy.py has a hash or size in RECORD that is"),
        (bad_line("numpy.py", "sha256=AAEC", "-1"), "numpy.py has a hash or size in RECORD that is not one"),
        (bad_line("/dev/zero", "sha256=AAEC", "18"), "/dev/zero leads out of the environment"),
        (bad_line("../../../../a", "sha256=AAEC", ""), "../../../../a leads out of the environment"),
        (bad_line("a\0b", "sha256=AAEC", ""), "has a RECORD that cannot be read: entry 5 is not a path"),
        (
            bad_line("a" * 200_000, "sha256=AAEC", ""),
            "has a RECORD that cannot be read: entry 5: field larger",
        ),
        (bad_line("a", "b", "c", "d"), "has a RECORD that cannot be read: entry 5 is not a path"),
        (bad_line(".", "sha256=AAEC", ""), f"../{SITE} is not a regular file"),
        (bad_line("a" * 3000 + "/b.py", "sha256=AAEC", ""), "a/b.py is missing"),
        (replaced_record(os.mkfifo), "has a RECORD that cannot be read: not a regular file"),
        (replaced_record(Path.mkdir), "has a RECORD that cannot be read: is a directory"),
        (replaced_record(lambda path: path.symlink_to("/dev/zero")), "cannot be read: not a regular file"),
        (
            replaced_record(lambda path: path.write_bytes(b"\xff")),
            "has a RECORD that cannot be read: not UTF-8 at byte 0",
        ),
        (linked_file, "numpy.py is not a regular file"),
    ],
)
def test_records_that_cannot_be_used(prefix: Path, change: Callable[[Path], object], detail: str) -> None:
    make_venv(prefix)
    change(prefix)
    assert detail in details(prefix)["B004"]


def test_bytecode_of_a_wheel_that_was_compiled_again(prefix: Path) -> None:
    """As pip does with what NumPy 2.0.2 ships."""
    make_venv(prefix)
    pyc = "__pycache__/numpy.cpython-311.pyc"
    put(prefix, f"{SITE}/{pyc}", b"compiled here")
    bad_line(*entry(pyc, b"compiled there"))(prefix)
    assert found_in(prefix) == []
    bad_line(*entry("__pycache__/none.cpython-311.pyc", b"of no module"))(prefix)
    assert details(prefix)["B004"] == "__pycache__/none.cpython-311.pyc is missing"


def test_what_was_found_right_is_not_read_again(prefix: Path) -> None:
    make_venv(prefix)
    module = prefix / SITE / "numpy.py"
    (prefix / "linked").hardlink_to(module)
    sound = SoundFiles()
    assert check_prefix(LOCK, prefix, sound=sound) == []
    assert sound.learnt == 1
    assert check_prefix(LOCK, prefix, sound=sound) == []
    assert sound.learnt == 1
    module.write_text(module.read_text().replace("2", "3"))
    assert [f.where for f in check_prefix(LOCK, prefix, sound=sound)] == ["numpy"]
    assert sound.learnt == 1


def test_condas_records(prefix: Path) -> None:
    make_conda(prefix)
    record_conda(prefix, replace(PIP, record={**PIP.record, "build": "h1_1"}), [f"{SITE}/gone.py"])
    record_conda(prefix, replace(PYTHON, record={**PYTHON.record, "sha256": "0" * 64}), [])
    record_conda(prefix, conda("zlib"), [])
    (prefix / "conda-meta" / "broken.json").write_text("{")
    (prefix / "conda-meta" / "deep.json").write_text("[" * 100_000)
    os.mkfifo(prefix / "conda-meta" / "endless.json")
    found = found_in(prefix)
    expected = {("B002", "pip"), ("B004", "pip"), ("B002", "python"), ("B003", "zlib")}
    assert set(found) >= expected
    assert found.count(("B004", str(prefix))) == 3


@pytest.mark.parametrize(
    ("path", "detail"),
    [
        ("bin/python3.11", "bin/python3.11 has changed"),
        ("lib/python3.11/os.py", "lib/python3.11/os.py has changed"),
        (f"{SITE}/pip.py", f"{SITE}/pip.py has changed"),
    ],
)
def test_files_of_conda_packages(prefix: Path, path: str, detail: str) -> None:
    make_conda(prefix)
    put(prefix, path, b"something else")
    assert details(prefix) == {"B004": detail}
    (prefix / path).unlink()
    assert f"{path} is missing" in details(prefix)["B004"]


def test_scripts_of_noarch_packages(prefix: Path) -> None:
    """Conda records their hash by their place in the package."""
    make_conda(prefix)
    put(prefix, "bin/tool", b"changed")
    record_conda(prefix, conda("zlib"), ["bin/tool"], [conda_path("python-scripts/tool", b"as it was")])
    lock = replace(LOCK, conda=(*LOCK.conda, conda("zlib")))
    (finding,) = check_prefix(lock, prefix, records=RECORDS)
    assert finding.detail == "bin/tool has changed"


def test_hidden_files_of_conda_packages_are_inside(prefix: Path) -> None:
    make_conda(prefix)
    file = f"{SITE}/setuptools/_vendor/.lock"
    put(prefix, file)
    record_conda(prefix, conda("zlib"), [file], [conda_path(file, b"")])
    assert check_prefix(replace(LOCK, conda=(*LOCK.conda, conda("zlib"))), prefix, records=RECORDS) == []


def test_a_link_of_conda_that_is_a_file_now(prefix: Path) -> None:
    make_conda(prefix)
    (prefix / "bin/python").unlink()
    put(prefix, "bin/python", b"another")
    assert details(prefix) == {"B004": "bin/python is not the symbolic link that it was"}


def test_conda_records_that_lead_out_or_state_no_hash(prefix: Path) -> None:
    make_conda(prefix)
    put(prefix, "share/text", b"in /opt/env")
    paths = [
        conda_path("share/text", b"in /place", prefix_placeholder="/place"),
        conda_path("/dev/zero", b""),
    ]
    record_conda(prefix, conda("zlib"), ["../../x"], [*paths, {"_path": "share", "path_type": "directory"}])
    lock = replace(LOCK, conda=(*LOCK.conda, conda("zlib")))
    (finding,) = check_prefix(lock, prefix, records=RECORDS)
    assert finding.detail == "../../x leads out of the environment; /dev/zero leads out of the environment"


@pytest.mark.parametrize("maker", MAKERS)
@pytest.mark.parametrize(
    "path",
    [
        f"{SITE}/json.py",
        f"{SITE}/tensorflow/numpy.py",
        f"{SITE}/added.pth",
        f"{SITE}/sitecustomize.py",
        f"{SITE}/usercustomize.py",
        f"{SITE}/legacy.pyc",
        f"{SITE}/tensorflow/_pywrap.cpython-311-x86_64-linux-gnu.so",
        f"{SITE}/__pycache__/a.so",
        "lib/python3.11/lib-dynload/_json.so",
        "lib/libstdc++.so.6",
        "lib/libomp.dylib",
        "lib/python311.zip",
        "bin/numpy.py",
        "bin/protoc",
        "etc/conda/activate.d/settings.sh",
    ],
)
def test_files_of_no_package(prefix: Path, maker: str, path: str) -> None:
    MAKERS[maker](prefix)
    put(prefix, path, b"x")
    assert details(prefix) == {"B008": f"in no package's record: {path}"}


@pytest.mark.parametrize("maker", MAKERS)
def test_files_that_are_no_fault(prefix: Path, maker: str) -> None:
    MAKERS[maker](prefix)
    for path in (
        f"{SITE}/__pycache__/numpy.cpython-311.pyc",
        f"{SITE}/__pycache__/gone.cpython-311.pyc",
        f"{SITE}/README.txt",
        "share/project/setup.py",
        "src/package/module.py",
        "etc/ssl/openssl.cnf",
        "bin/.DS_Store",
    ):
        put(prefix, path)
    (prefix / "lib64").symlink_to("lib")
    assert found_in(prefix) == []


def test_what_venvs_are_made_of(prefix: Path) -> None:
    make_venv(prefix)
    own = ["activate", "activate.csh", "activate.fish", "activate.nu", "activate.ps1", "activate.bat"]
    own += ["Activate.ps1", "activate_this.py", "activate.xsh", "deactivate.bat", "pydoc.bat"]
    for name in own:
        put(prefix, f"bin/{name}")
    put(prefix, f"{SITE}/_virtualenv.py")
    put(prefix, f"{SITE}/_virtualenv.pth")
    (prefix / "bin" / "python3").symlink_to("python")
    (prefix / "bin" / "python-of-this").symlink_to("python")
    assert found_in(prefix) == []


def test_what_venvs_are_made_of_is_no_part_of_a_conda_environment(prefix: Path) -> None:
    make_conda(prefix)
    put(prefix, "bin/activate")
    put(prefix, f"{SITE}/_virtualenv.pth")
    assert details(prefix) == {"B008": f"in no package's record: bin/activate; {SITE}/_virtualenv.pth"}


def test_only_programs_may_be_links_to_the_base_interpreter(prefix: Path) -> None:
    make_venv(prefix)
    (prefix / "lib" / "libpython.so").symlink_to(prefix.parent / "base/bin/python3")
    (prefix / "lib" / "itself").symlink_to(prefix)
    assert details(prefix) == {"B009": "symbolic links that lead out: lib/libpython.so"}


def test_a_settings_file_that_makes_a_venv_of_a_conda_environment(prefix: Path) -> None:
    make_conda(prefix)
    put(prefix, "pyvenv.cfg", b"home = /somewhere\n")
    assert details(prefix) == {"B008": "in no package's record: pyvenv.cfg"}


@pytest.mark.parametrize("maker", MAKERS)
@pytest.mark.parametrize("path", ["lib/libm.so", f"{SITE}/numpy.py", f"{SITE}/more", "bin/tool", "libexec"])
def test_links_that_lead_out(prefix: Path, maker: str, path: str) -> None:
    MAKERS[maker](prefix)
    place = prefix / path
    target = put(prefix.parent, "outside", place.read_bytes() if place.is_file() else b"")
    place.unlink(missing_ok=True)
    place.symlink_to(target)
    assert details(prefix) == {"B009": f"symbolic links that lead out: {path}"}


def test_a_link_to_a_package_elsewhere_in_the_environment(prefix: Path) -> None:
    make_venv(prefix)
    put(prefix, "share/evil/__init__.py")
    (prefix / SITE / "json").symlink_to(prefix / "share/evil")
    assert details(prefix) == {"B008": f"in no package's record: {SITE}/json"}


def test_many_names_are_counted(prefix: Path) -> None:
    make_venv(prefix)
    for number in range(100):
        put(prefix, f"{SITE}/added{number:02}.py")
    detail = details(prefix)["B008"]
    assert detail.endswith("added07.py; and 92 more")
    assert len(detail) < 500


def test_an_entry_of_the_table_that_is_another_wheels(prefix: Path) -> None:
    make_venv(prefix)
    other = dict(zip(RECORDS, reversed(RECORDS.values()), strict=True))
    assert found_in(prefix, records=other) == [("B007", "numpy"), ("B007", "tensorflow")]
    (finding, _) = check_prefix(LOCK, prefix, records=other)
    assert "its RECORD is not that of numpy-2.0.2-py3-none-any.whl" in finding.detail
    assert finding.fix == "Build the environment again."


def test_equal_versions() -> None:
    assert same_version("1.0", "1.0.0")
    assert not same_version("1.0", "1.0.1")
    assert not same_version("x y", "1.0")


def test_marked_while_it_is_built(tmp_path: Path) -> None:
    prefix = tmp_path / "it"
    assert is_vacant(prefix)
    with under_construction(prefix):
        assert is_half_built(prefix)
    assert not is_half_built(prefix)
    with pytest.raises(KeyError), under_construction(prefix):
        raise KeyError
    assert is_half_built(prefix)
    (prefix / "lib").mkdir()
    said: list[str] = []
    discard(prefix, said.append)
    assert list(tmp_path.iterdir()) == []
    assert said == []


def test_an_incomplete_build_is_found(prefix: Path) -> None:
    make_venv(prefix)
    (prefix / MARKER).touch()
    assert found_in(prefix) == [("B006", str(prefix))]


@pytest.mark.parametrize(
    ("system", "machine", "platform"),
    [
        ("darwin", "arm64", Platform.OSX_ARM64),
        ("darwin", "x86_64", Platform.OSX_64),
        ("linux", "x86_64", Platform.LINUX_64),
        ("linux", "aarch64", None),
        ("win32", "AMD64", None),
    ],
)
def test_platforms(system: str, machine: str, platform: Platform | None) -> None:
    assert platform_of(system, machine) is platform
    if platform is None:
        with pytest.raises(UsageError, match=f"no environment can be built on {system} {machine}"):
            this_platform(None, (system, machine))
        return
    assert this_platform(None, (system, machine)) is platform
    other = next(p for p in Platform if p is not platform)
    with pytest.raises(UsageError, match=f"a lock for {other} cannot be built here"):
        this_platform(other, (system, machine))


def test_an_environment_that_is_not_locked(tmp_path: Path) -> None:
    workspace = locked_workspace(tmp_path)
    assert choose(workspace, "tf2.18-py3.11", Platform.LINUX_64).env == "tf2.18-py3.11"
    (tmp_path / "envs/linux-64/tf2.18-py3.11/lock.json").unlink()
    with pytest.raises(UsageError, match="not locked yet") as caught:
        choose(workspace, "tf2.18-py3.11", Platform.LINUX_64)
    assert caught.value.hint == "Run `metalock env --platform linux-64 --env tf2.18-py3.11` to lock it."


def test_the_lock_for_a_prefix(tmp_path: Path) -> None:
    workspace = locked_workspace(tmp_path)
    named, other = tmp_path / "tf2.18-py3.10", tmp_path / "other"
    for prefix in (named, other):
        make_venv(prefix)
    chosen = choose_for(workspace, named, Platform.LINUX_64)
    assert chosen.env == "tf2.18-py3.10"
    assert "which the folder is named after" in chosen.note
    chosen = choose_for(workspace, other, Platform.LINUX_64)
    assert chosen.env == "tf2.18-py3.11"
    assert "the closest lock" in chosen.note
    with pytest.raises(UsageError, match="there is no lock for osx-64"):
        choose_for(workspace, other, Platform.OSX_64)
