/* agg.c -- which accumulators an aggregate needs, where they lie, and results out of them. */
#include "state/agg.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "state/agg_layout.h"

static const char *const FUNCTION_NAMES[] = {
    "count", "count_valid", "sum",  "mean", "min", "max",           "var",
    "std",   "first",       "last", "any",  "all", "weighted mean",
};

size_t acc_width(acc_kind kind)
{
    switch (kind) {
    case ACC_MIN_STR:
    case ACC_MAX_STR: return sizeof(ps_string);
    case ACC_MOMENTS: return 3 * sizeof(double);
    case ACC_WEIGHTED: return 2 * sizeof(double);
    case ACC_FIRST:
    case ACC_LAST: return 2 * sizeof(int64_t);
    case ACC_FIRST_STR:
    case ACC_LAST_STR: return sizeof(int64_t) + sizeof(ps_string);
    default: return sizeof(int64_t);
    }
}

/* ---- types ---- */

static ps_type plain_type(ps_type_id id, int32_t width)
{
    return (ps_type){.id = (uint8_t)id, .width = width};
}

static bool is_number(const ps_type *type)
{
    const ps_class kind = ps_type_class(type);
    return (kind == PS_CLASS_I64 || kind == PS_CLASS_U64 || kind == PS_CLASS_F64) &&
           !ps_type_is_temporal((ps_type_id)type->id);
}

static ps_status wrong_type(const ps_agg_arg *arg, const ps_type *type, const char *takes,
                            ps_error *err)
{
    char text[96];
    ps_type_describe(type, text, sizeof text);
    const char *const advice =
        type->id == PS_TYPE_DECIMAL128 ? "; cast the decimal to float64 first" : "";
    return ps_fail(err, PS_TYPE, "aggregate '%s': %s takes %s, not %s%s", arg->name,
                   FUNCTION_NAMES[arg->function], takes, text, advice);
}

static ps_type undictionaried(ps_type type)
{
    type.index = 0;
    return type;
}

static ps_status check_input(const ps_agg_arg *arg, ps_error *err)
{
    const ps_type *type = &arg->input_type;
    const ps_class kind = ps_type_class(type);
    const bool is_bool = kind == PS_CLASS_BOOL;
    switch (arg->function) {
    case PS_AGG_SUM:
        if (!is_number(type) && !is_bool && type->id != PS_TYPE_DURATION) {
            return wrong_type(arg, type, "numbers, bool or duration", err);
        }
        return PS_OK;
    case PS_AGG_MEAN:
        return is_number(type) || is_bool ? PS_OK : wrong_type(arg, type, "numbers or bool", err);
    case PS_AGG_VAR:
    case PS_AGG_STD: return is_number(type) ? PS_OK : wrong_type(arg, type, "numbers", err);
    case PS_AGG_WEIGHTED_MEAN:
        if (!is_number(type)) {
            return wrong_type(arg, type, "numbers", err);
        }
        return is_number(&arg->weight_type)
                   ? PS_OK
                   : wrong_type(arg, &arg->weight_type, "a numeric weight", err);
    case PS_AGG_ANY:
    case PS_AGG_ALL: return is_bool ? PS_OK : wrong_type(arg, type, "bool", err);
    case PS_AGG_MIN:
    case PS_AGG_MAX:
        if (type->id == PS_TYPE_DECIMAL128) { /* its bytes are not in the order of its values */
            return wrong_type(arg, type, "numbers, bool, temporal or string columns", err);
        }
        return kind != PS_CLASS_NONE
                   ? PS_OK
                   : wrong_type(arg, type, "numbers, bool, temporal or string columns", err);
    case PS_AGG_FIRST:
    case PS_AGG_LAST:
        return kind != PS_CLASS_NONE ? PS_OK : wrong_type(arg, type, "plain columns", err);
    case PS_AGG_COUNT:
    case PS_AGG_COUNT_VALID: return PS_OK;
    }
    return ps_fail(err, PS_INVALID, "aggregate '%s': unknown function %d", arg->name,
                   (int)arg->function);
}

