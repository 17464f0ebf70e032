"""The command line: the group of commands, and the exit codes."""

from sparse_ap.cli.interrupts import end_at_once

__all__ = ["main"]


def main() -> None:
    """Run a command of ``sparse-ap``, whose entry point this is.

    Ctrl-C is set to end the program in one line before anything else is imported; otherwise it would show a
    traceback through the imports.
    """
    end_at_once()
    from sparse_ap.cli.commands import main as commands

    try:
        commands(prog_name="sparse-ap")
    finally:
        # The command is done: a Ctrl-C while Python shuts down must not show a traceback either.
        end_at_once()
