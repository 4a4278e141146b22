"""The compiled modules and the shared core they link."""
