"""Settings shared by every test."""

from contextlib import ExitStack

import pytest
from hypothesis import HealthCheck, settings

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
            pytest.skip(str(reason))
        yield server
