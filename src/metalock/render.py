"""Rendering a cell and its lock to the files that conda and pip read, with Jinja2 templates."""

from __future__ import annotations

import json
import re
import traceback
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from metalock.errors import UsageError

if TYPE_CHECKING:
    from jinja2 import Template

    from metalock.lock.model import Lock
    from metalock.matrix.model import Cell

TEMPLATE_SUFFIX = ".j2"
RENDERED = ("environment.yml", "conda.lock", "requirements.txt")

_PLAIN = re.compile(r"[A-Za-z](?:[A-Za-z0-9_./:-]*[A-Za-z0-9_/-])?")
_YAML_WORDS = ("y", "yes", "n", "no", "on", "off", "true", "false", "null")

Renderer = Callable[["Cell", "Lock"], dict[str, str]]


def make_renderer(templates: Mapping[str, str]) -> Renderer:
    """Compile the templates, keyed by output file name; raise `UsageError` for a template with an error."""
    from jinja2 import DictLoader, Environment, StrictUndefined, TemplateSyntaxError

    jinja = Environment(
        loader=DictLoader(dict(templates)),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,  # noqa: S701 - YAML and text, not HTML; `quoted` is the escape, and locks are checked
    )
    jinja.filters |= {"quoted": json.dumps, "yaml": _yaml_string}
    try:
        compiled = {name: jinja.get_template(name) for name in templates}
    except TemplateSyntaxError as error:
        raise _template_error(error.name, error.lineno, error) from None

    def render(cell: Cell, lock: Lock) -> dict[str, str]:
        context = {
            "cell": cell,
            "lock": lock,
            "channels": cell.channels,
            "floor": f"{cell.platform.floor_label} {cell.floor}",
            "tensorflow_version": lock.pip_version(cell.tensorflow.name),
        }
        return {name: _render(template, context) for name, template in compiled.items()}

    return render


def _render(template: Template, context: Mapping[str, object]) -> str:
    try:
        return template.render(context)
    except Exception as error:  # noqa: BLE001 - a template is a program: it may raise anything
        frames = traceback.extract_tb(error.__traceback__)
        line = next((frame.lineno for frame in reversed(frames) if frame.filename == "<template>"), None)
        raise _template_error(template.name, line, error) from None


def _template_error(name: str | None, line: int | None, error: Exception) -> UsageError:
    place = f"{name}{TEMPLATE_SUFFIX}" + (f", line {line}" if line else "")
    return UsageError(f"templates/{place}: {error}")


def _yaml_string(text: str) -> str:
    """Return the text as it is if YAML reads it as this string, else quoted: `on`, `1.5`, `2026-01-01`.

    >>> _yaml_string("conda-forge"), _yaml_string("on")
    ('conda-forge', '"on"')
    """
    plain = _PLAIN.fullmatch(text) and text.lower() not in _YAML_WORDS
    return text if plain else json.dumps(text)
