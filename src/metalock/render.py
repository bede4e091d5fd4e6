"""A cell and its lock to the files that conda and pip read, through Jinja2 templates."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from jinja2 import DictLoader, Environment, StrictUndefined, TemplateError

from metalock.errors import UsageError

if TYPE_CHECKING:
    from metalock.lock.model import Lock
    from metalock.matrix.model import Cell

TEMPLATE_SUFFIX = ".j2"
RENDERED = ("environment.yml", "conda.lock", "requirements.txt")

Renderer = Callable[["Cell", "Lock"], dict[str, str]]


def make_renderer(templates: Mapping[str, str]) -> Renderer:
    """Compile the templates, keyed by output file name; raise `UsageError` for one that doesn't compile."""
    jinja = Environment(
        loader=DictLoader(dict(templates)),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,  # noqa: S701 - YAML and text, not HTML; `quoted` is the escape, and locks are checked
    )
    jinja.filters["quoted"] = json.dumps
    try:
        compiled = {name: jinja.get_template(name) for name in templates}
    except TemplateError as error:
        raise _template_error(error) from None

    def render(cell: Cell, lock: Lock) -> dict[str, str]:
        context = {
            "cell": cell,
            "lock": lock,
            "channels": cell.channels,
            "floor": f"{cell.platform.floor_label} {cell.floor}",
            "tensorflow_version": lock.pip_version(cell.tensorflow.name),
        }
        try:
            return {name: template.render(context) for name, template in compiled.items()}
        except TemplateError as error:
            raise _template_error(error) from None

    return render


def _template_error(error: TemplateError) -> UsageError:
    where = getattr(error, "name", None)
    line = getattr(error, "lineno", None)
    place = f"{where}{TEMPLATE_SUFFIX}" + (f", line {line}" if line else "") if where else "a template"
    return UsageError(f"templates: {place}: {error.message}")
