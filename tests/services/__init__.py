"""Real servers for tests, and which of them this run had."""

FOUND: dict[str, str] = {}  # by name of the service: that it ran, or why it did not
