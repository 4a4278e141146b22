"""Settings shared by every test."""

from hypothesis import HealthCheck, settings

settings.register_profile(
    "default",
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
    print_blob=True,
)
settings.register_profile("quick", parent=settings.get_profile("default"), max_examples=15)
settings.load_profile("default")
