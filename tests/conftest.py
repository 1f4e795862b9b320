"""Settings that every test shares."""

from hypothesis import HealthCheck, settings

# A deadline per example would assert on wall-clock time, which is noise on a busy machine.
settings.register_profile(
    "tuneroi", deadline=None, suppress_health_check=[HealthCheck.too_slow], print_blob=True
)
settings.load_profile("tuneroi")
