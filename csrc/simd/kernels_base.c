/* kernels_base.c -- the kernels of kernels_body.h compiled for base. */
#define PS_KERNEL_LEVEL base
#include "simd/kernels_body.h"
