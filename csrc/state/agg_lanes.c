/* agg_lanes.c -- rows of accumulators as columns of a snapshot, and back; see agg.h. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "state/agg_layout.h"

#define SINCE " since "

static int32_t acc_lanes(acc_kind kind)
{
    switch (kind) {
    case ACC_MOMENTS: return 3;
    case ACC_WEIGHTED:
    case ACC_FIRST:
    case ACC_LAST:
    case ACC_FIRST_STR:
    case ACC_LAST_STR: return 2;
    default: return 1;
    }
}

static const char *const ACC_NAMES[ACC_KIND_COUNT][3] = {
    [ACC_ROWS] = {"rows"},
    [ACC_VALID] = {"valid"},
    [ACC_SUM_I64] = {"sum"},
    [ACC_SUM_U64] = {"sum"},
    [ACC_SUM_F64] = {"sum_f64"},
    [ACC_MIN_I64] = {"min"},
    [ACC_MAX_I64] = {"max"},
    [ACC_MIN_U64] = {"min"},
    [ACC_MAX_U64] = {"max"},
    [ACC_MIN_F64] = {"min"},
    [ACC_MAX_F64] = {"max"},
    [ACC_MIN_BOOL] = {"min"},
    [ACC_MAX_BOOL] = {"max"},
    [ACC_MIN_STR] = {"min"},
    [ACC_MAX_STR] = {"max"},
    [ACC_MOMENTS] = {"moments_count", "moments_mean", "moments_squares"},
    [ACC_WEIGHTED] = {"weighted_sum", "weights"},
    [ACC_FIRST] = {"first_time", "first"},
    [ACC_LAST] = {"last_time", "last"},
    [ACC_FIRST_STR] = {"first_time", "first"},
    [ACC_LAST_STR] = {"last_time", "last"},
};

/* Accumulator and part of a lane. */
static const acc *lane_acc(const ps_agg_layout *layout, int32_t lane, int32_t *part)
{
    int32_t k = 0;
    while (lane >= acc_lanes(layout->accs[k].kind)) {
        lane -= acc_lanes(layout->accs[k].kind);
        k++;
    }
    *part = lane;
    return &layout->accs[k];
}

static ps_class lane_class(const acc *a, int32_t part)
{
    switch (a->kind) {
    case ACC_SUM_F64:
    case ACC_MIN_F64:
    case ACC_MAX_F64:
    case ACC_MOMENTS:
    case ACC_WEIGHTED: return PS_CLASS_F64;
    case ACC_MIN_STR:
    case ACC_MAX_STR: return PS_CLASS_STR;
    case ACC_SUM_U64:
    case ACC_MIN_U64:
    case ACC_MAX_U64: return PS_CLASS_U64;
    case ACC_FIRST_STR:
    case ACC_LAST_STR: return part == 1 ? PS_CLASS_STR : PS_CLASS_I64;
    case ACC_FIRST:
    case ACC_LAST:
        return part == 1 && a->input_class != PS_CLASS_BOOL ? a->input_class : PS_CLASS_I64;
    default: return PS_CLASS_I64;
    }
}

int32_t ps_agg_lane_count(const ps_agg_layout *layout)
{
    int32_t lanes = 0;
    for (int32_t k = 0; k < layout->acc_count; k++) {
        lanes += acc_lanes(layout->accs[k].kind);
    }
    return lanes;
}

/* The lane's name without when it began: ".sum(price)". */
static void name_lane(const ps_agg_layout *layout, const acc *a, int32_t part, char *name,
                      size_t size)
{
    if (a->kind == ACC_ROWS) {
        (void)snprintf(name, size, ".rows");
    } else if (a->kind == ACC_VALID && a->counts_for != 0) {
        const acc *of = &layout->accs[a->counts_for];
        (void)snprintf(name, size, ".%s_seen(%s)", ACC_NAMES[of->kind][0], a->input_text);
    } else if (a->kind == ACC_WEIGHTED) {
        (void)snprintf(name, size, ".%s(%s, %s)", ACC_NAMES[a->kind][part], a->input_text,
                       a->weight_text);
    } else {
        (void)snprintf(name, size, ".%s(%s)", ACC_NAMES[a->kind][part], a->input_text);
    }
}

