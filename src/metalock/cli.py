"""The command line: options to domain values, one call, words for people, an exit code."""

from __future__ import annotations

import json
import os
from pathlib import Path

import click
from packaging.utils import canonicalize_name

from metalock import __version__
from metalock.adapters.console import make_reporter, out, say
from metalock.adapters.files import read_text, write_text
from metalock.cli_proof import build_command
from metalock.cli_verify import answers_command, ci_matrix_command, smoke_command, verify_command
from metalock.drift import check_answers, check_drift, check_readme
from metalock.env import lock_matrix, require_locked
from metalock.errors import NothingSelectedError, UsageError
from metalock.findings import Finding
from metalock.listing import NEEDS, Known, Question, ask, reasons, to_json, to_rows, to_text
from metalock.lock.model import Upgrade
from metalock.matrix.expand import require_available, select
from metalock.matrix.model import Cell
from metalock.options import NeedsType, SystemType, exits_with_its_code, with_matrix, with_selection
from metalock.platforms import Platform
from metalock.report import next_step, outcome_lines
from metalock.table import has_table, to_markdown, with_table
from metalock.workspace import open_workspace

EVERYTHING = "*"
EXIT_CODES = """\b
Exit codes:
  0  fine                    3  unsolvable
  1  findings                4  a tool or server failed
  2  bad usage or matrix     5  nothing selected
  130  interrupted"""


@click.group(context_settings={"help_option_names": ["-h", "--help"]}, epilog=EXIT_CODES)
@click.version_option(__version__, prog_name="metalock")
def main() -> None:
    """Locked conda environments of TensorFlow for Macs, and the Linux machines beside them.

    \b
    metalock init     a small matrix.toml to start from
    metalock list     what the matrix offers
    metalock env      lock it: envs/<platform>/<env>/environment.yml
    metalock audit    can it load? told from the wheels, on any machine
    metalock build    make it on this machine, and check it
    metalock verify   build what has no evidence yet, try what works in it, record that
    metalock answers  what works in which version, from the evidence
    metalock check    is it still true?
    """


main.add_command(build_command)


def show_findings(findings: list[Finding], *, as_json: bool) -> int:
    """Print them; the exit code."""
    if as_json:
        out(json.dumps([finding.to_dict() for finding in findings], indent=2))
    else:
        for finding in findings:
            out(finding.to_text())
        plural = "" if len(findings) == 1 else "s"
        say(f"{len(findings) or 'no'} finding{plural}")
    return 1 if findings else 0


def update_table(path: Path, cells: list[Cell], known: dict[str, Known]) -> int:
    """Write the table between the document's markers."""
    text = read_text(path)
    if not has_table(text):
        raise UsageError(
            f"{path} has no markers for the table", hint="They are HTML comments; see docs/design.md."
        )
    changed = write_text(path, with_table(text, cells, known))
    say(f"{path}: {'table written' if changed else 'table up to date'}")
    return 0


main.add_command(smoke_command)
main.add_command(verify_command)
main.add_command(answers_command)
main.add_command(ci_matrix_command)


@main.command("env")
@with_matrix
@with_selection
@click.option(
    "--upgrade",
    is_flag=False,
    flag_value=EVERYTHING,
    multiple=True,
    metavar="[PACKAGE]",
    help="Let this package's locked version move, the others hold; without a name, all move.",
)
@click.option(
    "--check", is_flag=True, help="Write nothing: say what is stale or edited by hand, and exit 1 if any is."
)
@click.option(
    "--offline",
    is_flag=True,
    help="Don't ask the conda channel: the records in the committed locks are enough to solve again. "
    "The pip part asks its index or, where that can't be reached, uv's cache.",
)
@click.option(
    "--jobs", type=click.IntRange(min=1), help="Resolutions side by side.  [default: number of cores]"
)
@exits_with_its_code
def env_command(
    matrix_file: Path,
    platforms: tuple[Platform, ...],
    envs: tuple[str, ...],
    upgrade: tuple[str, ...],
    *,
    check: bool,
    offline: bool,
    jobs: int | None,
) -> int:
    """Lock the matrix: solve what is stale, and write envs/<platform>/<env>/.

    Each folder holds environment.yml for `conda env create -f`, conda.lock and requirements.txt
    for `conda create --file` then `pip install`, and lock.json, which they are rendered from.
    Locked versions stay while they satisfy the matrix.
    """
    workspace = open_workspace(matrix_file)
    cells = select(workspace.cells(), platforms=platforms, envs=envs)
    available = require_available(cells)
    prune = () if envs else platforms or tuple(Platform)
    if check:
        return show_findings(list(check_drift(workspace, available, prune)), as_json=False)
    plan = Upgrade(everything=EVERYTHING in upgrade, packages=tuple(canonicalize_name(n) for n in upgrade))
    require_locked(workspace, available, plan)
    outcome = lock_matrix(
        workspace,
        available,
        upgrade=plan,
        prune=prune,
        offline=offline,
        jobs=jobs or os.cpu_count() or 1,
        reporter=make_reporter(),
    )
    every = list(workspace.cells())
    working = [*outcome.locked, *outcome.rendered, *outcome.current]
    if outcome.failed:
        working += [cell.name for cell in workspace.current_cells()]
    for line in outcome_lines(outcome, every, working):
        say(line)
    step = next_step(workspace, available)
    if step and not outcome.failed:
        say(step)
    return outcome.exit_code


