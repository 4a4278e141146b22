# cython: language_level=3
from pystream._native._c cimport ps_expr, ps_plan
from pystream._native.arrow cimport Memory


cdef class ExprForest:
    cdef ps_expr *ptr
    cdef Memory memory


cdef class Plan:
    cdef ps_plan *ptr
    cdef readonly Memory memory
