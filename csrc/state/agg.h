/* agg.h -- aggregates as accumulators in one fixed-width row per group.
 *
 *   row  [ rows u64 | accumulator | accumulator | ... ]      stride = 8 to a few cache lines
 *
 * Every aggregate is lift (update), combine and lower over one or more accumulators; equal
 * accumulators are shared (mean and sum of one column need one sum). Slot 0 always counts the rows:
 * a group is present where it is not zero.
 *
 *   law 1   combine(a, identity) = combine(identity, a) = a, bit for bit (sums start at -0.0)
 *   law 2   combine is associative for integers, counts, min, max, first, last; for float sums and
 *           variances up to rounding, so callers fix the order in which they combine
 *   law 3   if invertible: remove(combine(a, b), b) = a, exactly
 *
 * Sources  variance: Welford 1962 (update), Chan, Golub, LeVeque 1979 (combine).
 * Cost     one pass over the rows of a chunk per accumulator; rows are in L1 after the first.
 */
#ifndef PS_STATE_AGG_H
#define PS_STATE_AGG_H

#include "base/arena.h"
#include "expr/canonical.h"
#include "state/agg_spec.h"

typedef struct ps_agg_layout ps_agg_layout;

/* One aggregate with the facts about its inputs. input, weight: numbers of the vectors given to
 * update, -1 = none; equal numbers are shared. The texts are copied; equal numbers have equal
 * texts. */
typedef struct ps_agg_arg {
    ps_agg_function function;
    const char *name;
    int32_t input;
    int32_t weight;
    int32_t parameter;
    ps_type input_type;
    ps_type weight_type;
    bool nullable;                        /* the input may be null */
    const char *input_text, *weight_text; /* expr/canonical.h: what lanes are called after */
    bool own_count; /* counts what it has seen itself; see ps_agg_wants_own_count */
} ps_agg_arg;

/* The result type, or PS_TYPE naming the aggregate, the column type found and what it takes. */
PS_MUST_CHECK ps_status ps_agg_result_type(const ps_agg_arg *arg, ps_type *out, ps_error *err);
/* Whether the result of the aggregate over at least one row may be null. */
bool ps_agg_result_nullable(const ps_agg_arg *arg);

PS_MUST_CHECK ps_status ps_agg_layout_create(ps_mem *mem, const ps_agg_arg *args, int32_t count,
                                             ps_agg_layout **out, ps_error *err);
void ps_agg_layout_destroy(ps_agg_layout *layout); /* NULL allowed */

size_t ps_agg_stride(const ps_agg_layout *layout);
const uint8_t *ps_agg_identity(const ps_agg_layout *layout); /* stride bytes */
bool ps_agg_invertible(const ps_agg_layout *layout);
bool ps_agg_needs_time(const ps_agg_layout *layout);  /* has first or last */
bool ps_agg_counts_only(const ps_agg_layout *layout); /* a row is its row count, 8 bytes */
bool ps_agg_keeps_strings(const ps_agg_layout *layout);

static inline uint64_t ps_agg_rows(const uint8_t *row)
{
    return *(const uint64_t *)(const void *)row;
}

/* How far ahead of its use a row is asked for: rows[] has that many more readable entries, which
 * may repeat a row or be NULL (measured: 16 to 64 are alike, a whole chunk at once costs half
 * again). */
#define PS_AGG_AHEAD 32

/* Adds row i of the inputs to the group row rows[i]; count <= PS_CHUNK_ROWS. times: only when
 * needs_time. Strings kept are copied to the arena. PS_OVERFLOW names the aggregate; the state is
 * then undefined. */
PS_MUST_CHECK ps_status ps_agg_update(const ps_agg_layout *layout, uint8_t *const *rows,
                                      const ps_vector *inputs, const int64_t *times, int64_t count,
                                      ps_arena *arena, ps_error *err);
/* into[i] = combine(into[i], from[i]) for count consecutive group rows; `into` is the earlier
 * part. */
PS_MUST_CHECK ps_status ps_agg_combine(const ps_agg_layout *layout, uint8_t *into,
                                       const uint8_t *from, int64_t count, ps_error *err);
/* from_total[i] = remove(from_total[i], part[i]); only when invertible. */
void ps_agg_remove(const ps_agg_layout *layout, uint8_t *from_total, const uint8_t *part,
                   int64_t count);
/* Result column `aggregate` of the rows rows[0..count). */
PS_MUST_CHECK ps_status ps_agg_lower(const ps_agg_layout *layout, int32_t aggregate,
                                     const uint8_t *const *rows, int64_t count,
                                     ps_vector_scratch *scratch, ps_vector *out, ps_error *err);

/* Gives a copied row strings of its own, in that arena: the row it was copied from may write over
 * its strings. false: memory refused. */
bool ps_agg_own_strings(const ps_agg_layout *layout, uint8_t *row, ps_arena *arena);

#define PS_AGG_LANE_NAME (48 + 2 * PS_CANONICAL_TEXT) /* bytes, the terminator included */

/* The same rows as columns of a snapshot: one or more lanes an accumulator. A lane is called after
 * its accumulator, such as ".sum(price)", and not after an aggregate: aggregates come and go.
 *
 *   .rows  .valid(x)  .sum(x)  .sum_f64(x)  .min(x)  .max(x)  .first_time(x)  .first(x) ...
 *   .min_seen(x)      how many values .min(x) has seen, where .rows or .valid(x) know of more
 *   .max(x) since 2   it began empty, with the second change of the query that added some */
int32_t ps_agg_lane_count(const ps_agg_layout *layout);
void ps_agg_lane_describe(const ps_agg_layout *layout, int32_t lane, char *name, size_t name_size,
                          ps_type *type);
/* Whether an aggregate needs a count of its own to go on from a state with these columns: its
 * values are not in there while the count that it would share is, so that it has seen less; or they
 * are, and had a count of their own. */
bool ps_agg_wants_own_count(const ps_agg_layout *layout, int32_t aggregate, const ps_schema *state);
/* The state's column of a lane, -1 = none. Sums of floats are also made of a sum of integers. */
int32_t ps_agg_lane_find(const ps_agg_layout *layout, int32_t lane, const ps_schema *state);
/* The same in a partial, which has counted all that it has seen: a count of one's own is the shared
 * one there. */
int32_t ps_agg_lane_find_partial(const ps_agg_layout *layout, int32_t lane, const ps_schema *state);
/* Takes over when each accumulator began; those that are not in the state begin now. */
void ps_agg_adopt(ps_agg_layout *layout, const ps_schema *state);
/* Whether rows restored from the lanes that are present mean something for every aggregate: one
 * whose lanes are all missing starts empty, but not one that has values and no count that began
 * with them.
 * PS_INVALID names it. */
PS_MUST_CHECK ps_status ps_agg_check_lanes(const ps_agg_layout *layout, const bool *present,
                                           ps_error *err);
void ps_agg_lane_save(const ps_agg_layout *layout, int32_t lane, const uint8_t *const *rows,
                      int64_t count, ps_vector_scratch *scratch, ps_vector *out);
PS_MUST_CHECK ps_status ps_agg_lane_load(const ps_agg_layout *layout, int32_t lane,
                                         const ps_vector *vector, uint8_t *const *rows,
                                         int64_t count, ps_arena *arena, ps_error *err);

#endif
