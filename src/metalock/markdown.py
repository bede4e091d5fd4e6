"""Escaping for Markdown: strings from outside are shown as they are and never format the page.

Whatever writes Markdown passes the strings of evidence, contract, matrix, locks and package index through
one of these functions. GitHub's dialect counts: tables, strikethrough, mathematics and bare URLs too.
"""

from __future__ import annotations

import re

from metalock.untrusted import one_line, printable

_SPECIAL = re.compile(
    r"""
      [\\`*\[\]~$]                # escapes, code, emphasis, links and images, strikethrough, mathematics
    | (?<![^\W_])_               # an underscore, unless it follows a letter or digit
    | <(?=[A-Za-z/!?])            # tags and comments
    | &(?=\#?\w+;)                # entities
    | :(?=//) | (?<=www)\. | @(?=\w)  # URLs and addresses, which GitHub links
    """,
    re.VERBOSE | re.IGNORECASE,
)
_BLOCK = re.compile(r"(?=[#+\-=>])|(?<=\d)(?=[.)])")
"""Where a backslash keeps the first word of a line from starting a heading, a list or a quotation."""
_CODE = re.compile(r"(?<!`)(`+)(?!`)(.+?)(?<!`)\1(?!`)")
_ENTITIES = {"<": "&lt;", "&": "&amp;"}


def text(value: str) -> str:
    r"""Return the value as literal text, for any place but a table.

    >>> text("# <b>1 * 2</b>")
    '\\# &lt;b>1 \\* 2&lt;/b>'
    """
    return _at_line_start(inline(one_line(value)))


def prose(value: str) -> str:
    r"""Return the value as literal text in which code spans stay code.

    >>> prose("`fit(x)` of [keras]")
    '`fit(x)` of \\[keras\\]'
    """
    return _at_line_start(_with_code(one_line(value)))


def cell(value: str) -> str:
    """Return the value as literal text in a field of a table."""
    return in_table(inline(one_line(value)))


def prose_cell(value: str) -> str:
    """Return the value for a field of a table, as literal text in which code spans stay code."""
    return in_table(_with_code(one_line(value)))


def code(value: str) -> str:
    """Return the value as a code span, whatever backquotes are in it.

    >>> code("No module named `x`")
    '`` No module named `x` ``'
    """
    shown = one_line(value).replace("<!--", "<! --")  # markers of a document are HTML comments
    longest = max((len(run) for run in re.findall("`+", shown)), default=0)
    fence = "`" * (longest + 1)
    if not shown:
        return ""
    return f"{fence} {shown} {fence}" if longest else f"`{shown}`"


def inline(part: str) -> str:
    """Return a part of a line as literal text, with the spaces around it."""
    line = printable(re.sub(r"\s", " ", part))
    return _SPECIAL.sub(lambda found: _ENTITIES.get(found[0], f"\\{found[0]}"), line)


def in_table(markdown: str) -> str:
    """Return inline Markdown so that it stays within one field of a table."""
    return markdown.replace("|", "\\|")


def _with_code(line: str) -> str:
    parts, end = [], 0
    for span in _CODE.finditer(line):
        parts += [inline(line[end : span.start()]), code(span[2]) or inline(span[0])]
        end = span.end()
    return "".join([*parts, inline(line[end:])])


def _at_line_start(markdown: str) -> str:
    first, *rest = re.split("( )", markdown, maxsplit=1)
    if re.fullmatch(r"[#+\-=>].*|\d{1,9}[.)]", first):
        first = _BLOCK.sub(r"\\", first, count=1)
    return "".join([first, *rest])