ps_status ps_agg_result_type(const ps_agg_arg *arg, ps_type *out, ps_error *err)
{
    if (arg->function != PS_AGG_COUNT) {
        PS_TRY(check_input(arg, err));
    }
    const ps_type *type = &arg->input_type;
    switch (arg->function) {
    case PS_AGG_COUNT:
    case PS_AGG_COUNT_VALID: *out = plain_type(PS_TYPE_INT64, 8); break;
    case PS_AGG_SUM:
        if (type->id == PS_TYPE_DURATION) {
            *out = undictionaried(*type);
        } else if (ps_type_class(type) == PS_CLASS_F64) {
            *out = plain_type(PS_TYPE_FLOAT64, 8);
        } else if (ps_type_class(type) == PS_CLASS_U64) {
            *out = plain_type(PS_TYPE_UINT64, 8);
        } else {
            *out = plain_type(PS_TYPE_INT64, 8);
        }
        break;
    case PS_AGG_MEAN:
    case PS_AGG_VAR:
    case PS_AGG_STD:
    case PS_AGG_WEIGHTED_MEAN: *out = plain_type(PS_TYPE_FLOAT64, 8); break;
    case PS_AGG_ANY:
    case PS_AGG_ALL: *out = plain_type(PS_TYPE_BOOL, 0); break;
    default: *out = undictionaried(*type);
    }
    return PS_OK;
}

bool ps_agg_result_nullable(const ps_agg_arg *arg)
{
    switch (arg->function) {
    case PS_AGG_COUNT:
    case PS_AGG_COUNT_VALID:
    case PS_AGG_SUM: return false;
    case PS_AGG_VAR:
    case PS_AGG_STD:
    case PS_AGG_WEIGHTED_MEAN: return true;
    default: return arg->nullable;
    }
}

/* ---- layout ---- */

static void copy_text(char out[PS_CANONICAL_TEXT], const char *text, int32_t number)
{
    if (text != NULL) {
        (void)snprintf(out, PS_CANONICAL_TEXT, "%s", text);
    } else {
        (void)snprintf(out, PS_CANONICAL_TEXT, "#%d", number);
    }
}

/* The accumulator of that kind over that input: an existing one, or a new one at the end. */
static int32_t find_acc(ps_agg_layout *layout, acc_kind kind, const ps_agg_arg *arg, int32_t owner,
                        int32_t counts_for)
{
    const bool has_input = kind != ACC_ROWS;
    const int32_t input = has_input ? arg->input : -1;
    const int32_t weight = kind == ACC_WEIGHTED ? arg->weight : -1;
    for (int32_t i = 0; i < layout->acc_count; i++) {
        const acc *a = &layout->accs[i];
        if (a->kind == kind && a->input == input && a->weight == weight &&
            a->counts_for == counts_for) {
            return i;
        }
    }
    acc *made = &layout->accs[layout->acc_count];
    *made = (acc){.kind = kind,
                  .input = input,
                  .weight = weight,
                  .input_class = has_input ? ps_type_class(&arg->input_type) : PS_CLASS_NONE,
                  .weight_class = weight >= 0 ? ps_type_class(&arg->weight_type) : PS_CLASS_NONE,
                  .owner = owner,
                  .counts_for = counts_for};
    copy_text(made->input_text, arg->input_text, input);
    copy_text(made->weight_text, arg->weight_text, weight);
    return layout->acc_count++;
}

static int32_t need_acc(ps_agg_layout *layout, acc_kind kind, const ps_agg_arg *arg, int32_t owner)
{
    return find_acc(layout, kind, arg, owner, 0);
}

/* What counts the values of the main accumulator. */
static int32_t need_count(ps_agg_layout *layout, const ps_agg_arg *arg, int32_t owner, int32_t main)
{
    if (arg->own_count) {
        return find_acc(layout, ACC_VALID, arg, owner, main);
    }
    return need_acc(layout, arg->nullable ? ACC_VALID : ACC_ROWS, arg, owner);
}

