"""The command `tuneroi`: each subcommand parses, calls one function of the core, and shows."""

from estimator.cli.main import main

__all__ = ["main"]
