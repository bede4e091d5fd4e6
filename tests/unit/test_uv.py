"""adapters/uv: what uv is given, what it may know, and which of the wheels that it names is taken."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from packaging.utils import parse_wheel_filename

from metalock.adapters import uv
from metalock.adapters.http import Client
from metalock.adapters.proc import Completed
from metalock.adapters.uv import PipRequest, ResolvedWheel, uv_environment
from metalock.errors import FetchError, ToolError, UnsolvableError
from metalock.platforms import Platform


def request(
    platform: Platform = Platform.OSX_ARM64, floor: str = "12.0", python: str = "3.11.9"
) -> PipRequest:
    return PipRequest(
        platform=platform,
        floor=floor,
        python=python,
        exclude_newer="2026-08-21T00:00:00Z",
        requirements={},
        constraints={},
    )


def pylock(*files: str, name: str = "x", version: str = "1.0") -> str:
    wheels = ", ".join(
        f'{{ url = "https://example.invalid/{file}", hashes = {{ sha256 = "{index}" }} }}'
        for index, file in enumerate(files)
    )
    return (
        'lock-version = "1.0"\ncreated-by = "uv"\n'
        f'[[packages]]\nname = "{name}"\nversion = "{version}"\nwheels = [{wheels}]\n'
    )


MAC = [
    "macosx_10_9_x86_64",
    "macosx_11_0_arm64",
    "macosx_12_0_arm64",
    "macosx_13_0_arm64",
    "macosx_12_0_universal2",
]
LINUX = ["manylinux_2_17_x86_64.manylinux2014_x86_64", "manylinux_2_28_x86_64", "manylinux_2_34_x86_64", "manylinux1_x86_64"]  # fmt: skip  # noqa: E501
CHOICES = [
    (request(), [f"cp311-cp311-{tag}" for tag in MAC], "cp311-cp311-macosx_12_0_arm64"),
    (request(floor="13.0"), [f"cp311-cp311-{tag}" for tag in MAC], "cp311-cp311-macosx_13_0_arm64"),
    (request(floor="11.0"), [f"cp311-cp311-{tag}" for tag in MAC], "cp311-cp311-macosx_11_0_arm64"),
    (request(Platform.OSX_64), [f"cp311-cp311-{tag}" for tag in MAC], "cp311-cp311-macosx_12_0_universal2"),
    (request(Platform.OSX_64, "11.0"), [f"cp311-cp311-{tag}" for tag in MAC],
     "cp311-cp311-macosx_10_9_x86_64"),
    (
        request(Platform.LINUX_64, "2.28"),
        [f"cp311-cp311-{tag}" for tag in LINUX],
        "cp311-cp311-manylinux_2_28_x86_64",
    ),
    (
        request(Platform.LINUX_64, "2.17"),
        [f"cp311-cp311-{tag}" for tag in LINUX],
        "cp311-cp311-manylinux_2_17_x86_64.manylinux2014_x86_64",
    ),
    (
        request(),
        ["py3-none-any", "cp39-abi3-macosx_12_0_arm64", "cp311-cp311-macosx_11_0_arm64",
         "cp311-abi3-macosx_12_0_arm64"],
        "cp311-cp311-macosx_11_0_arm64",
    ),
    (request(), ["py3-none-any", "cp39-abi3-macosx_12_0_arm64"], "cp39-abi3-macosx_12_0_arm64"),
    (request(), ["py2.py3-none-any", "py3-none-macosx_12_0_arm64"], "py3-none-macosx_12_0_arm64"),
    (request(), ["1-py3-none-any", "py3-none-any", "2-py3-none-any"], "2-py3-none-any"),
    (request(), ["1a-py3-none-any", "1b-py3-none-any", "1-py3-none-any"], "1b-py3-none-any"),
    (request(), ["10-py3-none-any", "9-py3-none-any"], "10-py3-none-any"),
    (request(), ["2-py3-none-any", "cp311-none-any"], "cp311-none-any"),
    (request(python="3.13.1"), ["cp313-cp313t-macosx_12_0_arm64", "py3-none-any"], "py3-none-any"),
    (request(), ["cp39.cp310-abi3-macosx_12_0_arm64", "cp310-abi3-macosx_11_0_arm64"],
     "cp39.cp310-abi3-macosx_12_0_arm64"),
    (request(), ["cp39.cp310-abi3-macosx_11_0_arm64", "cp310-abi3-macosx_12_0_arm64"],
     "cp310-abi3-macosx_12_0_arm64"),
    (request(Platform.LINUX_64, "2.28"),
     ["cp311-cp311-manylinux_2_28_x86_64.manylinux_2_5_x86_64", "cp311-cp311-manylinux_2_17_x86_64"],
     "cp311-cp311-manylinux_2_28_x86_64.manylinux_2_5_x86_64"),
    (request(), ["py2.py3.cp311-none-any", "py311-none-any"], "py2.py3.cp311-none-any"),
]  # fmt: skip


@pytest.mark.parametrize(("asked", "tags", "best"), CHOICES)
def test_the_wheel_that_pip_takes(asked: PipRequest, tags: list[str], best: str) -> None:
    files = [f"x-1.0-{tag}.whl" for tag in tags]
    for given in (files, files[::-1]):
        (wheel,) = uv._parse_pylock(pylock(*given), asked)
        assert wheel.file == f"x-1.0-{best}.whl"
        assert wheel.file == pips_choice(given, asked)


def pips_choice(files: list[str], asked: PipRequest) -> str:
    """As pip sorts candidates of one version: by the position of the best tag, then by build tag."""
    tags = list(asked.platform.wheel_tags(asked.python, asked.floor))

    def key(file: str) -> tuple[int, object]:
        _, _, build, own = parse_wheel_filename(file)
        return (-min(tags.index(tag) for tag in own if tag in tags), build)

    return max((f for f in files if not set(tags).isdisjoint(parse_wheel_filename(f)[3])), key=key)


def test_a_wheels_name_is_taken_from_its_url_if_need_be() -> None:
    text = pylock("x-1.0%2Blocal-py3-none-any.whl?a=b#c", version="1.0+local")
    (wheel,) = uv._parse_pylock(text, request())
    assert (wheel.file, wheel.version, wheel.sha256, wheel.size) == (
        "x-1.0+local-py3-none-any.whl",
        "1.0+local",
        "0",
        None,
    )


def test_no_wheel_that_fits() -> None:
    with pytest.raises(ToolError, match=r"uv resolved x 1\.0 without a wheel that fits"):
        uv._parse_pylock(pylock("x-1.0-cp310-cp310-macosx_12_0_arm64.whl"), request())


def test_no_wheel_without_its_hash() -> None:
    text = pylock("x-1.0-py3-none-any.whl").replace('sha256 = "0"', 'md5 = "0"')
    with pytest.raises(FetchError, match=r"no sha256 for x-1\.0-py3-none-any\.whl"):
        uv._parse_pylock(text, request())


def test_wheels_come_by_name() -> None:
    text = (
        pylock("b-1.0-py3-none-any.whl", name="b")
        + pylock("a-1.0-py3-none-any.whl", name="a").partition('"uv"\n')[2]
    )
    assert [wheel.name for wheel in uv._parse_pylock(text, request())] == ["a", "b"]
    empty = 'lock-version = "1.0"\ncreated-by = "uv"\npackages = []\n'
    assert uv._parse_pylock(empty, request()) == ()


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[",
        'lock-version = "1.0"\n',
        'lock-version = "9.0"\ncreated-by = "uv"\npackages = []\n',
        pylock("x.whl?a"),
    ],
)
def test_a_pylock_that_is_not_valid(text: str) -> None:
    with pytest.raises(ToolError):
        uv._parse_pylock(text, request())


def test_preferences_are_a_lock_of_versions() -> None:
    assert uv._preferences({"b": "2", "a": "1"}) == (
        'lock-version = "1.0"\ncreated-by = "metalock"\n\n'
        '[[packages]]\nname = "a"\nversion = "1"\n\n[[packages]]\nname = "b"\nversion = "2"\n'
    )


def test_lines_are_sorted() -> None:
    assert uv._lines({"b": "==2", "a": ""}) == "a\nb==2\n"


HOSTILE = {
    "UV_EXTRA_INDEX_URL": "x", "UV_INDEX": "x", "UV_FIND_LINKS": "x", "UV_CONSTRAINT": "x",
    "UV_OVERRIDE": "x",
    "UV_EXCLUDE_NEWER": "x", "UV_PRERELEASE": "allow", "UV_RESOLUTION": "lowest", "UV_INDEX_STRATEGY": "x",
    "UV_PYTHON": "x", "UV_CONFIG_FILE": "x", "UV_NO_BINARY": "x", "UV_CUSTOM_COMPILE_COMMAND": "x",
    "UV_INDEX_URL": "x", "UV_DEFAULT_INDEX": "x", "UV_INDEX_X": "x", "UV_PYTHON_DOWNLOADS": "automatic",
    "PIP_EXTRA_INDEX_URL": "x", "PIP_INDEX_URL": "x", "PIP_CONSTRAINT": "x", "PIP_CONFIG_FILE": "x",
    "PYTHONPATH": "x", "VIRTUAL_ENV": "x", "CONDA_PREFIX": "x", "MACOSX_DEPLOYMENT_TARGET": "99",
    "LANG": "tr_TR",
}  # fmt: skip
FINE = {
    "PATH": "/bin", "HOME": "/h", "https_proxy": "p", "NO_PROXY": "n", "SSL_CERT_FILE": "c",
    "UV_CACHE_DIR": "u",
    "UV_INDEX_MY_OWN_USERNAME": "me", "UV_INDEX_MY_OWN_PASSWORD": "secret",
}  # fmt: skip
OWN = {"UV_PYTHON_DOWNLOADS": "never", "UV_NO_PROGRESS": "1", "NO_COLOR": "1", "LC_ALL": "C.UTF-8"}


def test_uv_knows_how_to_reach_servers_and_nothing_else() -> None:
    assert uv_environment(None, environ=HOSTILE | FINE) == FINE | OWN
    assert uv_environment("i", floor="12.0", environ=HOSTILE | FINE) == FINE | OWN | {
        "UV_DEFAULT_INDEX": "i",
        "MACOSX_DEPLOYMENT_TARGET": "12.0",
    }


def test_pips_certificate_serves_uv() -> None:
    assert uv_environment(None, environ={"PIP_CERT": "a"})["SSL_CERT_FILE"] == "a"
    assert uv_environment(None, environ={"PIP_CERT": "a", "SSL_CERT_FILE": "b"})["SSL_CERT_FILE"] == "b"


@pytest.mark.parametrize(
    ("stderr", "kind"),
    [
        ("  No solution found when resolving dependencies:", UnsolvableError),
        ("requirements are unsatisfiable", UnsolvableError),
        ("error: Failed to fetch: `https://example.invalid`", FetchError),
        ("HTTP status server error (503)", FetchError),
        ("Failed to fetch: `x`, so the requirements are unsatisfiable", FetchError),
        ("error: unexpected argument", ToolError),
    ],
)
def test_failures(stderr: str, kind: type[Exception]) -> None:
    error = uv.uv_failure(Completed(code=2, stdout="", stderr=f"{stderr}\n"), "uv pip compile")
    assert type(error) is kind
    assert str(error).endswith(stderr.strip().removeprefix("error: "))


def test_size_is_the_indexs_own_word() -> None:
    wheel = ResolvedWheel(name="x", version="1", file="f", sha256="0", url="https://example.invalid", size=3)
    assert uv.wheel_size(wheel, Client()) == 3


def test_uv_is_looked_for_by_one_thread_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    inside = threading.Lock()

    def find_uv_bin() -> str:
        alone = inside.acquire(blocking=False)
        assert alone
        time.sleep(0.02)
        inside.release()
        return "/usr/bin/uv"

    monkeypatch.setattr("uv.find_uv_bin", find_uv_bin)
    with ThreadPoolExecutor(max_workers=4) as pool:
        assert {str(path) for path in pool.map(lambda _: uv.uv_path(), range(4))} == {"/usr/bin/uv"}
