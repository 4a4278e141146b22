"""Settings shared by every test."""

from contextlib import ExitStack

import pytest
from hypothesis import HealthCheck, settings

from tests.services import FOUND
from tests.services.postgres import Unavailable, postgres_server

settings.register_profile(
    "default",
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
    print_blob=True,
)
settings.register_profile("quick", parent=settings.get_profile("default"), max_examples=15)
settings.load_profile("default")


@pytest.fixture(scope="session")
def postgres():
    """A PostgreSQL server of this test run; skips with the reason when there can be none."""
    with ExitStack() as stack:
        try:
            server = stack.enter_context(postgres_server())
        except Unavailable as reason:
            FOUND["PostgreSQL"] = f"skipped: {reason}"
            pytest.skip(str(reason))
        FOUND["PostgreSQL"] = "ran"
        yield server


def pytest_terminal_summary(terminalreporter):
    """Say which services the tests met for real: a log of CI must not hide one that is missing."""
    if FOUND:
        terminalreporter.section("services")
    for name, state in sorted(FOUND.items()):
        terminalreporter.write_line(f"{name}: {state}")