void ps_agg_lane_describe(const ps_agg_layout *layout, int32_t lane, char *name, size_t name_size,
                          ps_type *type)
{
    int32_t part = 0;
    const acc *a = lane_acc(layout, lane, &part);
    name_lane(layout, a, part, name, name_size);
    const size_t used = strlen(name);
    if (a->since > 0) {
        (void)snprintf(name + used, name_size - used, "%s%d", SINCE, a->since);
    }
    static const ps_type TYPES[] = {
        [PS_CLASS_I64] = {.id = PS_TYPE_INT64, .width = 8},
        [PS_CLASS_U64] = {.id = PS_TYPE_UINT64, .width = 8},
        [PS_CLASS_F64] = {.id = PS_TYPE_FLOAT64, .width = 8},
        [PS_CLASS_STR] = {.id = PS_TYPE_LARGE_BINARY},
    };
    *type = TYPES[lane_class(a, part)];
}

/* ---- lanes in a state ---- */

/* When the lane of that column began; -1: it is another lane's, or of a key. */
static int32_t began(const char *column, const char *lane)
{
    const size_t size = strlen(lane);
    if (strncmp(column, lane, size) != 0) {
        return -1;
    }
    const char *rest = column + size;
    if (*rest == '\0') {
        return 0;
    }
    if (strncmp(rest, SINCE, strlen(SINCE)) != 0) {
        return -1;
    }
    char *end = NULL;
    const long since = strtol(rest + strlen(SINCE), &end, 10);
    return *end == '\0' && since > 0 && since < INT32_MAX ? (int32_t)since : -1;
}

typedef struct found_lane {
    int32_t column; /* -1 = none */
    int32_t since;
} found_lane;

static found_lane find_lane(const ps_agg_layout *layout, const acc *a, int32_t part,
                            const ps_schema *state)
{
    char name[PS_AGG_LANE_NAME];
    name_lane(layout, a, part, name, sizeof name);
    for (int32_t i = 0; i < state->field_count; i++) {
        const int32_t since = began(state->fields[i].name, name);
        if (since >= 0) {
            return (found_lane){.column = i, .since = since};
        }
    }
    return (found_lane){.column = -1};
}

/* A sum of integers that a mean can go on from: its count goes back as far. */
static found_lane find_integer_sum(const ps_agg_layout *layout, const acc *a,
                                   const ps_schema *state)
{
    if (a->kind == ACC_SUM_F64 && a->input_class != PS_CLASS_F64) {
        acc sum = *a;
        sum.kind = a->input_class == PS_CLASS_U64 ? ACC_SUM_U64 : ACC_SUM_I64;
        const found_lane found = find_lane(layout, &sum, 0, state);
        for (int32_t i = 0; found.column >= 0 && i < layout->output_count; i++) {
            const agg_output *output = &layout->outputs[i];
            if (output->count < 0 || &layout->accs[output->main] != a ||
                layout->accs[output->count].counts_for != 0) {
                continue;
            }
            const found_lane count = find_lane(layout, &layout->accs[output->count], 0, state);
            if (count.column >= 0 && count.since == found.since) {
                return found;
            }
        }
    }
    return (found_lane){.column = -1};
}

static found_lane find_values(const ps_agg_layout *layout, const acc *a, int32_t part,
                              const ps_schema *state)
{
    const found_lane found = find_lane(layout, a, part, state);
    return found.column >= 0 ? found : find_integer_sum(layout, a, state);
}

int32_t ps_agg_lane_find(const ps_agg_layout *layout, int32_t lane, const ps_schema *state)
{
    int32_t part = 0;
    const acc *a = lane_acc(layout, lane, &part);
    return find_values(layout, a, part, state).column;
}

int32_t ps_agg_lane_find_partial(const ps_agg_layout *layout, int32_t lane, const ps_schema *state)
{
    int32_t part = 0;
    acc a = *lane_acc(layout, lane, &part);
    const bool own = a.counts_for != 0;
    a.counts_for = 0;
    const int32_t column = find_lane(layout, &a, part, state).column;
    return column < 0 && own ? find_lane(layout, &layout->accs[0], 0, state).column : column;
}

bool ps_agg_wants_own_count(const ps_agg_layout *layout, int32_t aggregate, const ps_schema *state)
{
    const agg_output *output = &layout->outputs[aggregate];
    if (output->count < 0) {
        return false;
    }
    const acc *main = &layout->accs[output->main], *count = &layout->accs[output->count];
    acc own = *main;
    own.kind = ACC_VALID;
    own.counts_for = output->main;
    if (count->counts_for != 0 || find_lane(layout, &own, 0, state).column >= 0) {
        return true;
    }
    return find_values(layout, main, 0, state).column < 0 &&
           find_lane(layout, count, 0, state).column >= 0;
}

