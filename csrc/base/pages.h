/* pages.h -- large blocks for the whole process: arenas of huge pages that all jobs share.
 *
 *   arena (64 MiB)   [ header | block | block |   free   | block | ... ]   units of 16 KiB
 *   huge page        128 units; kept: touched once, and no block lies in it now
 *
 * First touch of a page costs more than most loops over it: the system clears it, and a virtual
 * machine may have to find it first. So pages that blocks leave stay, up to a limit, and later
 * blocks, of this job or the next, are placed where memory has been touched: first fit, oldest
 * arena first. Beyond the limit they are given back at once. Arenas without any are unmapped, but
 * for one, whose header's page is what a block that comes and goes uses.
 *
 * Callers      any thread; one lock, held across fork, so that a child may go on.
 * Sizes        take and give get the same size: that and the address say where a block lies.
 *              Above PS_PAGES_BLOCK_MAX a block is a mapping of its own and is never kept.
 * Counting     is not done here: each job's account counts its blocks by their rounded size.
 */
#ifndef PS_BASE_PAGES_H
#define PS_BASE_PAGES_H

#include "base/base.h"

#define PS_PAGES_UNIT ((size_t)16 << 10)
#define PS_PAGES_HUGE ((size_t)2 << 20)
#define PS_PAGES_ARENA ((size_t)64 << 20)
#define PS_PAGES_BLOCK_MAX ((size_t)32 << 20)

/* What a block of size_bytes takes. */
static inline size_t ps_pages_round(size_t size_bytes)
{
    return ps_align_up(size_bytes, size_bytes > PS_PAGES_BLOCK_MAX ? PS_PAGES_HUGE : PS_PAGES_UNIT);
}

/* size_bytes: positive and rounded. From 2 MiB on a block begins on a huge page. NULL: the system
 * refused. *is_zero: the block is known to be all zero. */
void *ps_pages_take(size_t size_bytes, bool *is_zero);
void ps_pages_give(void *block, size_t size_bytes);

/* Touches memory that blocks to come will be placed in, so that their thread need not wait until it
 * is cleared: up to size_bytes in whole huge pages, while less is kept than the limit allows and
 * than PS_PAGES_READY_MOST. Answers how many bytes. */
#define PS_PAGES_READY_MOST ((int64_t)64 << 20)
PS_API int64_t ps_pages_make_ready(int64_t size_bytes);

/* Bytes kept now; the most that may be (at first an eighth of the machine's memory, at most
 * 1 GiB). A lower limit gives back what is above it. */
PS_API int64_t ps_pages_kept(void);
PS_API int64_t ps_pages_limit(void);
PS_API void ps_pages_set_limit(int64_t limit_bytes);
/* Gives back everything kept; answers how many bytes. */
PS_API int64_t ps_pages_release(void);

#endif
