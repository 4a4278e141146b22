/* dispatch.c -- picks the kernel table at load; the one global of the core lives here. */
#include "simd/dispatch.h"

#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include "base/env_choice.h"
#include "simd/kernels.h"

static _Atomic(const ps_kernels *) active;
static ps_error refused; /* why PYSTREAM_FORCE_ISA could not be honoured */

/* Weakest first; a level of another processor family is not compiled in. */
static int32_t levels(const ps_kernels **out)
{
    int32_t count = 0;
    out[count++] = &ps_kernels_base;
#if defined(__x86_64__)
    __builtin_cpu_init();
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("bmi2")) {
        out[count++] = &ps_kernels_avx2;
        if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
            __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq") &&
            __builtin_cpu_supports("avx512vbmi2")) {
            out[count++] = &ps_kernels_avx512;
        }
    }
#elif defined(__aarch64__)
    out[count++] = &ps_kernels_neon; /* part of every 64-bit ARM processor */
#endif
    return count;
}

#define LEVELS_MAX 4

static const ps_kernels *find(const char *name)
{
    const ps_kernels *all[LEVELS_MAX];
    const int32_t count = levels(all);
    for (int32_t i = 0; i < count; i++) {
        if (strcmp(all[i]->name, name) == 0) {
            return all[i];
        }
    }
    return NULL;
}

__attribute__((constructor)) static void choose_at_load(void)
{
    const ps_kernels *all[LEVELS_MAX];
    const char *names[LEVELS_MAX];
    const int32_t count = levels(all);
    for (int32_t i = 0; i < count; i++) {
        names[i] = all[i]->name;
    }
    int32_t choice = count - 1;
    refused.status = ps_env_choice("PYSTREAM_FORCE_ISA", names, count, &choice, &refused);
    atomic_store_explicit(&active, all[choice], memory_order_relaxed);
}

const ps_kernels *ps_simd_kernels(void)
{
    return atomic_load_explicit(&active, memory_order_relaxed); /* tables are constants */
}

const char *ps_simd_level(void)
{
    return ps_simd_kernels()->name;
}

int32_t ps_simd_level_count(void)
{
    const ps_kernels *all[LEVELS_MAX];
    return levels(all);
}

const char *ps_simd_level_name(int32_t index)
{
    const ps_kernels *all[LEVELS_MAX];
    const int32_t count = levels(all);
    return index >= 0 && index < count ? all[index]->name : NULL;
}

ps_status ps_simd_force(const char *name, ps_error *err)
{
    const ps_kernels *wished = find(name);
    if (wished == NULL) {
        char names[96] = "";
        size_t used = 0;
        for (int32_t i = 0; i < ps_simd_level_count(); i++) {
            used += (size_t)snprintf(names + used, sizeof names - used, "%s%s", i == 0 ? "" : ", ",
                                     ps_simd_level_name(i));
        }
        return ps_fail(err, PS_INVALID,
                       "'%s' is not an instruction set level of this machine; it has: %s", name,
                       names);
    }
    atomic_store_explicit(&active, wished, memory_order_relaxed);
    return PS_OK;
}

ps_status ps_simd_status(ps_error *err)
{
    return refused.status == PS_OK
               ? PS_OK
               : ps_fail(err, refused.status, "%s on this machine", refused.text);
}

ps_divider ps_divider_make(int64_t divisor)
{
    PS_CHECK(divisor >= 1);
    ps_divider by = {.divisor = divisor};
    if (divisor == 1) {
        return by;
    }
    const uint64_t d = (uint64_t)divisor;
    const uint32_t bits = (uint32_t)(64 - __builtin_clzll(d - 1)); /* ceil(log2(d)) >= 1 */
    by.magic = (uint64_t)(((unsigned __int128)1 << (63 + bits)) / d + 1);
    by.shift = bits - 1;
    if (bits <= 31) {
        by.magic31 = ((uint64_t)1 << (31 + bits)) / d + 1;
        by.shift31 = 31 + bits;
    }
    return by;
}
