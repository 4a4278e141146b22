"""Where batches come from and go to; one module a system."""
