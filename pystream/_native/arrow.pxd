# cython: language_level=3
from libc.stdint cimport int64_t

from pystream._native._c cimport ArrowArrayStream, ArrowSchema, ps_batch, ps_mem


cdef class Memory:
    cdef ps_mem *ptr


cdef class Batch:
    cdef ps_batch *ptr

    @staticmethod
    cdef Batch wrap(ps_batch *taken)


cdef class BatchList:
    cdef Memory memory
    cdef object _schema
    cdef ps_batch **_items
    cdef int64_t _count
    cdef int64_t _capacity
    cdef int64_t _rows

    cdef int append_taken(self, ps_batch *taken) except -1


cdef class InputStream:
    cdef ArrowArrayStream stream
    cdef object _keep


cdef ArrowSchema *new_schema() except NULL
cdef object schema_capsule(ArrowSchema *owned)
