# cython: language_level=3
"""What belongs to no job: version, instruction set, checksum, the memory the process keeps."""

from cpython.buffer cimport PyBUF_SIMPLE, PyBuffer_Release, PyObject_GetBuffer
from libc.stdint cimport int64_t, uint32_t

from pystream._native._c cimport (
    check, ps_crc32c, ps_error, ps_pages_kept, ps_pages_limit, ps_pages_make_ready,
    ps_pages_release, ps_pages_set_limit, ps_simd_force, ps_simd_level, ps_simd_level_count,
    ps_simd_level_name, ps_simd_status, ps_thread_set_name, ps_version,
)


def version():
    """Version of the loaded native core."""
    return ps_version().decode("ascii")


def simd_level():
    """Name of the instruction set the kernels use now."""
    return ps_simd_level().decode("ascii")


def simd_levels():
    """Names of the instruction sets this machine can run, weakest first."""
    return [ps_simd_level_name(i).decode("ascii") for i in range(ps_simd_level_count())]


def force_simd(name):
    """Switches the whole process to another instruction set; not while a job runs."""
    cdef ps_error err
    check(ps_simd_force(name.encode("utf-8"), &err), &err)


def check_simd():
    """Raises when PYSTREAM_FORCE_ISA names something this machine cannot run."""
    cdef ps_error err
    check(ps_simd_status(&err), &err)


def crc32c(data, uint32_t value=0):
    """CRC-32C of bytes (any contiguous buffer); value: that of the bytes before."""
    cdef Py_buffer view
    PyObject_GetBuffer(data, &view, PyBUF_SIMPLE)
    try:
        if view.len < 16384:
            return ps_crc32c(value, view.buf, <size_t>view.len)
        with nogil:  # about 1 us in every 16 KiB
            value = ps_crc32c(value, view.buf, <size_t>view.len)
        return value
    finally:
        PyBuffer_Release(&view)


def name_thread(job, role):
    """Names the calling thread for top and debuggers: ``ps-<job>-<role>``, cut to 15 bytes."""
    ps_thread_set_name(job.encode("utf-8", "replace"), role.encode("utf-8", "replace"))


def kept_memory():
    """Bytes of freed memory that the process keeps for later jobs."""
    return ps_pages_kept()


def kept_memory_limit():
    """The most it keeps."""
    return ps_pages_limit()


def set_kept_memory_limit(int64_t limit_bytes):
    """Sets that limit; what is above it goes back to the system."""
    with nogil:
        ps_pages_set_limit(limit_bytes)


def release_kept_memory():
    """Gives all of it back and answers how many bytes that was."""
    cdef int64_t released
    with nogil:
        released = ps_pages_release()
    return released


def make_memory_ready(int64_t size_bytes):
    """Touches memory for blocks to come, as if it had been kept; answers how many bytes it was.

    Whole huge pages only, and none while 64 MiB are kept or what the limit allows.
    """
    cdef int64_t ready
    with nogil:
        ready = ps_pages_make_ready(size_bytes)
    return ready
