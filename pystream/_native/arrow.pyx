# cython: language_level=3
"""Batches and schemas in and out through Arrow capsules. A Batch owns one ps_batch reference."""

from cpython.pycapsule cimport PyCapsule_GetPointer, PyCapsule_New
from libc.stdint cimport int64_t
from libc.stdlib cimport calloc, free, realloc
from libc.string cimport memset

from pystream._native._c cimport (
    ArrowArray, ArrowArrayStream, ArrowSchema, check, ps_batch, ps_batch_bytes,
    ps_batch_from_arrow, ps_batch_length, ps_batch_release, ps_batch_retain, ps_batch_to_arrow,
    ps_batches_to_stream, ps_error, ps_mem_allocations, ps_mem_create, ps_mem_fail_at,
    ps_mem_peak, ps_mem_release, ps_mem_used,
)


cdef void _drop_schema(object capsule) noexcept:
    cdef ArrowSchema *schema = <ArrowSchema *>PyCapsule_GetPointer(capsule, b"arrow_schema")
    if schema.release != NULL:
        schema.release(schema)
    free(schema)


cdef void _drop_array(object capsule) noexcept:
    cdef ArrowArray *array = <ArrowArray *>PyCapsule_GetPointer(capsule, b"arrow_array")
    if array.release != NULL:
        array.release(array)
    free(array)


cdef void _drop_stream(object capsule) noexcept:
    cdef ArrowArrayStream *stream = <ArrowArrayStream *>PyCapsule_GetPointer(
        capsule, b"arrow_array_stream")
    if stream.release != NULL:
        stream.release(stream)
    free(stream)


cdef ArrowSchema *new_schema() except NULL:
    cdef ArrowSchema *schema = <ArrowSchema *>calloc(1, sizeof(ArrowSchema))
    if schema == NULL:
        raise MemoryError("out of memory for an Arrow schema")
    return schema


cdef object schema_capsule(ArrowSchema *owned):
    """A capsule that owns a schema made by new_schema, empty or filled."""
    return PyCapsule_New(owned, b"arrow_schema", _drop_schema)


cdef object _array_capsule():
    cdef ArrowArray *array = <ArrowArray *>calloc(1, sizeof(ArrowArray))
    if array == NULL:
        raise MemoryError("out of memory for an Arrow array")
    return PyCapsule_New(array, b"arrow_array", _drop_array)


def schema_fields(capsule):
    """(name, format, nullable, dictionary format or None) of each column of a struct schema."""
    cdef ArrowSchema *schema = <ArrowSchema *>PyCapsule_GetPointer(capsule, b"arrow_schema")
    cdef ArrowSchema *child
    cdef int64_t i
    fields = []
    for i in range(schema.n_children):
        child = schema.children[i]
        dictionary = None
        if child.dictionary != NULL:
            dictionary = child.dictionary.format.decode("utf-8")
        fields.append((child.name.decode("utf-8") if child.name != NULL else "",
                       child.format.decode("utf-8"), bool(child.flags & 2), dictionary))
    return fields


def schema_format(capsule):
    """The Arrow format string of one type."""
    cdef ArrowSchema *schema = <ArrowSchema *>PyCapsule_GetPointer(capsule, b"arrow_schema")
    return schema.format.decode("utf-8")


cdef class Memory:
    """An account that every native allocation of one job is charged to."""

    def __cinit__(self, int64_t budget_bytes=0):
        cdef ps_error err
        check(ps_mem_create(budget_bytes, &self.ptr, &err), &err)

    def __dealloc__(self):
        if self.ptr != NULL:
            ps_mem_release(self.ptr)

    @property
    def used(self):
        return ps_mem_used(self.ptr)

    @property
    def peak(self):
        return ps_mem_peak(self.ptr)

    @property
    def allocations(self):
        return ps_mem_allocations(self.ptr)

    def fail_at(self, int64_t nth):
        """Makes the nth allocation from now fail (for tests); 0 switches it off."""
        ps_mem_fail_at(self.ptr, nth)


