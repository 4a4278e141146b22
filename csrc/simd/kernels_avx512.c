/* kernels_avx512.c -- the kernels of kernels_body.h compiled for avx512. */
#define PS_KERNEL_LEVEL avx512
#include "simd/kernels_body.h"
