/* aggregate_schema.c -- the output schema of an aggregate, checked before anything runs. */
#include <string.h>

#include "operators/aggregate_state.h"

typedef struct schema_maker {
    ps_mem *mem;
    const ps_schema *input;
    const ps_aggregate_args *args;
    ps_schema_builder *builder;
} schema_maker;

static ps_status compile(const schema_maker *m, int32_t root, ps_program **out, ps_error *err)
{
    return ps_program_compile(m->mem, m->args->expr, root, m->input, out, err);
}

/* A key column: like the input's when it is a plain column without dictionary, else by its type. */
static ps_status add_key(const schema_maker *m, int32_t k, ps_error *err)
{
    const char *name = m->args->key_names[k];
    ps_program *program = NULL;
    PS_TRY(compile(m, m->args->keys[k], &program, err));
    ps_type type = *ps_program_type(program);
    const int32_t column = ps_program_column(program);
    const bool nullable = ps_program_nullable(program);
    ps_program_destroy(program);
    if (ps_type_class(&type) == PS_CLASS_NONE) {
        char text[96];
        ps_type_describe(&type, text, sizeof text);
        return ps_fail(err, PS_TYPE, "cannot group by '%s' of type %s", name, text);
    }
    if (column >= 0 && type.index == 0) {
        return ps_schema_builder_copy(m->builder, &m->input->fields[column], name, err);
    }
    type.index = 0;
    return ps_schema_builder_add(m->builder, name, &type, type.has_zone ? "UTC" : NULL, nullable,
                                 err);
}

static ps_status add_window_columns(const schema_maker *m, ps_error *err)
{
    const ps_field *time = &m->input->fields[m->args->event_time];
    PS_TRY(ps_schema_builder_copy(m->builder, time, "window_start", err));
    return ps_schema_builder_copy(m->builder, time, "window_end", err);
}

static bool is_global(const ps_aggregate_args *args)
{
    return args->key_count == 0 && args->window.kind == PS_WINDOW_NONE;
}

static ps_status add_aggregate(const schema_maker *m, const ps_agg_spec *spec, ps_error *err)
{
    ps_agg_arg arg = {.function = spec->function, .name = spec->name, .parameter = spec->parameter};
    int32_t column = -1;
    if (spec->function != PS_AGG_COUNT) {
        if (spec->input < 0 || (spec->function == PS_AGG_WEIGHTED_MEAN && spec->weight < 0)) {
            return ps_fail(err, PS_INVALID, "aggregate '%s' needs a column", spec->name);
        }
        ps_program *program = NULL;
        PS_TRY(compile(m, spec->input, &program, err));
        arg.input_type = *ps_program_type(program);
        /* The one row of a global aggregate is there even when no row came in. */
        arg.nullable = ps_program_nullable(program) || is_global(m->args);
        column = ps_program_column(program);
        ps_program_destroy(program);
    }
    if (spec->function == PS_AGG_WEIGHTED_MEAN) {
        ps_program *program = NULL;
        PS_TRY(compile(m, spec->weight, &program, err));
        arg.weight_type = *ps_program_type(program);
        ps_program_destroy(program);
    }
    if ((spec->function == PS_AGG_FIRST || spec->function == PS_AGG_LAST) &&
        m->args->event_time < 0) {
        return ps_fail(err, PS_INVALID,
                       "aggregate '%s': first and last are by event time; declare it with "
                       "with_event_time",
                       spec->name);
    }
    ps_type type;
    PS_TRY(ps_agg_result_type(&arg, &type, err));
    const bool nullable = ps_agg_result_nullable(&arg);
    /* min, max, first and last keep the column's own type, time zone included. */
    const bool same = column >= 0 && type.id != PS_TYPE_BOOL &&
                      ps_type_equal(&type, &m->input->fields[column].type);
    if (same) {
        ps_field field = m->input->fields[column]; /* borrowed but for the flag */
        field.nullable = nullable;
        field.arrow.flags = (field.arrow.flags & ~(int64_t)ARROW_FLAG_NULLABLE) |
                            (nullable ? ARROW_FLAG_NULLABLE : 0);
        return ps_schema_builder_copy(m->builder, &field, spec->name, err);
    }
    return ps_schema_builder_add(m->builder, spec->name, &type, type.has_zone ? "UTC" : NULL,
                                 nullable, err);
}

static ps_status check_names(const ps_aggregate_args *args, ps_error *err)
{
    const int32_t total = args->key_count + args->aggregate_count;
    for (int32_t i = 0; i < total; i++) {
        const char *a =
            i < args->key_count ? args->key_names[i] : args->aggregates[i - args->key_count].name;
        const bool reserved = args->window.kind != PS_WINDOW_NONE &&
                              (strcmp(a, "window_start") == 0 || strcmp(a, "window_end") == 0);
        if (reserved) {
            return ps_fail(err, PS_INVALID,
                           "'%s' is a column that the window adds: give yours another name", a);
        }
        for (int32_t j = 0; j < i; j++) {
            const char *b = j < args->key_count ? args->key_names[j]
                                                : args->aggregates[j - args->key_count].name;
            if (strcmp(a, b) == 0) {
                return ps_fail(err, PS_INVALID,
                               "two output columns are named '%s': rename one with .alias()", a);
            }
        }
    }
    return PS_OK;
}

static ps_status make_schema(schema_maker *m, ps_error *err)
{
    for (int32_t k = 0; k < m->args->key_count; k++) {
        PS_TRY(add_key(m, k, err));
    }
    if (m->args->window.kind != PS_WINDOW_NONE) {
        PS_TRY(add_window_columns(m, err));
    }
    for (int32_t i = 0; i < m->args->aggregate_count; i++) {
        PS_TRY(add_aggregate(m, &m->args->aggregates[i], err));
    }
    return PS_OK;
}

ps_status ps_aggregate_schema(ps_mem *mem, const ps_schema *input, const ps_aggregate_args *args,
                              ps_schema **out, ps_error *err)
{
    const bool windowed = args->window.kind != PS_WINDOW_NONE;
    ps_edges edges;
    if (windowed) {
        PS_TRY(ps_edges_init(&edges, &args->window, err));
    }
    if (windowed && args->event_time < 0) {
        return ps_fail(err, PS_INVALID,
                       "a window needs an event time: call with_event_time(column) before it");
    }
    if (args->key_count + args->aggregate_count == 0) {
        return ps_fail(err, PS_INVALID, "an aggregation needs a key or an aggregate");
    }
    if (args->key_count > KEYS_MAX) {
        return ps_fail(err, PS_INVALID, "at most %d columns to group by, not %d", KEYS_MAX,
                       (int)args->key_count);
    }
    PS_TRY(check_names(args, err));
    const int32_t columns = args->key_count + (windowed ? 2 : 0) + args->aggregate_count;
    schema_maker m = {.mem = mem, .input = input, .args = args};
    PS_TRY(ps_schema_builder_create(mem, columns, &m.builder, err));
    ps_status status = make_schema(&m, err);
    if (status == PS_OK) {
        status = ps_schema_builder_finish(m.builder, out, err);
    }
    if (status != PS_OK) {
        ps_schema_builder_destroy(m.builder);
    }
    return status;
}
