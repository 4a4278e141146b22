/* test_project.c -- computed, shared and taken columns; late watermarks; memory that is refused. */
#include "operators/project.h"

#include "expr/program.h"
#include "flow.h"

/* Keeps what it gets. */
typedef struct keeper {
    ps_operator base;
    ps_batch *last;
} keeper;

static ps_status keep_batch(ps_operator *self, ps_batch *batch, ps_selection *selection,
                            ps_error *err)
{
    (void)err;
    keeper *k = (keeper *)self;
    CHECK(selection == NULL);
    ps_batch_release(k->last);
    ps_batch_retain(batch);
    k->last = batch;
    return PS_OK;
}

static const ps_operator_calls keeper_calls = {.name = "keeper", .on_batch = keep_batch};

typedef struct world {
    ps_mem *mem;
    ps_schema *input;
    ps_schema *output;
    ps_operator *project;
    keeper end;
} world;

static ps_program *compile(world *w, ps_expr *expr, int32_t root)
{
    ps_program *program;
    CHECK_OK(ps_program_compile(w->mem, expr, root, w->input, &program, NULL));
    return program;
}

/* value, double = value * 2, text = cast(key as utf8), small = value < 500 */
static void begin(world *w)
{
    *w = (world){.mem = flow_begin()};
    w->input = flow_ps_schema(w->mem);
    ps_expr *expr;
    int32_t value, key, two, limit, twice, text, small;
    CHECK_OK(ps_expr_create(w->mem, &expr, NULL));
    CHECK_OK(ps_expr_column(expr, "value", &value, NULL));
    CHECK_OK(ps_expr_column(expr, "key", &key, NULL));
    CHECK_OK(ps_expr_i64(expr, 2, NULL, &two, NULL));
    CHECK_OK(ps_expr_i64(expr, 500, NULL, &limit, NULL));
    CHECK_OK(ps_expr_call(expr, "multiply", (int32_t[]){value, two}, 2, NULL, 0, &twice, NULL));
    CHECK_OK(ps_expr_call(expr, "cast", &key, 1, "u", 0, &text, NULL));
    CHECK_OK(ps_expr_call(expr, "less", (int32_t[]){value, limit}, 2, NULL, 0, &small, NULL));
    ps_program *programs[4] = {compile(w, expr, value), compile(w, expr, twice),
                               compile(w, expr, text), compile(w, expr, small)};
    static const char *const names[] = {"value", "double", "text", "small"};
    ps_schema_builder *builder;
    CHECK_OK(ps_schema_builder_create(w->mem, 4, &builder, NULL));
    for (int i = 0; i < 4; i++) {
        CHECK_OK(ps_schema_builder_add(builder, names[i], ps_program_type(programs[i]), NULL,
                                       ps_program_nullable(programs[i]), NULL));
    }
    CHECK_OK(ps_schema_builder_finish(builder, &w->output, NULL));
    CHECK_OK(ps_project_create(w->mem, w->input, w->output, programs, &w->project, NULL));
    ps_expr_destroy(expr);
    ps_operator_init(&w->end.base, &keeper_calls, w->mem, w->output, w->output);
    w->project->next = &w->end.base;
}

static void end(world *w)
{
    w->project->calls->close(w->project);
    ps_operator_fini(&w->end.base);
    ps_schema_release(w->input);
    ps_schema_release(w->output);
    flow_end(w->mem);
}

static void check_batch(const ps_batch *batch, const ps_selection *selection, int64_t rows)
{
    CHECK_EQ(batch->length, rows);
    const int64_t *values = batch->columns[0].values, *doubles = batch->columns[1].values;
    for (int64_t i = 0; i < rows; i++) {
        const int64_t n = flow_row(selection, i);
        char text[24];
        snprintf(text, sizeof text, "%d", (int)(n % 10));
        CHECK_EQ(values[i], n);
        CHECK_EQ(doubles[i], 2 * n);
        const ps_string got = ps_column_string(&batch->columns[2], i);
        CHECK(got.size_bytes == (int64_t)strlen(text) && memcmp(got.data, text, strlen(text)) == 0);
        const ps_column *small = &batch->columns[3];
        CHECK_EQ(ps_bit_get(small->values, small->values_bit + i), n < 500);
    }
}

static ps_selection *thirds(ps_mem *mem, int64_t rows)
{
    ps_selection *selection;
    CHECK_OK(ps_selection_create(mem, rows, &selection, NULL));
    for (int64_t i = 0; i < rows; i += 3) {
        selection->rows[selection->count++] = (uint32_t)i;
    }
    return selection;
}