static acc_kind extreme_kind(ps_class kind, bool least)
{
    switch (kind) {
    case PS_CLASS_U64: return least ? ACC_MIN_U64 : ACC_MAX_U64;
    case PS_CLASS_F64: return least ? ACC_MIN_F64 : ACC_MAX_F64;
    case PS_CLASS_BOOL: return least ? ACC_MIN_BOOL : ACC_MAX_BOOL;
    case PS_CLASS_STR: return least ? ACC_MIN_STR : ACC_MAX_STR;
    default: return least ? ACC_MIN_I64 : ACC_MAX_I64;
    }
}

static acc_kind sum_kind(ps_class kind)
{
    return kind == PS_CLASS_F64 ? ACC_SUM_F64 : kind == PS_CLASS_U64 ? ACC_SUM_U64 : ACC_SUM_I64;
}

static void add_output(ps_agg_layout *layout, const ps_agg_arg *arg, int32_t number)
{
    agg_output *output = &layout->outputs[number];
    const ps_class kind = ps_type_class(&arg->input_type);
    const acc_kind counter = arg->nullable ? ACC_VALID : ACC_ROWS;
    const bool text = kind == PS_CLASS_STR;
    switch (arg->function) {
    case PS_AGG_COUNT: output->main = need_acc(layout, ACC_ROWS, arg, number); break;
    case PS_AGG_COUNT_VALID: output->main = need_acc(layout, counter, arg, number); break;
    case PS_AGG_SUM: output->main = need_acc(layout, sum_kind(kind), arg, number); break;
    case PS_AGG_MEAN:
        output->main = need_acc(layout, ACC_SUM_F64, arg, number);
        output->count = need_count(layout, arg, number, output->main);
        break;
    case PS_AGG_MIN:
    case PS_AGG_ALL:
    case PS_AGG_MAX:
    case PS_AGG_ANY: {
        const bool least = arg->function == PS_AGG_MIN || arg->function == PS_AGG_ALL;
        output->main = need_acc(layout, extreme_kind(kind, least), arg, number);
        if (kind == PS_CLASS_I64 || kind == PS_CLASS_U64) {
            output->count = need_count(layout, arg, number, output->main);
        }
        break;
    }
    case PS_AGG_VAR:
    case PS_AGG_STD: output->main = need_acc(layout, ACC_MOMENTS, arg, number); break;
    case PS_AGG_WEIGHTED_MEAN: output->main = need_acc(layout, ACC_WEIGHTED, arg, number); break;
    case PS_AGG_FIRST:
        output->main = need_acc(layout, text ? ACC_FIRST_STR : ACC_FIRST, arg, number);
        break;
    case PS_AGG_LAST:
        output->main = need_acc(layout, text ? ACC_LAST_STR : ACC_LAST, arg, number);
        break;
    }
}

static void write_identity(const acc *a, uint8_t *row)
{
    switch (a->kind) {
    case ACC_SUM_F64: *AT(double, row, a->offset) = -0.0; break;
    case ACC_MIN_I64:
    case ACC_FIRST:
    case ACC_FIRST_STR: *AT(int64_t, row, a->offset) = INT64_MAX; break;
    case ACC_MAX_I64:
    case ACC_LAST:
    case ACC_LAST_STR: *AT(int64_t, row, a->offset) = INT64_MIN; break;
    case ACC_MIN_U64: *AT(uint64_t, row, a->offset) = UINT64_MAX; break;
    case ACC_MIN_F64:
    case ACC_MAX_F64: *AT(uint64_t, row, a->offset) = EMPTY_F64_BITS; break;
    case ACC_MIN_BOOL: *AT(uint64_t, row, a->offset) = 3; break;
    case ACC_WEIGHTED:
        AT(double, row, a->offset)[0] = -0.0;
        AT(double, row, a->offset)[1] = -0.0;
        break;
    default: break; /* zeros */
    }
}

