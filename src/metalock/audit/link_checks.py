"""The checks of what the loader opens: that each file is a library, and finds all that it links."""

from __future__ import annotations

from collections.abc import Iterator

from metalock.audit.case import PLUGINS, Case, check, label
from metalock.audit.facts import WheelFacts
from metalock.audit.linking import Missing, is_library_name
from metalock.audit.reports import optional_reason
from metalock.audit.rules import AuditRule
from metalock.binaries import FileType
from metalock.findings import Finding


@check(AuditRule.NOT_A_LIBRARY)
def check_kinds(case: Case) -> Iterator[Finding]:
    """Find files that are named like a library and are none: text, empty, an object file or a program."""
    for wheel in case.wheels:
        known = wheel.foreign.keys() | wheel.unreadable.keys()
        for path in wheel.paths:
            if not is_library_name(path) or path in known:
                continue
            binary = wheel.binaries.get(path)
            if binary is None or binary.file_type is FileType.EXECUTABLE:
                detail = "is a program" if binary else "is neither a library nor an extension, by its content"
                yield Finding(rule=AuditRule.NOT_A_LIBRARY, package=label(wheel), where=path, detail=detail)


@check(
    AuditRule.LIBRARY,
    AuditRule.NOT_A_LIBRARY,
    AuditRule.SYMBOL,
    AuditRule.VERSION,
    AuditRule.OPTIONAL,
    AuditRule.UNREADABLE,
)
def check_linking(case: Case) -> Iterator[Finding]:
    """Find what the loader would refuse, for each file that is opened by name and all that it links."""
    unread = case.images.unread
    for wheel in case.wheels:
        if wheel.name in PLUGINS and wheel.binaries and unread:
            detail = f"cannot be compared with TensorFlow: {min(unread)} was not read"
            yield Finding(rule=AuditRule.UNREADABLE, package=label(wheel), detail=detail)
    grave: dict[str, Missing] = {}
    optional: dict[str, Missing] = {}
    for root in case.images.roots():
        wheel = case.owners[root]
        if unread and wheel.name in PLUGINS:
            continue
        into = optional if optional_reason(wheel.name, root) else grave
        for path, missing in case.images.opened(root).items():
            into[path] = into.get(path, Missing()) | missing
    for path, missing in sorted(optional.items()):
        yield from _optional(case.owners[path], path, missing)
    for path, missing in sorted(grave.items()):
        yield from _refused(case.owners[path], path, missing)


def _optional(wheel: WheelFacts, path: str, missing: Missing) -> Iterator[Finding]:
    reason = optional_reason(wheel.name, path) or "linked by a part that is loaded on demand"
    if missing:
        names = (*missing.libraries, *missing.refused, *missing.versions, *missing.symbols)
        detail = f"would not load; it is {reason}"
        yield Finding(rule=AuditRule.OPTIONAL, package=label(wheel), where=path, detail=detail, names=names)


def _refused(wheel: WheelFacts, path: str, missing: Missing) -> Iterator[Finding]:
    for rule, what, names in (
        (AuditRule.LIBRARY, "libraries that are found nowhere", missing.libraries),
        (AuditRule.NOT_A_LIBRARY, "linked files that are no libraries", missing.refused),
        (AuditRule.VERSION, "symbol versions that nothing defines", missing.versions),
        (AuditRule.SYMBOL, "symbols that nothing exports to it", missing.symbols),
        (AuditRule.UNREADABLE, "not judged", missing.unjudged),
    ):
        if names:
            yield Finding(
                rule=rule, package=label(wheel), where=path, detail=f"{what}: {len(names)}", names=names
            )
