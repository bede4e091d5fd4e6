"""The command line: its commands, and what they end with."""

from __future__ import annotations

import click

from metalock import __version__
from metalock.commands.auditing import audit_command
from metalock.commands.locking import check_command, diff_command, env_command
from metalock.commands.offering import answers_command, ci_matrix_command, list_command
from metalock.commands.proving import build_command, smoke_command, verify_command
from metalock.commands.writing import export_group, init_command

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


for command in (
    init_command,
    list_command,
    env_command,
    check_command,
    diff_command,
    audit_command,
    build_command,
    smoke_command,
    verify_command,
    answers_command,
    ci_matrix_command,
    export_group,
):
    main.add_command(command)
