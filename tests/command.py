"""Runs the command in this process, as the shell would, for the tests of the command."""

import json
import sys
from dataclasses import dataclass
from typing import Any

import pytest

from estimator.cli import main


@dataclass(frozen=True)
class Ran:
    """What a command left behind."""

    status: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)

    @property
    def refusal(self) -> str:
        """The one line on standard error of a user's mistake."""
        assert self.status == 2, self.err
        assert self.err.startswith("tuneroi: ") and self.err.count("\n") == 1, self.err
        assert "Traceback" not in self.err
        return self.err


class Tuneroi:
    """`tuneroi ARGUMENTS` with its output captured, and the network off."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
        self.monkeypatch, self.capsys = monkeypatch, capsys
        # The library reads the environment once, when it is first imported: both are set, and
        # both are restored for the tests that come after.
        from huggingface_hub import constants

        monkeypatch.setenv("HF_HUB_OFFLINE", "1")
        monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)

    def __call__(self, *arguments: object) -> Ran:
        self.monkeypatch.setattr(sys, "argv", ["tuneroi", *map(str, arguments)])
        with pytest.raises(SystemExit) as stopped:
            main()
        out, err = self.capsys.readouterr()
        return Ran(int(stopped.value.code or 0), out, err)