@main.command("list")
@with_matrix
@with_selection
@click.option("--python", "pythons", multiple=True, metavar="3.N", help="Only this Python; repeatable.")
@click.option(
    "--needs",
    type=NeedsType(),
    default=(),
    metavar="A,B",
    help=f"Only where these can be had: {', '.join(NEEDS)} or a column.",
)
@click.option("--macos", type=SystemType(), metavar="VERSION", help="Only what runs on this macOS.")
@click.option("--glibc", type=SystemType(), metavar="VERSION", help="Only what runs on this glibc.")
@click.option("--json", "as_json", is_flag=True, help="A JSON array of environments.")
@click.option("--markdown", is_flag=True, help="A Markdown table with a row for each stack.")
@click.option(
    "--update",
    type=click.Path(dir_okay=False, exists=True, path_type=Path),
    help="Write that table into this file, between its markers.",
)
@exits_with_its_code
def list_command(
    matrix_file: Path,
    platforms: tuple[Platform, ...],
    envs: tuple[str, ...],
    pythons: tuple[str, ...],
    needs: tuple[str, ...],
    macos: str | None,
    glibc: str | None,
    *,
    as_json: bool,
    markdown: bool,
    update: Path | None,
) -> int:
    """Show what the matrix offers, newest first.

    \b
    metalock list --python 3.12 --platform osx-arm64 --needs metal,tfio --macos 13
    """
    from metalock.tiers import known_of

    workspace = open_workspace(matrix_file)
    cells = list(workspace.cells())
    states = {cell.name: workspace.state(cell) for cell in cells if cell.unavailable is None}
    known = known_of(workspace, states.values())
    if update is not None:
        return update_table(update, cells, known)
    question = Question(platforms=platforms, pythons=pythons, needs=needs, macos=macos, glibc=glibc)
    answer = ask(select(cells, envs=envs), question)
    if not answer:
        raise NothingSelectedError("no environment of the matrix fulfils all of that")
    if markdown:
        out(to_markdown(answer, known))
        return 0
    standings = [str(states[cell.name].standing) if cell.name in states else "-" for cell in answer]
    if as_json:
        found = zip(answer, standings, strict=True)
        rows = [to_json(cell, standing, known.get(cell.name)) for cell, standing in found]
        out(json.dumps(rows, indent=2))
        return 0
    out(to_text(to_rows(answer, standings, known)))
    say("* default of its platform")
    for reason in reasons(answer):
        say(f"unavailable: {reason}")
    return 0


@main.command("check")
@with_matrix
@with_selection
@click.option("--json", "as_json", is_flag=True, help="A JSON array of findings.")
@click.option("--offline", is_flag=True, help="Files only: leave the index alone.")
@click.option(
    "--jobs", type=click.IntRange(min=1), help="Resolutions side by side.  [default: number of cores]"
)
@exits_with_its_code
def check_command(
    matrix_file: Path,
    platforms: tuple[Platform, ...],
    envs: tuple[str, ...],
    *,
    as_json: bool,
    offline: bool,
    jobs: int | None,
) -> int:
    """Is the matrix still true? Exit 1 with findings, each with its code and mend.

    Files: what is stale, edited by hand, or not in the matrix. Pins: whether those of a cell
    that isn't locked agree with each other and with the wheels' metadata. Index: whether
    something called unavailable has appeared, and every locked wheel is still there, with
    its hash and not yanked.
    """
    workspace = open_workspace(matrix_file)
    cells = select(workspace.cells(), platforms=platforms, envs=envs)
    prune = () if envs else platforms or tuple(Platform)
    from metalock.answers.gather import answers_text
    from metalock.tiers import known_of

    every = (workspace.state(cell) for cell in workspace.cells() if cell.unavailable is None)
    known = known_of(workspace, every)
    findings = [*check_drift(workspace, cells, prune), *check_readme(workspace, known)]
    findings += check_answers(workspace, lambda: answers_text(workspace))
    if not offline:
        from metalock.check import check_index

        findings += check_index(workspace, cells, jobs=jobs or os.cpu_count() or 1, reporter=make_reporter())
    return show_findings(findings, as_json=as_json)


