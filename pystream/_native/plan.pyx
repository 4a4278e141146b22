# cython: language_level=3
"""The native plan and its expressions, built node by node; every call is checked by the core."""

from cpython.mem cimport PyMem_Calloc, PyMem_Free
from cpython.pycapsule cimport PyCapsule_GetPointer
from libc.stdint cimport int32_t, int64_t

from pystream._native._c cimport (
    PS_AGG_ALL, PS_AGG_ANY, PS_AGG_COUNT, PS_AGG_COUNT_VALID, PS_AGG_FIRST, PS_AGG_LAST,
    PS_AGG_MAX, PS_AGG_MEAN, PS_AGG_MIN, PS_AGG_STD, PS_AGG_SUM, PS_AGG_VAR,
    PS_AGG_WEIGHTED_MEAN, PS_WINDOW_HOPPING, PS_WINDOW_NONE, PS_WINDOW_TUMBLING, ArrowSchema,
    check, ps_agg_function, ps_agg_spec, ps_error, ps_expr_bool, ps_expr_call, ps_expr_column,
    ps_expr_create, ps_expr_destroy, ps_expr_f64, ps_expr_i64, ps_expr_null, ps_expr_string,
    ps_expr_u64, ps_plan_aggregate, ps_plan_create, ps_plan_event_time,
    ps_plan_event_time_column, ps_plan_filter, ps_plan_inexact_aggregate, ps_plan_project,
    ps_plan_release, ps_plan_schema, ps_plan_sink, ps_plan_source, ps_plan_union, ps_window,
    ps_window_kind,
)
from pystream._native.arrow cimport Memory, new_schema, schema_capsule

cdef dict _AGGREGATES = {
    "count": PS_AGG_COUNT, "count_valid": PS_AGG_COUNT_VALID, "sum": PS_AGG_SUM,
    "mean": PS_AGG_MEAN, "min": PS_AGG_MIN, "max": PS_AGG_MAX, "var": PS_AGG_VAR,
    "std": PS_AGG_STD, "first": PS_AGG_FIRST, "last": PS_AGG_LAST, "any": PS_AGG_ANY,
    "all": PS_AGG_ALL, "weighted_mean": PS_AGG_WEIGHTED_MEAN,
}
cdef dict _WINDOWS = {
    "none": PS_WINDOW_NONE, "tumbling": PS_WINDOW_TUMBLING, "hopping": PS_WINDOW_HOPPING,
}


cdef class _Array:
    """A zeroed C array that lives as long as this object, and the bytes its pointers point into."""
    cdef void *data
    cdef list keep

    def __cinit__(self, size_t count, size_t size_bytes):
        self.data = PyMem_Calloc(count if count else 1, size_bytes)
        if self.data == NULL:
            raise MemoryError("out of memory for the arguments of a plan")
        self.keep = []

    def __dealloc__(self):
        PyMem_Free(self.data)


cdef _Array _numbers(values):
    cdef _Array array = _Array(len(values), sizeof(int32_t))
    for i, value in enumerate(values):
        (<int32_t *>array.data)[i] = value
    return array


cdef _Array _texts(values):
    cdef _Array array = _Array(len(values), sizeof(char *))
    cdef bytes text
    for i, value in enumerate(values):
        text = value.encode("utf-8")
        array.keep.append(text)
        (<const char **>array.data)[i] = text
    return array


cdef class ExprForest:
    """Expression nodes, bottom up; every method answers the number of the node it made."""

    def __cinit__(self, Memory memory not None):
        cdef ps_error err
        self.memory = memory
        check(ps_expr_create(memory.ptr, &self.ptr, &err), &err)

    def __dealloc__(self):
        ps_expr_destroy(self.ptr)

    def column(self, str name):
        cdef ps_error err
        cdef int32_t node
        check(ps_expr_column(self.ptr, name.encode("utf-8"), &node, &err), &err)
        return node

    def null(self):
        cdef ps_error err
        cdef int32_t node
        check(ps_expr_null(self.ptr, &node, &err), &err)
        return node

    def boolean(self, bint value):
        cdef ps_error err
        cdef int32_t node
        check(ps_expr_bool(self.ptr, value, &node, &err), &err)
        return node

    def i64(self, int64_t value, format=None):
        cdef ps_error err
        cdef int32_t node
        cdef bytes text = b"" if format is None else format.encode("utf-8")
        cdef const char *pointer = NULL
        if format is not None:
            pointer = text
        check(ps_expr_i64(self.ptr, value, pointer, &node, &err), &err)
        return node

    def u64(self, value):
        cdef ps_error err
        cdef int32_t node
        check(ps_expr_u64(self.ptr, value, &node, &err), &err)
        return node

    def f64(self, double value):
        cdef ps_error err
        cdef int32_t node
        check(ps_expr_f64(self.ptr, value, &node, &err), &err)
        return node

    def string(self, bytes value, bint binary):
        cdef ps_error err
        cdef int32_t node
        check(ps_expr_string(self.ptr, value, len(value), binary, &node, &err), &err)
        return node

    def call(self, str function, arguments, text=None, int64_t integer=0):
        cdef ps_error err
        cdef int32_t node
        cdef _Array numbers = _numbers(arguments)
        cdef bytes kept = b"" if text is None else text.encode("utf-8")
        cdef const char *pointer = NULL
        if text is not None:
            pointer = kept
        check(ps_expr_call(self.ptr, function.encode("utf-8"), <int32_t *>numbers.data,
                           <int32_t>len(arguments), pointer, integer, &node, &err), &err)
        return node


