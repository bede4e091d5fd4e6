"""Where the index and the channels are read from: the settings of pip, uv and conda.

Only addresses are taken from them. Whatever else they hold (constraints, extra indexes, cut-off
dates) would make a lock depend on the machine it was made on, and is ignored.
"""

from __future__ import annotations

import configparser
import os
import re
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from platformdirs import user_cache_path

from metalock.errors import UsageError
from metalock.lock.model import DEFAULT_CHANNEL_ALIAS

_UV_INDEX_NAME = re.compile(r"^[A-Za-z0-9._-]+=(?=https?://)")
"""uv lets an index be given as `name=url`."""
INDEX_HINT = "The index is set by UV_DEFAULT_INDEX or PIP_INDEX_URL."
LARGEST = 1 << 20
"""Characters of a file of settings."""
INDEX_VARIABLES = ("UV_DEFAULT_INDEX", "UV_INDEX_URL", "PIP_INDEX_URL")


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """The servers and the cache of this machine."""

    index_url: str | None
    """The simple index (PEP 503), possibly with credentials; None for uv's own default."""
    channel_alias: str
    """The URL that a channel's name is relative to, for reading only."""
    channel_mirrors: Mapping[str, tuple[str, ...]]
    """Channel name or URL to the URLs that it is read from instead."""
    cache: Path
    """A folder that may be deleted at any time: `METALOCK_CACHE_DIR`, or metalock's in the user's cache."""

    def channel_url(self, channel: str) -> str:
        """Return the channel's own URL, which locks hold whatever mirror it is read from."""
        return channel if "://" in channel else f"{DEFAULT_CHANNEL_ALIAS}/{channel}"

    def channel_sources(self, channel: str) -> tuple[str, ...]:
        """Return the URLs that the channel is read from, in order; its own URL if there is no setting."""
        url = self.channel_url(channel)
        for key in (channel, url):
            if key in self.channel_mirrors:
                return self.channel_mirrors[key]
        if "://" not in channel and self.channel_alias != DEFAULT_CHANNEL_ALIAS:
            return (f"{self.channel_alias}/{channel}",)
        return (url,)


def read_settings(environ: Mapping[str, str] = os.environ, home: Path | None = None) -> Settings:
    """Read the settings: the environment first, then the user's files of uv, pip and conda.

    Raises `UsageError` for a file that can't be read.
    """
    home = home or Path(environ.get("HOME", "~")).expanduser()
    condarc = _read_condarc(environ, home)
    alias = environ.get("CONDA_CHANNEL_ALIAS") or str(condarc.get("channel_alias") or DEFAULT_CHANNEL_ALIAS)
    return Settings(
        index_url=_index_url(environ, home),
        channel_alias=alias.rstrip("/"),
        channel_mirrors=_channel_mirrors(condarc),
        cache=Path(environ.get("METALOCK_CACHE_DIR") or user_cache_path("metalock")),
    )


def _index_url(environ: Mapping[str, str], home: Path) -> str | None:
    for variable in INDEX_VARIABLES:
        if environ.get(variable):
            return _UV_INDEX_NAME.sub("", environ[variable])
    config = Path(environ.get("XDG_CONFIG_HOME") or home / ".config")
    return _uv_index(environ, config) or _pip_index(environ, home, config)


def _uv_index(environ: Mapping[str, str], config: Path) -> str | None:
    for path in _existing([environ.get("UV_CONFIG_FILE"), config / "uv" / "uv.toml", "/etc/uv/uv.toml"]):
        try:
            table = tomllib.loads(_read(path))
        except (ValueError, RecursionError) as error:
            raise UsageError(f"{path}: {error}") from None
        indexes = table.get("index")
        for entry in indexes if isinstance(indexes, list) else []:
            if isinstance(entry, dict) and entry.get("default") and entry.get("url"):
                return str(entry["url"])
        pip = table.get("pip")
        url = table.get("index-url") or (pip.get("index-url") if isinstance(pip, dict) else None)
        if url:
            return str(url)
    return None


def _pip_index(environ: Mapping[str, str], home: Path, config: Path) -> str | None:
    if environ.get("PIP_CONFIG_FILE") == os.devnull:
        return None
    files = [
        environ.get("PIP_CONFIG_FILE"),
        home / "Library" / "Application Support" / "pip" / "pip.conf",
        config / "pip" / "pip.conf",
        home / ".pip" / "pip.conf",
        "/etc/pip.conf",
    ]
    for path in _existing(files):
        parser = configparser.RawConfigParser()
        try:
            parser.read_string(_read(path))
        except (ValueError, configparser.Error) as error:
            raise UsageError(f"{path}: {error}") from None
        if parser.has_option("global", "index-url"):
            return parser.get("global", "index-url").strip()
    return None


def _read_condarc(environ: Mapping[str, str], home: Path) -> Mapping[str, object]:
    candidates = [environ.get("CONDARC"), home / ".condarc", home / ".config" / "conda" / ".condarc"]
    for path in _existing(candidates):
        import yaml

        try:
            table = yaml.safe_load(_read(path))
        except (ValueError, RecursionError, yaml.YAMLError) as error:
            raise UsageError(f"{path}: {error}") from None
        return table if isinstance(table, dict) else {}
    return {}


def _channel_mirrors(condarc: Mapping[str, object]) -> dict[str, tuple[str, ...]]:
    """Read conda's `custom_channels` (name to base or full URL) and mamba's `mirrored_channels`."""
    mirrors: dict[str, tuple[str, ...]] = {}
    custom = condarc.get("custom_channels")
    for name, base in (custom if isinstance(custom, dict) else {}).items():
        url = str(base).rstrip("/")
        mirrors[str(name)] = (url if re.search(rf"/{re.escape(str(name))}\Z", url) else f"{url}/{name}",)
    mirrored = condarc.get("mirrored_channels")
    for name, urls in (mirrored if isinstance(mirrored, dict) else {}).items():
        mirrors[str(name)] = tuple(
            str(url).rstrip("/") for url in (urls if isinstance(urls, list) else [urls])
        )
    return mirrors


def _read(path: Path) -> str:
    """Return the text of a file; raise `UsageError` if it can't be read, or is too large for settings."""
    try:
        with path.open(encoding="utf-8-sig") as file:
            text = file.read(LARGEST + 1)
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{path}: {error}") from None
    if len(text) > LARGEST:
        raise UsageError(f"{path}: larger than {LARGEST} characters")
    return text


def _existing(paths: Iterable[str | Path | None]) -> list[Path]:
    return [Path(path) for path in paths if path and Path(path).is_file()]
