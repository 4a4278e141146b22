/* deal.h -- the rows of a batch dealt out: each target's own rows as a batch of dense columns.
 *
 *     targets  [ 0 1 1 0 1 ... ]        ->   target 0: | column | column | validity |   one block
 *     columns  | . . . . . ... |             target 1: | column | column | validity |   one block
 *
 * Works on chunks of rows, and in each on one target after another, so that a column comes from
 * memory once however many targets there are; and each target reads only its own rows afterwards:
 * cheaper than a selection of a batch that all targets share, whose every cache line each of them
 * touches. Few targets pick their rows by a mask, many from a list sorted by target.
 * Columns with values of 1, 2, 4 or 8 bytes and booleans can be dealt; batches with other columns
 * (strings, dictionaries, nested) can not: they travel whole with a selection.
 * Cost         per value about a quarter ns with AVX-512, under 1 ns without.
 */
#ifndef PS_OPERATORS_DEAL_H
#define PS_OPERATORS_DEAL_H

#include "arrow/batch.h"

/* Up to that many targets a look at all rows for each is cheaper than sorting. */
#define PS_DEAL_FEW 8

typedef struct ps_deal {
    ps_batch *batch;
    const ps_selection *selection; /* NULL: all rows */
    const bool *wanted;            /* a flag a column; NULL: all. The others stay zeroed views */
    const uint16_t *targets;       /* of each row; target_count: nobody's */
    int32_t target_count;
    const int64_t *counts; /* rows a target, and nobody's if there are any */
} ps_deal;

/* Whether all wanted columns can be dealt. */
bool ps_deal_fits(const ps_batch *batch, const bool *wanted);
/* What one target gets; all NULL where it has no rows. Its owner has a reference of each. */
typedef struct ps_deal_part {
    ps_batch *batch;
    ps_selection
        *selection; /* its rows of a batch that targets share; NULL: the batch is its own */
} ps_deal_part;

/* parts[target]: its rows in their order, times and late watermarks included. dense: as batches of
 * their own, which must fit; else as selections of the batch. */
PS_MUST_CHECK ps_status ps_deal_out(const ps_deal *deal, bool dense, ps_deal_part *parts,
                                    ps_error *err);
void ps_deal_part_release(ps_deal_part *part);
/* The row numbers of nobody's rows. */
PS_MUST_CHECK ps_status ps_deal_nobodys(const ps_deal *deal, ps_selection **out, ps_error *err);

#endif