@main.command("audit")
@with_matrix
@with_selection
@click.option("--again", is_flag=True, help="Also what has a result for its present lock.")
@click.option(
    "--grid",
    metavar="PLUGIN",
    help="Not the locks: all published TensorFlow releases since 2.6 against all of PLUGIN's.",
)
@click.option(
    "--json", "as_json", is_flag=True, help="A JSON array of environments, or with --grid of libraries."
)
@click.option(
    "--output",
    type=click.Path(dir_okay=False, path_type=Path),
    help="With --grid: write a Markdown page there, or with --json the JSON.",
)
@exits_with_its_code
def audit_command(
    matrix_file: Path,
    platforms: tuple[Platform, ...],
    envs: tuple[str, ...],
    *,
    again: bool,
    grid: str | None,
    as_json: bool,
    output: Path | None,
) -> int:
    """Can the locked environments load? Told from their wheels, on any machine.

    Reads every wheel (fetched once, kept as facts of some megabytes) and judges: architecture, the
    oldest system, whether each library and symbol is found, stubs, requirements. The result lies in
    audit.json beside the lock. "Loads" is not "works": docs/audit.md says what can't be seen this way.

    \b
    metalock audit --env tf2.18-py3.11
    metalock audit --grid tensorflow-metal --platform osx-arm64
    """
    from metalock.audit.commands import audit_locks, show_grid

    reporter = make_reporter()
    if output is not None and grid is None:
        raise UsageError("--output goes with --grid: the result of a lock lies in audit.json beside it")
    if grid is not None and (envs or len(platforms) > 1):
        raise UsageError("--grid takes one --platform and no --env: it compares releases, not locks")
    if grid is not None:
        platform = platforms[0] if platforms else Platform.OSX_ARM64
        return show_grid(grid, platform, as_json=as_json, output=output, reporter=reporter)
    workspace = open_workspace(matrix_file)
    cells = require_available(select(workspace.cells(), platforms=platforms, envs=envs))
    return audit_locks(workspace, cells, again=again, as_json=as_json, reporter=reporter)


@main.command("diff")
@with_matrix
@click.argument("revision", default="HEAD")
@exits_with_its_code
def diff_command(matrix_file: Path, revision: str) -> int:
    """What changed in the locks since a git REVISION (default: the last commit), as a Markdown list.

    Each line is a package's old and new version, and the environments it changed in.
    """
    from metalock.diff import diff_lines, locks_at

    workspace = open_workspace(matrix_file)
    new = {f"{lock.platform}/{env}": lock for env, lock in workspace.locks()}
    lines = list(diff_lines(locks_at(workspace, revision), new))
    out("\n".join(lines) if lines else "no lock has changed")
    return 0


@main.group("export")
def export_group() -> None:
    """Write the locks in other tools' formats."""


@export_group.command("conda-lock")
@with_matrix
@click.argument("env")
@click.option(
    "--output",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Where to; micromamba wants a name that ends in -lock.yml.  "
    "[default: exports/ENV.conda-lock.yml beside the matrix]",
)
@exits_with_its_code
def export_conda_lock(matrix_file: Path, env: str, output: Path | None) -> int:
    """One conda-lock.yml with all the platforms of ENV.

    For `conda-lock install`, `conda-lock render` and `micromamba create -f`. It holds the
    wheels' URLs as your index gives them now, so it is no file to commit.
    """
    from metalock.export.conda_lock import write_conda_lock

    workspace = open_workspace(matrix_file)
    chosen = select(workspace.cells(), envs=(env,))
    cells = require_available(chosen)
    path = output or workspace.root / "exports" / f"{env}.conda-lock.yml"
    changed = write_conda_lock(workspace, cells, path, reporter=make_reporter())
    for cell in chosen:
        if cell.unavailable is not None:
            say(f"left out: {cell.name}: {cell.unavailable}")
    say(f"{path}: {'written' if changed else 'up to date'}: {', '.join(cell.platform for cell in cells)}")
    return 0


@main.command("init")
@click.argument("folder", type=click.Path(file_okay=False, path_type=Path), default=Path())
@exits_with_its_code
def init_command(folder: Path) -> int:
    """Write a small working matrix.toml, templates and a Makefile into FOLDER (default: here)."""
    from metalock.scaffold import write_starter

    for path in write_starter(folder):
        say(f"wrote {path}")
    say("next: metalock list, then metalock env")
    return 0