static void test_columns_with_and_without_selection(void)
{
    world w;
    begin(&w);
    ps_batch *batch = flow_batch(w.mem, 3000, 0, 10);
    ps_selection *selection = thirds(w.mem, 3000);
    CHECK_OK(ps_deliver(w.project, &(ps_message){.kind = PS_MESSAGE_BATCH, .batch = batch}, NULL));
    check_batch(w.end.last, NULL, 3000);
    CHECK(w.end.last->columns[0].values == batch->columns[1].values); /* shared */
    CHECK_OK(ps_deliver(
        w.project, &(ps_message){.kind = PS_MESSAGE_BATCH, .batch = batch, .selection = selection},
        NULL));
    check_batch(w.end.last, selection, 1000);
    CHECK(w.end.last->columns[0].owner == w.end.last->columns[1].owner); /* one block */
    ps_batch_release(batch); /* what was taken lives on */
    check_batch(w.end.last, selection, 1000);
    ps_batch_release(w.end.last);
    ps_selection_release(selection);
    end(&w);
}

static void test_late_watermarks_go_along(void)
{
    world w;
    begin(&w);
    ps_batch *batch = flow_batch(w.mem, 30, 0, 10);
    ps_selection *selection = thirds(w.mem, 30);
    ps_block *block = ps_block_create(w.mem, 30 * sizeof(int64_t));
    int64_t *late = (int64_t *)(void *)block->data;
    for (int64_t i = 0; i < 30; i++) {
        late[i] = 100 + i;
    }
    batch->late_watermark = late;
    batch->late_owner = &block->owner;
    CHECK_OK(ps_deliver(w.project, &(ps_message){.kind = PS_MESSAGE_BATCH, .batch = batch}, NULL));
    CHECK(w.end.last->late_watermark == late);
    CHECK_OK(ps_deliver(
        w.project, &(ps_message){.kind = PS_MESSAGE_BATCH, .batch = batch, .selection = selection},
        NULL));
    ps_batch_release(batch);
    for (int64_t i = 0; i < 10; i++) {
        CHECK_EQ(w.end.last->late_watermark[i], 100 + 3 * i);
    }
    ps_batch_release(w.end.last);
    ps_selection_release(selection);
    end(&w);
}

static void test_refused_memory(void)
{
    world w;
    begin(&w);
    ps_batch *batch = flow_batch(w.mem, 3000, 0, 10);
    ps_selection *selection = thirds(w.mem, 3000);
    const int64_t before = ps_mem_used(w.mem);
    int refusals = 0;
    for (int64_t nth = 1; nth < 100; nth++) {
        ps_error err = {0};
        ps_mem_fail_at(w.mem, nth);
        const ps_status status = ps_deliver(
            w.project,
            &(ps_message){.kind = PS_MESSAGE_BATCH, .batch = batch, .selection = selection}, &err);
        ps_mem_fail_at(w.mem, 0);
        CHECK(status == PS_OK || status == PS_NO_MEMORY);
        if (status != PS_OK) {
            CHECK_STR(err.operator_name, "project");
            CHECK(w.end.last == NULL);
            refusals++;
        }
        ps_batch_release(w.end.last);
        w.end.last = NULL;
        /* registers may have grown an arena; nothing else stays */
        CHECK(ps_mem_used(w.mem) - before <= 256 * 1024);
    }
    CHECK(refusals >= 5);
    ps_batch_release(batch);
    ps_selection_release(selection);
    end(&w);
}

static void test_schema_must_agree(void)
{
    world w;
    begin(&w);
    ps_expr *expr;
    ps_operator *made;
    ps_error err = {0};
    int32_t root;
    CHECK_OK(ps_expr_create(w.mem, &expr, NULL));
    CHECK_OK(ps_expr_column(expr, "value", &root, NULL));
    ps_program *same = compile(&w, expr, root);
    ps_program *const programs[4] = {same, same, same, same};
    CHECK_EQ(ps_project_create(w.mem, w.input, w.output, programs, &made, &err), PS_TYPE);
    CHECK(strstr(err.text, "column 'text' is computed as int64, the schema says utf8") != NULL);
    ps_program_destroy(same);
    ps_expr_destroy(expr);
    end(&w);
}

int main(void)
{
    RUN(test_columns_with_and_without_selection);
    RUN(test_late_watermarks_go_along);
    RUN(test_refused_memory);
    RUN(test_schema_must_agree);
    return 0;
}
