/* kernels_neon.c -- the kernels of kernels_body.h compiled for neon. */
#define PS_KERNEL_LEVEL neon
#include "simd/kernels_body.h"
