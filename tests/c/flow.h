/* flow.h -- rows of (key, value, time) for the tests of queues, operators and engines, and an
 * operator that writes down what reaches it.
 *
 * Row n has key n % keys, value n, time n * 1000 microseconds: answers can be computed from n
 * alone.
 */
#ifndef PS_TESTS_FLOW_H
#define PS_TESTS_FLOW_H

#include "check.h"
#include "operators/op.h"

__attribute__((unused)) static ps_mem *flow_begin(void)
{
    ps_mem *mem;
    CHECK_OK(ps_mem_create(0, &mem, NULL));
    return mem;
}

/* Everything must have been given back. */
__attribute__((unused)) static void flow_end(ps_mem *mem)
{
    CHECK_EQ(ps_mem_used(mem), 0);
    ps_mem_release(mem);
}

/* ---- Arrow structs on the C heap, as a foreign producer makes them ---- */

__attribute__((unused)) static void flow_release_schema(ArrowSchema *schema)
{
    for (int64_t i = 0; i < schema->n_children; i++) {
        if (schema->children[i]->release != NULL) {
            schema->children[i]->release(schema->children[i]);
        }
        free(schema->children[i]);
    }
    free(schema->children);
    schema->release = NULL;
}

__attribute__((unused)) static void flow_field(ArrowSchema *out, const char *format,
                                               const char *name)
{
    *out = (ArrowSchema){.format = format,
                         .name = name,
                         .flags = ARROW_FLAG_NULLABLE,
                         .release = flow_release_schema};
}

/* struct<key: int64, value: int64, time: timestamp[us]> */
__attribute__((unused)) static void flow_schema(ArrowSchema *out)
{
    flow_field(out, "+s", "");
    out->n_children = 3;
    out->children = calloc(3, sizeof(*out->children));
    for (int32_t i = 0; i < 3; i++) {
        out->children[i] = calloc(1, sizeof(**out->children));
    }
    flow_field(out->children[0], "l", "key");
    flow_field(out->children[1], "l", "value");
    flow_field(out->children[2], "tsu:", "time");
}

__attribute__((unused)) static void flow_release_array(ArrowArray *array)
{
    for (int64_t i = 0; i < array->n_children; i++) {
        if (array->children[i]->release != NULL) {
            array->children[i]->release(array->children[i]);
        }
        free(array->children[i]);
    }
    free(array->children);
    for (int64_t i = 0; i < array->n_buffers; i++) {
        free((void *)(uintptr_t)array->buffers[i]);
    }
    free(array->buffers);
    array->release = NULL;
}

__attribute__((unused)) static void flow_numbers(ArrowArray *out, int64_t rows)
{
    *out = (ArrowArray){.length = rows, .n_buffers = 2, .release = flow_release_array};
    out->buffers = calloc(2, sizeof(*out->buffers));
    out->buffers[1] = calloc((size_t)rows + 1, sizeof(int64_t));
}

/* Rows first .. first + rows - 1. */
__attribute__((unused)) static void flow_array(ArrowArray *out, int64_t rows, int64_t first,
                                               int64_t keys)
{
    *out = (ArrowArray){
        .length = rows, .n_buffers = 1, .n_children = 3, .release = flow_release_array};
    out->buffers = calloc(1, sizeof(*out->buffers));
    out->children = calloc(3, sizeof(*out->children));
    for (int32_t i = 0; i < 3; i++) {
        out->children[i] = calloc(1, sizeof(**out->children));
        flow_numbers(out->children[i], rows);
        int64_t *const values = (int64_t *)(uintptr_t)out->children[i]->buffers[1];
        for (int64_t j = 0; j < rows; j++) {
            const int64_t n = first + j;
            values[j] = i == 0 ? n % keys : i == 1 ? n : n * 1000;
        }
    }
}

