/* kernels_avx2.c -- the kernels of kernels_body.h compiled for avx2. */
#define PS_KERNEL_LEVEL avx2
#include "simd/kernels_body.h"