cdef class Batch:
    """One record batch of the engine; leaves as Arrow without a copy."""

    def __init__(self):
        raise TypeError("a Batch comes from an engine or from Batch.from_arrow")

    @staticmethod
    cdef Batch wrap(ps_batch *taken):
        cdef Batch self = Batch.__new__(Batch)
        self.ptr = taken
        return self

    @staticmethod
    def from_arrow(obj, Memory memory):
        """Imports an object with ``__arrow_c_array__`` without copying its buffers."""
        cdef ps_error err
        cdef ps_batch *batch = NULL
        schema, array = obj.__arrow_c_array__()
        check(ps_batch_from_arrow(
            memory.ptr,
            <ArrowSchema *>PyCapsule_GetPointer(schema, b"arrow_schema"),
            <ArrowArray *>PyCapsule_GetPointer(array, b"arrow_array"),
            &batch, &err), &err)
        return Batch.wrap(batch)

    def __dealloc__(self):
        ps_batch_release(self.ptr)

    def __len__(self):
        return ps_batch_length(self.ptr)

    @property
    def num_rows(self):
        return ps_batch_length(self.ptr)

    @property
    def nbytes(self):
        return ps_batch_bytes(self.ptr)

    def __arrow_c_array__(self, requested_schema=None):
        cdef ps_error err
        cdef ArrowSchema *schema = new_schema()
        schema_owner = schema_capsule(schema)
        array_owner = _array_capsule()
        check(ps_batch_to_arrow(
            self.ptr, schema,
            <ArrowArray *>PyCapsule_GetPointer(array_owner, b"arrow_array"), &err), &err)
        return schema_owner, array_owner

    def __arrow_c_schema__(self):
        return self.__arrow_c_array__()[0]


cdef class BatchList:
    """Batches of one schema; goes out as one Arrow stream."""

    def __cinit__(self, Memory memory not None, schema):
        self.memory = memory
        self._schema = schema

    def __dealloc__(self):
        self.clear()
        free(self._items)

    cdef int append_taken(self, ps_batch *taken) except -1:
        cdef int64_t capacity
        cdef ps_batch **items
        if self._count == self._capacity:
            capacity = 2 * self._capacity if self._capacity else 64
            items = <ps_batch **>realloc(self._items, <size_t>capacity * sizeof(ps_batch *))
            if items == NULL:
                ps_batch_release(taken)
                raise MemoryError("out of memory for the list of result batches")
            self._items = items
            self._capacity = capacity
        self._items[self._count] = taken
        self._count += 1
        self._rows += ps_batch_length(taken)
        return 0

    def append(self, Batch batch not None):
        ps_batch_retain(batch.ptr)
        self.append_taken(batch.ptr)

    def clear(self):
        cdef int64_t i
        for i in range(self._count):
            ps_batch_release(self._items[i])
        self._count = 0
        self._rows = 0

    def take(self):
        """All batches in a new list; this one is empty after."""
        cdef BatchList taken = BatchList.__new__(BatchList, self.memory, self._schema)
        taken._items, taken._capacity = self._items, self._capacity
        taken._count, taken._rows = self._count, self._rows
        self._items = NULL
        self._capacity = self._count = self._rows = 0
        return taken

    def __len__(self):
        return self._count

    def __getitem__(self, int64_t index):
        if not 0 <= index < self._count:
            raise IndexError(f"batch {index} of {self._count}")
        ps_batch_retain(self._items[index])
        return Batch.wrap(self._items[index])

    @property
    def num_rows(self):
        return self._rows

    @property
    def nbytes(self):
        cdef int64_t i, size = 0
        for i in range(self._count):
            size += ps_batch_bytes(self._items[i])
        return size

    def __arrow_c_schema__(self):
        return self._schema.__arrow_c_schema__()

    def __arrow_c_stream__(self, requested_schema=None):
        cdef ps_error err
        cdef ArrowArrayStream *stream = <ArrowArrayStream *>calloc(1, sizeof(ArrowArrayStream))
        if stream == NULL:
            raise MemoryError("out of memory for an Arrow stream")
        capsule = PyCapsule_New(stream, b"arrow_array_stream", _drop_stream)
        schema = self._schema.__arrow_c_schema__()
        check(ps_batches_to_stream(
            self.memory.ptr, <ArrowSchema *>PyCapsule_GetPointer(schema, b"arrow_schema"),
            self._items, self._count, stream, &err), &err)
        return capsule


cdef class InputStream:
    """An Arrow stream moved out of its capsule; pulled by one thread at a time."""

    def __init__(self, capsule, keep=None):
        cdef ArrowArrayStream *source = <ArrowArrayStream *>PyCapsule_GetPointer(
            capsule, b"arrow_array_stream")
        if source.release == NULL:
            raise ValueError("this Arrow stream has already been read")
        self.stream = source[0]
        source.release = NULL
        self._keep = keep

    def __dealloc__(self):
        self.close()

    def close(self):
        """Releases the stream; harmless when done before."""
        if self.stream.release != NULL:
            self.stream.release(&self.stream)
            memset(&self.stream, 0, sizeof(ArrowArrayStream))
        self._keep = None

    def __arrow_c_schema__(self):
        cdef ArrowSchema *schema
        cdef const char *text
        if self.stream.release == NULL:
            raise ValueError("this Arrow stream has been closed")
        schema = new_schema()
        capsule = schema_capsule(schema)
        if self.stream.get_schema(&self.stream, schema) != 0:
            text = self.stream.get_last_error(&self.stream)
            raise ValueError("the Arrow stream gives no schema: "
                             + (text.decode("utf-8", "replace") if text != NULL else "no reason"))
        return capsule