__attribute__((unused)) static ps_schema *flow_ps_schema(ps_mem *mem)
{
    ArrowSchema arrow;
    ps_schema *schema;
    flow_schema(&arrow);
    CHECK_OK(ps_schema_import(mem, &arrow, &schema, NULL));
    return schema;
}

__attribute__((unused)) static ps_batch *flow_batch(ps_mem *mem, int64_t rows, int64_t first,
                                                    int64_t keys)
{
    ps_schema *const schema = flow_ps_schema(mem);
    ArrowArray array;
    ps_batch *batch;
    flow_array(&array, rows, first, keys);
    CHECK_OK(ps_batch_import(mem, schema, &array, NULL, &batch, NULL));
    ps_schema_release(schema);
    return batch;
}

__attribute__((unused)) static const int64_t *flow_values(const ps_batch *batch, int32_t column)
{
    return batch->columns[column].values;
}

/* Row number of the i-th row that a message means. */
__attribute__((unused)) static int64_t flow_row(const ps_selection *selection, int64_t i)
{
    return selection != NULL ? (int64_t)selection->rows[i] : i;
}

/* ---- the recorder: an operator that ends a chain ---- */

typedef struct flow_recorder {
    ps_operator base;
    char log[4096]; /* "b3 w10 B1 e": batches with their rows, watermarks, barriers, the end */
    int64_t sum;    /* of all values */
    ps_status fail; /* answered by on_batch when set */
} flow_recorder;

__attribute__((unused)) static void flow_note(flow_recorder *r, const char *kind, int64_t value)
{
    const size_t used = strlen(r->log);
    snprintf(r->log + used, sizeof(r->log) - used, "%s%s%" PRId64, used > 0 ? " " : "", kind,
             value);
}

__attribute__((unused)) static ps_status flow_on_batch(ps_operator *self, ps_batch *batch,
                                                       ps_selection *selection, ps_error *err)
{
    flow_recorder *const r = (flow_recorder *)self;
    if (r->fail != PS_OK) {
        return ps_fail(err, r->fail, "asked to fail");
    }
    const int64_t rows = selection != NULL ? selection->count : batch->length;
    flow_note(r, "b", rows);
    for (int64_t i = 0; i < rows; i++) {
        r->sum += flow_values(batch, 1)[flow_row(selection, i)];
    }
    return PS_OK;
}

__attribute__((unused)) static ps_status flow_on_watermark(ps_operator *self, int64_t watermark,
                                                           ps_error *err)
{
    (void)err;
    flow_note((flow_recorder *)self, "w", watermark);
    return PS_OK;
}

__attribute__((unused)) static ps_status flow_on_idle(ps_operator *self, bool idle, ps_error *err)
{
    (void)err;
    flow_note((flow_recorder *)self, "i", idle);
    return PS_OK;
}

__attribute__((unused)) static ps_status flow_on_barrier(ps_operator *self, int64_t epoch,
                                                         ps_error *err)
{
    (void)err;
    flow_note((flow_recorder *)self, "B", epoch);
    return PS_OK;
}

__attribute__((unused)) static ps_status flow_on_end(ps_operator *self, ps_error *err)
{
    (void)err;
    flow_note((flow_recorder *)self, "e", 0);
    return PS_OK;
}

/* On the test's own stack: nothing to close but the schemas. */
__attribute__((unused)) static void flow_close(ps_operator *self)
{
    ps_operator_fini(self);
}

__attribute__((unused)) static const ps_operator_calls flow_recorder_calls = {
    .name = "recorder",
    .on_batch = flow_on_batch,
    .on_watermark = flow_on_watermark,
    .on_idle = flow_on_idle,
    .on_barrier = flow_on_barrier,
    .on_end = flow_on_end,
    .close = flow_close,
};

__attribute__((unused)) static void flow_recorder_init(flow_recorder *r, ps_mem *mem,
                                                       ps_schema *schema)
{
    memset(r, 0, sizeof(*r));
    ps_operator_init(&r->base, &flow_recorder_calls, mem, schema, schema);
}

#endif
