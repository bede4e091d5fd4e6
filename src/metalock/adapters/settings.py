"""Where the index and the channels are read from: the settings of pip, uv and conda.

Only addresses are taken from them. Whatever else they hold (constraints, extra indexes, cut-off
dates) would make a lock depend on the machine it was made on, and is ignored.
"""

from __future__ import annotations

import configparser
import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from platformdirs import user_cache_path

from metalock.adapters.reading import SETTINGS, read_text
from metalock.errors import UsageError
from metalock.lock.model import DEFAULT_CHANNEL_ALIAS
from metalock.parsing import parse_toml

_UV_INDEX_NAME = re.compile(r"^[A-Za-z0-9._-]+=(?=https?://)")
"""uv lets an index be given as `name=url`."""
MOST_YAML = 256 << 10
"""Bytes of a .condarc; PyYAML reads some 100 KB in a second."""
MOST_BRACKETS = 1000
INDEX_HINT = (
    "Check the network, and the index that UV_DEFAULT_INDEX, PIP_INDEX_URL, uv.toml or pip.conf names."
)
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
    path, condarc = _read_condarc(environ, home)
    alias = _text(environ, "CONDA_CHANNEL_ALIAS", "environment variables")
    alias = alias or _text(condarc, "channel_alias", path) or DEFAULT_CHANNEL_ALIAS
    return Settings(
        index_url=_index_url(environ, home),
        channel_alias=alias.rstrip("/"),
        channel_mirrors=_channel_mirrors(condarc, path),
        cache=Path(environ.get("METALOCK_CACHE_DIR") or user_cache_path("metalock")),
    )


def _index_url(environ: Mapping[str, str], home: Path) -> str | None:
    for variable in INDEX_VARIABLES:
        if url := _text(environ, variable, "environment variables"):
            return _UV_INDEX_NAME.sub("", url)
    config = Path(environ.get("XDG_CONFIG_HOME") or home / ".config")
    return _uv_index(environ, config) or _pip_index(environ, home, config)


def _uv_index(environ: Mapping[str, str], config: Path) -> str | None:
    for path in _existing([environ.get("UV_CONFIG_FILE"), config / "uv" / "uv.toml", "/etc/uv/uv.toml"]):
        try:
            table = parse_toml(read_text(path, SETTINGS))
        except ValueError as error:
            raise UsageError(f"{path}: {error}") from None
        indexes = table.get("index")
        for entry in indexes if isinstance(indexes, list) else []:
            if isinstance(entry, dict) and entry.get("default") and (url := _text(entry, "url", path)):
                return url
        pip = table.get("pip")
        url = _text(table, "index-url", path) or _text(
            pip if isinstance(pip, dict) else {}, "index-url", path
        )
        if url:
            return url
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
            parser.read_string(read_text(path, SETTINGS))
        except configparser.Error as error:
            raise UsageError(f"{path}: {error.message.splitlines()[0]}") from None
        if parser.has_option("global", "index-url"):
            return _text({"index-url": parser.get("global", "index-url").strip()}, "index-url", path)
    return None


def _read_condarc(environ: Mapping[str, str], home: Path) -> tuple[Path, Mapping[str, object]]:
    """Return the first file of conda's settings, and its table."""
    candidates = [environ.get("CONDARC"), home / ".condarc", home / ".config" / "conda" / ".condarc"]
    for path in _existing(candidates):
        text = read_text(path, MOST_YAML)
        try:
            table = _parse_yaml(text)
        except ValueError as error:
            raise UsageError(f"{path}: {error}") from None
        return path, table if isinstance(table, dict) else {}
    return Path(), {}


def _parse_yaml(text: str) -> object:
    """Return the YAML value; raise `ValueError` for anything that PyYAML can't read."""
    import yaml

    if "<<" in text:  # merged mappings may grow without bound
        raise ValueError("merge keys (<<) are not supported")
    if (
        text.count("[") + text.count("{") > MOST_BRACKETS
    ):  # PyYAML's time grows with the square of their depth
        raise ValueError(f"more than {MOST_BRACKETS} brackets")
    try:
        return yaml.safe_load(text)
    except RecursionError:
        raise ValueError("nested too deep") from None
    except yaml.YAMLError as error:
        raise ValueError(str(error)) from None
    except (AttributeError, LookupError, TypeError) as error:  # `!!timestamp x`, `!!bool x`, `!!int ""`
        raise ValueError(f"not valid YAML: {error}") from None


def _channel_mirrors(condarc: Mapping[str, object], path: Path) -> dict[str, tuple[str, ...]]:
    """Return conda's `custom_channels`, name to base or full URL, and mamba's `mirrored_channels`."""
    mirrors: dict[str, tuple[str, ...]] = {}
    custom = condarc.get("custom_channels")
    custom = custom if isinstance(custom, dict) else {}
    for name in custom:
        url = _text(custom, name, path).rstrip("/")
        mirrors[str(name)] = (url if url.endswith(f"/{name}") else f"{url}/{name}",)
    mirrored = condarc.get("mirrored_channels")
    for name, urls in (mirrored if isinstance(mirrored, dict) else {}).items():
        listed = dict(enumerate(urls if isinstance(urls, list) else [urls]))
        mirrors[str(name)] = tuple(_text(listed, index, path).rstrip("/") for index in listed)
    return mirrors


def _text(table: Mapping[Any, object], key: object, source: Path | str) -> str:
    """Return an address from the settings, empty if not set; raise `UsageError` if it is not one line."""
    value = table.get(key)
    if value is None:
        return ""
    if not isinstance(value, str) or not value.isprintable():
        raise UsageError(f"{source}: expected an address for {key!r}")
    return value


def _existing(paths: Iterable[str | Path | None]) -> list[Path]:
    return [Path(path) for path in paths if path and path != os.devnull and Path(path).exists()]
