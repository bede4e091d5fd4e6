"""adapters/settings: whose word counts on where the index and the channels are."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from metalock.adapters.settings import read_settings
from metalock.errors import UsageError

UV, PIP, OLD_PIP, MAC_PIP = (
    ".config/uv/uv.toml",
    ".config/pip/pip.conf",
    ".pip/pip.conf",
    "Library/Application Support/pip/pip.conf",
)
CONDA = "https://conda.anaconda.org"


def write(home: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        path = home / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")


def pip_conf(url: str) -> str:
    return f"[global]\nindex-url = {url}\nextra-index-url = https://example.invalid/extra\n"


@pytest.mark.parametrize(
    ("environ", "files", "url"),
    [
        ({"UV_DEFAULT_INDEX": "a", "UV_INDEX_URL": "b", "PIP_INDEX_URL": "c"}, {UV: 'index-url = "d"'}, "a"),
        ({"UV_INDEX_URL": "b", "PIP_INDEX_URL": "c"}, {}, "b"),
        ({"UV_DEFAULT_INDEX": "", "PIP_INDEX_URL": "c"}, {PIP: pip_conf("d")}, "c"),
        ({"UV_EXTRA_INDEX_URL": "x", "PIP_EXTRA_INDEX_URL": "y"}, {PIP: pip_conf("d")}, "d"),
        ({}, {UV: 'index-url = "a"', PIP: pip_conf("b")}, "a"),
        ({}, {UV: '[[index]]\nurl = "x"\n[[index]]\nurl = "a"\ndefault = true', PIP: pip_conf("b")}, "a"),
        ({}, {UV: '[pip]\nindex-url = "a"'}, "a"),
        ({}, {UV: '[[index]]\nurl = "x"', PIP: pip_conf("b")}, "b"),
        ({}, {UV: 'index = 1\npip = "x"', PIP: pip_conf("b")}, "b"),
        ({}, {MAC_PIP: pip_conf("a"), PIP: pip_conf("b")}, "a"),
        ({}, {PIP: pip_conf("a"), OLD_PIP: pip_conf("b")}, "a"),
        ({}, {OLD_PIP: pip_conf("https://u:p%40x@example.invalid/simple")}, "https://u:p%40x@example.invalid/simple"),
        ({}, {PIP: "[install]\nindex-url = x\n", OLD_PIP: pip_conf("b")}, "b"),
        ({"PIP_CONFIG_FILE": os.devnull}, {PIP: pip_conf("a")}, None),
    ],
)  # fmt: skip
def test_index_url(environ: dict[str, str], files: dict[str, str], url: str | None, tmp_path: Path) -> None:
    write(tmp_path, files)
    assert read_settings(environ, tmp_path).index_url == url


def test_files_named_by_the_environment_come_first(tmp_path: Path) -> None:
    write(tmp_path, {UV: 'index-url = "a"', "other.toml": 'index-url = "b"', "x/pip/pip.conf": pip_conf("c")})
    assert read_settings({"UV_CONFIG_FILE": str(tmp_path / "other.toml")}, tmp_path).index_url == "b"
    assert read_settings({"XDG_CONFIG_HOME": str(tmp_path / "x")}, tmp_path).index_url == "c"
    assert (
        read_settings({"PIP_CONFIG_FILE": str(tmp_path / "x/pip/pip.conf")}, tmp_path / "x").index_url == "c"
    )


def test_home_comes_from_the_environment(tmp_path: Path) -> None:
    write(tmp_path, {PIP: pip_conf("a")})
    assert read_settings({"HOME": str(tmp_path)}).index_url == "a"


@pytest.mark.parametrize(
    ("condarc", "channel", "sources"),
    [
        ("", "conda-forge", (f"{CONDA}/conda-forge",)),
        ("channel_alias: https://example.invalid/conda/\n", "conda-forge", ("https://example.invalid/conda/conda-forge",)),
        ("channel_alias: https://example.invalid\n", "https://other.invalid/x", ("https://other.invalid/x",)),
        ("custom_channels:\n  conda-forge: https://example.invalid/a\n", "conda-forge", ("https://example.invalid/a/conda-forge",)),
        ("custom_channels:\n  main: https://example.invalid/main/\n", "main", ("https://example.invalid/main",)),
        ("mirrored_channels:\n  conda-forge: [https://a.invalid/x/, https://b.invalid]\n",
         "conda-forge", ("https://a.invalid/x", "https://b.invalid")),
        ("mirrored_channels:\n  conda-forge: https://a.invalid/x\n", "conda-forge", ("https://a.invalid/x",)),
        (f"mirrored_channels:\n  {CONDA}/main: [https://a.invalid]\n", "main", ("https://a.invalid",)),
        ("- a\n- b\n", "main", (f"{CONDA}/main",)),
        ("custom_channels: x\nmirrored_channels: 3\nchannel_alias:\n", "main", (f"{CONDA}/main",)),
    ],
)  # fmt: skip
def test_channel_sources(condarc: str, channel: str, sources: tuple[str, ...], tmp_path: Path) -> None:
    write(tmp_path, {".condarc": condarc})
    settings = read_settings({}, tmp_path)
    assert settings.channel_sources(channel) == sources
    assert settings.channel_url(channel) == (channel if "://" in channel else f"{CONDA}/{channel}")


def test_conda_channel_alias_of_the_environment_wins(tmp_path: Path) -> None:
    write(
        tmp_path,
        {".condarc": "channel_alias: https://a.invalid\n", "rc": "channel_alias: https://c.invalid\n"},
    )
    environ = {"CONDA_CHANNEL_ALIAS": "https://b.invalid/"}
    assert read_settings(environ, tmp_path).channel_sources("x") == ("https://b.invalid/x",)
    assert read_settings({"CONDARC": str(tmp_path / "rc")}, tmp_path).channel_sources("x") == (
        "https://c.invalid/x",
    )


@pytest.mark.parametrize(
    ("name", "text"),
    [
        (UV, "index-url = https://me:secret@example.invalid"),
        (PIP, "index-url = https://me:secret@example.invalid"),
        (PIP, "[global\nindex-url https://me:secret@example.invalid"),
        (".condarc", "channel_alias: [https://me:secret@example.invalid"),
        (".condarc", "a: b: https://me:secret@example.invalid"),
    ],
)
def test_a_broken_file_is_named_without_its_secrets(name: str, text: str, tmp_path: Path) -> None:
    write(tmp_path, {name: text})
    with pytest.raises(UsageError) as caught:
        read_settings({}, tmp_path)
    assert str(tmp_path / name) in str(caught.value)
    assert "secret" not in str(caught.value)
