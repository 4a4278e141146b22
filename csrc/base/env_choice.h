/* env_choice.h -- a choice that the environment makes: one of some words.
 *
 *   PYSTREAM_FORCE_ISA      base, avx2, avx512 or neon: what the machine has (simd/dispatch.h)
 *   PYSTREAM_PREAGGREGATE   auto, never, always, half (operators/pre_choice.h)
 *   PYSTREAM_SOURCE_TURNS   auto, driver, shards (runtime/engine.h)
 *
 * These are all that the core reads: for tests and for measuring, never the only way to something.
 * Callers: while nobody changes the environment, as a job is made or the core is loaded.
 */
#ifndef PS_BASE_ENV_CHOICE_H
#define PS_BASE_ENV_CHOICE_H

#include "base/error.h"

/* The number of the word that the variable holds. Where it is not set or empty *choice stays what
 * it is, the caller's default; another word is PS_INVALID, which lists all, and *choice stays too.
 */
PS_MUST_CHECK ps_status ps_env_choice(const char *variable, const char *const *words, int32_t count,
                                      int32_t *choice, ps_error *err);

#endif
