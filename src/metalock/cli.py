"""The command line: its commands in two groups, and its exit codes."""

from __future__ import annotations

from collections.abc import Mapping

import click

from metalock import __version__
from metalock.commands.answers import answers_command
from metalock.commands.audit import audit_command
from metalock.commands.build import build_command
from metalock.commands.check import check_command
from metalock.commands.ci_matrix import ci_matrix_command
from metalock.commands.diff import diff_command
from metalock.commands.env import env_command
from metalock.commands.export import export_group
from metalock.commands.init import init_command
from metalock.commands.list import list_command
from metalock.commands.smoke import smoke_command
from metalock.commands.verify import verify_command

EXIT_CODES = """\b
Exit codes:
  0  fine                    3  unsolvable
  1  findings                4  a tool or server failed
  2  bad usage or matrix     5  nothing selected
  70  a fault of metalock    130  interrupted
  141  output was closed"""

SECTIONS: Mapping[str, tuple[click.Command, ...]] = {
    "Commands for users": (list_command, init_command, export_group, build_command, smoke_command),
    "Commands for maintainers": (
        env_command,
        check_command,
        diff_command,
        audit_command,
        verify_command,
        answers_command,
        ci_matrix_command,
    ),
}


class SectionedGroup(click.Group):
    """A group whose help lists its commands in the sections of `SECTIONS`."""

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write each section; unlike click's, without cutting a `short_help`."""
        known = self.list_commands(ctx)
        for title, commands in SECTIONS.items():
            with formatter.section(title):
                rows = [(command.name, command.short_help or "") for command in commands if command.name]
                formatter.write_dl([row for row in rows if row[0] in known])


@click.group(cls=SectionedGroup, context_settings={"help_option_names": ["-h", "--help"]}, epilog=EXIT_CODES)
@click.version_option(__version__, prog_name="metalock")
@click.option("--debug", is_flag=True, help="Show where in the code an error occurred.")
def main(*, debug: bool) -> None:
    """Locked conda environments for TensorFlow on macOS and Linux.

    matrix.toml says which versions go together. metalock locks them for each platform,
    checks the locks from any machine, and tries what works in the built environments.

    \b
    metalock list --platform osx-arm64
    metalock build tf2.18-py3.11
    """


for section in SECTIONS.values():
    for each in section:
        main.add_command(each)
