"""Settings that every test shares."""

import os

import pytest
from hypothesis import HealthCheck, settings

# Idle threads of numpy's algebra take the time of tests that run side by side, and count as theirs.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

# A deadline per example would assert on wall-clock time, which is noise on a busy machine.
settings.register_profile(
    "tuneroi", deadline=None, suppress_health_check=[HealthCheck.too_slow], print_blob=True
)
settings.load_profile("tuneroi")


@pytest.fixture(autouse=True)
def _own_data_folder(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch):  # type: ignore[no-untyped-def]
    """A folder of the user's own data that is empty: own calibrations and prices change results."""
    monkeypatch.setenv("TUNEROI_DATA", str(tmp_path_factory.mktemp("tuneroi")))