static bool acc_invertible(acc_kind kind)
{
    return kind == ACC_ROWS || kind == ACC_VALID || kind == ACC_SUM_I64 || kind == ACC_SUM_U64;
}

/* rows, sum, min and max of one never-null float column get an update of their own
 * (agg_update.c). */
static bool is_stats_f64(const ps_agg_layout *layout)
{
    static const acc_kind KINDS[] = {ACC_ROWS, ACC_SUM_F64, ACC_MIN_F64, ACC_MAX_F64};
    if (layout->acc_count != 4) {
        return false;
    }
    for (int32_t i = 0; i < 4; i++) {
        const acc *a = &layout->accs[i];
        if (a->kind != KINDS[i] ||
            (i > 0 && (a->input != layout->accs[1].input || a->input_class != PS_CLASS_F64))) {
            return false;
        }
    }
    return true;
}

static void place_accs(ps_agg_layout *layout)
{
    uint32_t offset = 0;
    layout->invertible = true;
    for (int32_t i = 0; i < layout->acc_count; i++) {
        acc *a = &layout->accs[i];
        a->offset = offset;
        offset += (uint32_t)acc_width(a->kind);
        layout->invertible = layout->invertible && acc_invertible(a->kind);
        layout->needs_time = layout->needs_time || a->kind >= ACC_FIRST;
        layout->keeps_strings = layout->keeps_strings || a->kind == ACC_MIN_STR ||
                                a->kind == ACC_MAX_STR || a->kind == ACC_FIRST_STR ||
                                a->kind == ACC_LAST_STR;
    }
    /* Rows of 24 and 56 bytes would straddle cache lines. */
    layout->stride = offset == 24 ? 32 : offset == 56 ? 64 : offset;
    layout->stats_f64 = is_stats_f64(layout);
}

ps_status ps_agg_layout_create(ps_mem *mem, const ps_agg_arg *args, int32_t count,
                               ps_agg_layout **out, ps_error *err)
{
    const size_t acc_room = ACC_ROOM(count) * sizeof(acc);
    const size_t output_room = ps_align_up((size_t)count * sizeof(agg_output), 64);
    ps_agg_layout *layout = ps_alloc_zeroed(mem, sizeof *layout);
    if (layout == NULL) {
        return ps_mem_refused(mem, sizeof *layout, "an aggregate layout", err);
    }
    layout->mem = mem;
    layout->output_count = count;
    layout->accs = ps_alloc_zeroed(mem, acc_room);
    layout->outputs = count == 0 ? NULL : ps_alloc_zeroed(mem, output_room);
    if (layout->accs == NULL || (count > 0 && layout->outputs == NULL)) {
        ps_agg_layout_destroy(layout);
        return ps_mem_refused(mem, acc_room, "an aggregate layout", err);
    }
    static const ps_agg_arg NO_ARG = {.input = -1, .weight = -1};
    (void)need_acc(layout, ACC_ROWS, &NO_ARG, 0);
    for (int32_t i = 0; i < count; i++) {
        agg_output *output = &layout->outputs[i];
        output->function = args[i].function;
        output->parameter = args[i].parameter;
        output->count = -1;
        const ps_status status = ps_agg_result_type(&args[i], &output->type, err);
        if (status != PS_OK) {
            ps_agg_layout_destroy(layout);
            return status;
        }
        output->kind = ps_type_class(&output->type);
        (void)snprintf(output->name, sizeof output->name, "%s", args[i].name);
        add_output(layout, &args[i], i);
    }
    place_accs(layout);
    layout->identity = ps_alloc_zeroed(mem, layout->stride);
    if (layout->identity == NULL) {
        const size_t stride = layout->stride;
        ps_agg_layout_destroy(layout);
        return ps_mem_refused(mem, stride, "an aggregate layout", err);
    }
    for (int32_t i = 0; i < layout->acc_count; i++) {
        write_identity(&layout->accs[i], layout->identity);
    }
    *out = layout;
    return PS_OK;
}

