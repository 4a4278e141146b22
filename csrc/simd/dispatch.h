/* dispatch.h -- which instruction set the kernels use: chosen at load, or forced by name.
 *
 * PYSTREAM_FORCE_ISA=base|avx2|avx512|neon picks a level at load; an unknown or unavailable name is
 * an error reported by ps_simd_status. Every level gives the same bits.
 */
#ifndef PS_SIMD_DISPATCH_H
#define PS_SIMD_DISPATCH_H

#include "base/error.h"

PS_API const char *ps_simd_level(void);
/* Number of levels this machine can run, weakest first, and their names. */
PS_API int32_t ps_simd_level_count(void);
PS_API const char *ps_simd_level_name(int32_t index);
/* Switches the whole process; not while an engine runs. PS_INVALID lists the names that exist. */
PS_API PS_MUST_CHECK ps_status ps_simd_force(const char *name, ps_error *err);
/* PS_OK, or why PYSTREAM_FORCE_ISA could not be honoured. */
PS_API PS_MUST_CHECK ps_status ps_simd_status(ps_error *err);

#endif
