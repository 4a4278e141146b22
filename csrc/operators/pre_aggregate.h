/* pre_aggregate.h -- rows of one batch reduced to one row a key and slice, before an exchange.
 *
 *   rows --reduce--> partials: key columns | .slice | accumulator lanes --exchange--> aggregate
 *
 * It is an aggregate operator (aggregate.h) of its own whose state is written out as a snapshot
 * after each batch and then forgotten, so nothing is pending at a barrier or a watermark. The
 * aggregate behind the exchange combines partials with its state (aggregate_merge.c).
 *
 * Invariants   I1  only aggregates whose combine changes no bit whatever the cuts: counts, sums of
 *                  integers and bools, min and max of anything but strings, any, all. Float sums
 *                  depend on the order of rows, and so do means and variances; first and last on
 *                  arrival
 *              I2  no batch with late_watermark: there rows of one slice may be late or not
 *              I3  all rows of a key in a batch go through it or none does: what decides between
 *                  equal extremes (0.0 and -0.0, NaNs) is arrival
 * Overflow     a sum of one batch that leaves its range is no error here: reduce answers
 *              PS_OVERFLOW and has handed out nothing, and the rows travel as they are. So a total
 *              is exact, or an error where the totals of batches in their order leave the range.
 * One thread at a time.
 * Cost         that of an aggregate a row, then some 50 ns a partial.
 */
#ifndef PS_OPERATORS_PRE_AGGREGATE_H
#define PS_OPERATORS_PRE_AGGREGATE_H

#include "operators/aggregate.h"

typedef struct ps_pre_aggregate ps_pre_aggregate;

/* The first aggregate that forbids it, -1: none does. output: of the aggregate. */
int32_t ps_pre_aggregate_forbids(const ps_aggregate_args *args, const ps_schema *output);

/* Takes a batch of partials (borrowed for the call). */
typedef ps_status (*ps_partials_taker)(void *context, ps_batch *partials, ps_error *err);

PS_MUST_CHECK ps_status ps_pre_aggregate_create(ps_mem *mem, ps_schema *input, ps_schema *output,
                                                const ps_aggregate_args *args,
                                                ps_pre_aggregate **out, ps_error *err);
void ps_pre_aggregate_destroy(ps_pre_aggregate *pre); /* NULL allowed */
/* Hands the partials of some rows to `take`; *partials is their number. After PS_OVERFLOW nothing
 * was handed out, and the next call starts anew. */
PS_MUST_CHECK ps_status ps_pre_aggregate_reduce(ps_pre_aggregate *pre, ps_batch *batch,
                                                ps_selection *selection, ps_partials_taker take,
                                                void *context, int64_t *partials, ps_error *err);

#endif