void ps_agg_layout_destroy(ps_agg_layout *layout)
{
    if (layout == NULL) {
        return;
    }
    const size_t count = (size_t)layout->output_count;
    if (layout->accs != NULL) {
        ps_free(layout->mem, layout->accs, ACC_ROOM(count) * sizeof(acc));
    }
    if (layout->outputs != NULL) {
        ps_free(layout->mem, layout->outputs, ps_align_up(count * sizeof(agg_output), 64));
    }
    if (layout->identity != NULL) {
        ps_free(layout->mem, layout->identity, layout->stride);
    }
    ps_free(layout->mem, layout, sizeof *layout);
}

size_t ps_agg_stride(const ps_agg_layout *layout)
{
    return layout->stride;
}

const uint8_t *ps_agg_identity(const ps_agg_layout *layout)
{
    return layout->identity;
}

bool ps_agg_invertible(const ps_agg_layout *layout)
{
    return layout->invertible;
}

bool ps_agg_needs_time(const ps_agg_layout *layout)
{
    return layout->needs_time;
}

bool ps_agg_counts_only(const ps_agg_layout *layout)
{
    return layout->acc_count == 1;
}

bool ps_agg_keeps_strings(const ps_agg_layout *layout)
{
    return layout->keeps_strings;
}

/* ---- lower ---- */

typedef struct lowering {
    const uint8_t *const *rows;
    int64_t count;
    uint32_t offset; /* of the main accumulator */
    int64_t counter; /* offset of the counter, -1 = none */
    int32_t parameter;
    void *values;
    uint8_t *valid;
} lowering;

static uint64_t seen(const lowering *l, int64_t i)
{
    return l->counter < 0 ? 1 : *AT_CONST(uint64_t, l->rows[i], l->counter);
}

static bool lower_words(const lowering *l)
{
    uint64_t *out = l->values;
    bool nulls = false;
    for (int64_t i = 0; i < l->count; i++) {
        out[i] = *AT_CONST(uint64_t, l->rows[i], l->offset);
        l->valid[i] = seen(l, i) != 0;
        nulls |= l->valid[i] == 0;
    }
    return nulls;
}

static bool lower_sum_f64(const lowering *l)
{
    double *out = l->values;
    for (int64_t i = 0; i < l->count; i++) {
        out[i] = *AT_CONST(double, l->rows[i], l->offset) + 0.0; /* -0.0 of no value is 0 */
    }
    return false;
}

static bool lower_mean(const lowering *l)
{
    double *out = l->values;
    bool nulls = false;
    for (int64_t i = 0; i < l->count; i++) {
        const uint64_t n = seen(l, i);
        l->valid[i] = n != 0;
        nulls |= n == 0;
        out[i] = *AT_CONST(double, l->rows[i], l->offset) / (double)(n == 0 ? 1 : n) + 0.0;
    }
    return nulls;
}

static bool lower_extreme_f64(const lowering *l)
{
    uint64_t *out = l->values;
    bool nulls = false;
    for (int64_t i = 0; i < l->count; i++) {
        out[i] = *AT_CONST(uint64_t, l->rows[i], l->offset);
        l->valid[i] = out[i] != EMPTY_F64_BITS;
        nulls |= l->valid[i] == 0;
    }
    return nulls;
}

static bool lower_bool(const lowering *l)
{
    uint8_t *out = l->values;
    bool nulls = false;
    for (int64_t i = 0; i < l->count; i++) {
        const uint64_t held = *AT_CONST(uint64_t, l->rows[i], l->offset);
        out[i] = held == 2;
        l->valid[i] = held == 1 || held == 2;
        nulls |= l->valid[i] == 0;
    }
    return nulls;
}

static bool lower_strings(const lowering *l)
{
    ps_string *out = l->values;
    bool nulls = false;
    for (int64_t i = 0; i < l->count; i++) {
        out[i] = *AT_CONST(ps_string, l->rows[i], l->offset);
        l->valid[i] = out[i].data != NULL;
        nulls |= l->valid[i] == 0;
    }
    return nulls;
}

