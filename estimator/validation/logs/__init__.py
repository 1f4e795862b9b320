"""Logs of past training runs as measured speeds: what each format says, read without guessing."""

from estimator.validation.logs.reading import RunLog
from estimator.validation.logs.run import FORMATS, read_log

__all__ = ["FORMATS", "RunLog", "read_log"]