void ps_agg_adopt(ps_agg_layout *layout, const ps_schema *state)
{
    int32_t newest = 0;
    for (int32_t i = 0; i < state->field_count; i++) {
        const char *name = state->fields[i].name;
        const char *mark = name[0] == '.' ? strstr(name, SINCE) : NULL;
        for (; mark != NULL; mark = strstr(mark + 1, SINCE)) {
            const int32_t since = began(mark, "");
            newest = since > newest ? since : newest;
        }
    }
    for (int32_t k = 0; k < layout->acc_count; k++) {
        acc *a = &layout->accs[k];
        const found_lane found = find_values(layout, a, 0, state);
        a->since = found.column >= 0 ? found.since : newest + 1;
    }
}

static bool has_lanes(const ps_agg_layout *layout, int32_t number, const bool *present)
{
    int32_t first = 0;
    for (int32_t k = 0; k < number; k++) {
        first += acc_lanes(layout->accs[k].kind);
    }
    bool all = true;
    for (int32_t i = 0; i < acc_lanes(layout->accs[number].kind); i++) {
        all = all && present[first + i];
    }
    return all;
}

ps_status ps_agg_check_lanes(const ps_agg_layout *layout, const bool *present, ps_error *err)
{
    for (int32_t i = 0; i < layout->output_count; i++) {
        const agg_output *output = &layout->outputs[i];
        if (output->count >= 0 && has_lanes(layout, output->main, present) &&
            layout->accs[output->count].since != layout->accs[output->main].since) {
            const char *text = layout->accs[output->main].input_text;
            return ps_fail(
                err, PS_INVALID,
                "aggregate '%s' is new, and the state has a sum of %s without a count "
                "that goes back as far: leave it out, or let it start empty by writing its "
                "input differently, such as %s + 0",
                output->name, text, text);
        }
    }
    return PS_OK;
}

void ps_agg_lane_save(const ps_agg_layout *layout, int32_t lane, const uint8_t *const *rows,
                      int64_t count, ps_vector_scratch *scratch, ps_vector *out)
{
    int32_t part = 0;
    const acc *a = lane_acc(layout, lane, &part);
    const ps_class kind = lane_class(a, part);
    const uint32_t offset = a->offset + (uint32_t)part * 8;
    bool nulls = false;
    if (kind == PS_CLASS_STR) {
        ps_string *texts = (ps_string *)(void *)scratch->values;
        for (int64_t i = 0; i < count; i++) {
            texts[i] = *AT_CONST(ps_string, rows[i], offset);
            scratch->valid[i] = texts[i].data != NULL;
            nulls |= texts[i].data == NULL;
        }
    } else {
        for (int64_t i = 0; i < count; i++) {
            ((uint64_t *)(void *)scratch->values)[i] = *AT_CONST(uint64_t, rows[i], offset);
        }
    }
    *out = (ps_vector){
        .kind = kind, .values = scratch->values, .valid = nulls ? scratch->valid : NULL};
}

ps_status ps_agg_lane_load(const ps_agg_layout *layout, int32_t lane, const ps_vector *vector,
                           uint8_t *const *rows, int64_t count, ps_arena *arena, ps_error *err)
{
    int32_t part = 0;
    const acc *a = lane_acc(layout, lane, &part);
    const ps_class kind = lane_class(a, part);
    const uint32_t offset = a->offset + (uint32_t)part * 8;
    const bool converts = a->kind == ACC_SUM_F64 && a->input_class != PS_CLASS_F64 &&
                          (vector->kind == PS_CLASS_I64 || vector->kind == PS_CLASS_U64);
    if (vector->kind != kind && !converts) {
        return ps_fail(err, PS_CORRUPT, "state of aggregate '%s' has another type",
                       layout->outputs[a->owner].name);
    }
    for (int64_t i = 0; i < count; i++) {
        if (converts) {
            *AT(double, rows[i], offset) = vector->kind == PS_CLASS_I64
                                               ? (double)((const int64_t *)vector->values)[i]
                                               : (double)((const uint64_t *)vector->values)[i];
            continue;
        }
        if (kind != PS_CLASS_STR) {
            *AT(uint64_t, rows[i], offset) = ((const uint64_t *)vector->values)[i];
            continue;
        }
        ps_string *held = AT(ps_string, rows[i], offset);
        *held = (ps_string){0};
        if (vector->valid != NULL && !vector->valid[i]) {
            continue;
        }
        const ps_string text = ((const ps_string *)vector->values)[i];
        char *bytes = ps_arena_alloc(arena, (size_t)text.size_bytes);
        if (bytes == NULL) {
            return ps_mem_refused(layout->mem, (size_t)text.size_bytes,
                                  "string values of an aggregate", err);
        }
        if (text.size_bytes > 0) {
            memcpy(bytes, text.data, (size_t)text.size_bytes);
        }
        *held = (ps_string){.data = bytes, .size_bytes = text.size_bytes};
    }
    return PS_OK;
}