static bool lower_moments(const lowering *l, bool root)
{
    double *out = l->values;
    bool nulls = false;
    for (int64_t i = 0; i < l->count; i++) {
        const double *m = AT_CONST(double, l->rows[i], l->offset);
        const double freedom = m[0] - (double)l->parameter;
        l->valid[i] = freedom > 0;
        nulls |= l->valid[i] == 0;
        const double variance = freedom > 0 ? m[2] / freedom : 0.0;
        out[i] = root ? sqrt(variance) : variance;
    }
    return nulls;
}

static bool lower_weighted(const lowering *l)
{
    double *out = l->values;
    bool nulls = false;
    for (int64_t i = 0; i < l->count; i++) {
        const double *w = AT_CONST(double, l->rows[i], l->offset);
        l->valid[i] = w[1] != 0.0;
        nulls |= l->valid[i] == 0;
        out[i] = w[1] != 0.0 ? w[0] / w[1] + 0.0 : 0.0;
    }
    return nulls;
}

static bool lower_chosen(const lowering *l, int64_t empty, ps_class kind)
{
    bool nulls = false;
    for (int64_t i = 0; i < l->count; i++) {
        const int64_t time = *AT_CONST(int64_t, l->rows[i], l->offset);
        l->valid[i] = time != empty;
        nulls |= l->valid[i] == 0;
        if (kind == PS_CLASS_STR) {
            ((ps_string *)l->values)[i] =
                *AT_CONST(ps_string, l->rows[i], l->offset + sizeof(int64_t));
        } else if (kind == PS_CLASS_BOOL) {
            ((uint8_t *)l->values)[i] =
                (uint8_t)*AT_CONST(uint64_t, l->rows[i], l->offset + sizeof(int64_t));
        } else {
            ((uint64_t *)l->values)[i] =
                *AT_CONST(uint64_t, l->rows[i], l->offset + sizeof(int64_t));
        }
    }
    return nulls;
}

ps_status ps_agg_lower(const ps_agg_layout *layout, int32_t aggregate, const uint8_t *const *rows,
                       int64_t count, ps_vector_scratch *scratch, ps_vector *out, ps_error *err)
{
    (void)err;
    PS_ASSERT(aggregate >= 0 && aggregate < layout->output_count && count <= PS_CHUNK_ROWS);
    const agg_output *output = &layout->outputs[aggregate];
    const acc *main = &layout->accs[output->main];
    const lowering l = {.rows = rows,
                        .count = count,
                        .offset = main->offset,
                        .counter =
                            output->count < 0 ? -1 : (int64_t)layout->accs[output->count].offset,
                        .parameter = output->parameter,
                        .values = scratch->values,
                        .valid = scratch->valid};
    bool nulls = false;
    switch (main->kind) {
    case ACC_SUM_F64:
        nulls = output->function == PS_AGG_MEAN ? lower_mean(&l) : lower_sum_f64(&l);
        break;
    case ACC_MIN_F64:
    case ACC_MAX_F64: nulls = lower_extreme_f64(&l); break;
    case ACC_MIN_BOOL:
    case ACC_MAX_BOOL: nulls = lower_bool(&l); break;
    case ACC_MIN_STR:
    case ACC_MAX_STR: nulls = lower_strings(&l); break;
    case ACC_MOMENTS: nulls = lower_moments(&l, output->function == PS_AGG_STD); break;
    case ACC_WEIGHTED: nulls = lower_weighted(&l); break;
    case ACC_FIRST:
    case ACC_FIRST_STR: nulls = lower_chosen(&l, INT64_MAX, output->kind); break;
    case ACC_LAST:
    case ACC_LAST_STR: nulls = lower_chosen(&l, INT64_MIN, output->kind); break;
    default: nulls = lower_words(&l);
    }
    *out = (ps_vector){
        .kind = output->kind, .values = scratch->values, .valid = nulls ? scratch->valid : NULL};
    return PS_OK;
}
