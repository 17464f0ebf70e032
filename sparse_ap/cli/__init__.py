"""The command line: the group of commands, and the exit codes."""

from sparse_ap.cli.interrupts import end_at_once

__all__ = ["main"]


def main() -> None:
    """Run the command that was typed: the entry point of ``sparse-ap``.

    Nothing is imported before Ctrl-C ends it in one line; otherwise lines of whatever is being imported would
    be shown.
    """
    end_at_once()
    from sparse_ap.cli.commands import main as commands

    try:
        commands(prog_name="sparse-ap")
    finally:
        # What there was to do is done, and Python's own end is no place for a traceback either.
        end_at_once()
