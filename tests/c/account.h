/* account.h -- a memory account for one test, which must be even at its end. */
#ifndef PS_TESTS_ACCOUNT_H
#define PS_TESTS_ACCOUNT_H

#include "base/mem.h"
#include "check.h"

static inline ps_mem *make_account(void)
{
    ps_mem *mem = NULL;
    CHECK_OK(ps_mem_create(0, &mem, NULL));
    return mem;
}

static inline void settle(ps_mem *mem)
{
    CHECK_EQ(ps_mem_used(mem), 0);
    ps_mem_release(mem);
}

#endif
