# cython: language_level=3
"""What the shared core says about itself."""

cdef extern from "pystream.h" nogil:
    const char *ps_version()


def version():
    """Version of the loaded native core."""
    return ps_version().decode("ascii")