cdef class Plan:
    """A checked tree of operators; every method answers the number of the node it made."""

    def __cinit__(self, Memory memory=None):
        cdef ps_error err
        self.memory = Memory() if memory is None else memory
        check(ps_plan_create(self.memory.ptr, &self.ptr, &err), &err)

    def __dealloc__(self):
        ps_plan_release(self.ptr)

    def source(self, str name, schema):
        """schema: an ``arrow_schema`` capsule, consumed."""
        cdef ps_error err
        cdef int32_t node
        check(ps_plan_source(self.ptr, name.encode("utf-8"),
                             <ArrowSchema *>PyCapsule_GetPointer(schema, b"arrow_schema"),
                             &node, &err), &err)
        return node

    def event_time(self, int32_t node, str column, int64_t out_of_orderness,
                   int64_t max_future=0):
        cdef ps_error err
        cdef int32_t out
        check(ps_plan_event_time(self.ptr, node, column.encode("utf-8"), out_of_orderness,
                                 max_future, &out,
                                 &err), &err)
        return out

    def filter(self, int32_t node, ExprForest expr not None, int32_t predicate):
        cdef ps_error err
        cdef int32_t out
        check(ps_plan_filter(self.ptr, node, expr.ptr, predicate, &out, &err), &err)
        return out

    def project(self, int32_t node, ExprForest expr not None, roots, names):
        cdef ps_error err
        cdef int32_t out
        cdef _Array numbers = _numbers(roots)
        cdef _Array texts = _texts(names)
        check(ps_plan_project(self.ptr, node, expr.ptr, <int32_t *>numbers.data,
                              <const char **>texts.data, <int32_t>len(roots), &out, &err), &err)
        return out

    def union(self, nodes):
        cdef ps_error err
        cdef int32_t out
        cdef _Array numbers = _numbers(nodes)
        check(ps_plan_union(self.ptr, <int32_t *>numbers.data, <int32_t>len(nodes), &out, &err),
              &err)
        return out

    def aggregate(self, int32_t node, ExprForest expr not None, keys, key_names, window,
                  aggregates):
        """window: kind, size, slide, offset; aggregates: function, name, input, weight, ddof."""
        cdef ps_error err
        cdef int32_t out
        cdef ps_window native
        cdef _Array numbers = _numbers(keys)
        cdef _Array texts = _texts(key_names)
        cdef _Array names = _texts([item[1] for item in aggregates])
        cdef _Array specs = _Array(len(aggregates), sizeof(ps_agg_spec))
        cdef ps_agg_spec *spec
        native.kind = <ps_window_kind><int>_WINDOWS[window[0]]
        native.size = window[1]
        native.slide = window[2]
        native.offset = window[3]
        for i, (function, _, value, weight, parameter) in enumerate(aggregates):
            spec = &(<ps_agg_spec *>specs.data)[<int>i]
            spec.function = <ps_agg_function><int>_AGGREGATES[function]
            spec.name = (<const char **>names.data)[<int>i]
            spec.input = value
            spec.weight = weight
            spec.parameter = parameter
        check(ps_plan_aggregate(self.ptr, node, expr.ptr, <int32_t *>numbers.data,
                                <const char **>texts.data, <int32_t>len(keys), &native,
                                <ps_agg_spec *>specs.data, <int32_t>len(aggregates), &out, &err),
              &err)
        return out

    def sink(self, int32_t node):
        cdef ps_error err
        cdef int32_t out
        check(ps_plan_sink(self.ptr, node, &out, &err), &err)
        return out

    def schema(self, int32_t node):
        """The schema of a node's output as an ``arrow_schema`` capsule."""
        cdef ps_error err
        cdef ArrowSchema *schema = new_schema()
        capsule = schema_capsule(schema)
        check(ps_plan_schema(self.ptr, node, schema, &err), &err)
        return capsule

    def event_time_column(self, int32_t node):
        cdef const char *name = ps_plan_event_time_column(self.ptr, node)
        return None if name == NULL else name.decode("utf-8")

    def inexact_aggregate(self, int32_t node):
        """Number of the first aggregate that makes rows travel one by one; None: there is none."""
        cdef int32_t found = ps_plan_inexact_aggregate(self.ptr, node)
        return None if found < 0 else found
