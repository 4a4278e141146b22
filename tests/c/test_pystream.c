/* test_pystream.c -- batches at the edge: schema and array together, streams, messages. */
#include "arrow_make.h"

#include "pystream.h"

static void schema_and_array_move_together(void)
{
    ps_mem *mem = make_account();
    ArrowSchema schema;
    ArrowArray array;
    ps_batch *batch = NULL;
    make_mix_schema(&schema);
    make_mix_array(&array, 12, 0);
    CHECK_OK(ps_batch_from_arrow(mem, &schema, &array, &batch, NULL));
    CHECK(schema.release == NULL && array.release == NULL);
    CHECK_EQ(ps_batch_length(batch), 12);
    CHECK(ps_batch_bytes(batch) > 12 * 38);
    CHECK_OK(ps_batch_to_arrow(batch, &schema, &array, NULL));
    ps_batch_release(batch);
    CHECK_EQ(schema.n_children, MIX_COUNT);
    CHECK_EQ(array.length, 12);
    array.release(&array);
    schema.release(&schema);
    check_nothing_left(mem);
}

static void nothing_moves_on_failure(void)
{
    ps_mem *mem = make_account();
    ArrowSchema schema, out_schema;
    ArrowArray array, out_array;
    ps_batch *batch = NULL;
    make_mix_schema(&schema);
    make_mix_array(&array, 12, 0);
    int64_t n = 0;
    for (ps_status status = PS_NO_MEMORY; status != PS_OK;) {
        ps_mem_fail_at(mem, ++n);
        status = ps_batch_from_arrow(mem, &schema, &array, &batch, NULL);
        CHECK(status == PS_OK ||
              (schema.release != NULL && array.release != NULL && ps_mem_used(mem) == 0));
    }
    const int64_t used = ps_mem_used(mem);
    for (ps_status status = PS_NO_MEMORY; status != PS_OK; n++) {
        ps_mem_fail_at(mem, n - 20);
        status = ps_batch_to_arrow(batch, &out_schema, &out_array, NULL);
        CHECK(status == PS_OK || ps_mem_used(mem) == used);
    }
    ps_mem_fail_at(mem, 0);
    out_schema.release(&out_schema);
    out_array.release(&out_array);
    ps_batch_release(batch);
    check_nothing_left(mem);
}

static void no_batches_make_an_empty_stream(void)
{
    ps_mem *mem = make_account();
    ArrowSchema schema;
    ArrowArrayStream stream;
    ArrowArray array;
    make_mix_schema(&schema);
    CHECK_OK(ps_batches_to_stream(mem, &schema, NULL, 0, &stream, NULL));
    CHECK(schema.release != NULL); /* only read */
    CHECK_EQ(stream.get_next(&stream, &array), 0);
    CHECK(array.release == NULL);
    stream.release(&stream);
    ps_batch *batch = make_mix(mem, 3, 0);
    CHECK_OK(ps_batches_to_stream(mem, NULL, &batch, 1, &stream, NULL));
    ps_batch_release(batch);
    stream.release(&stream);
    schema.release(&schema);
    check_nothing_left(mem);
}

static void messages_give_the_rows_they_mean(void)
{
    ps_mem *mem = make_account();
    ps_message message = {.kind = PS_MESSAGE_BATCH, .batch = make_mix(mem, 9, 0)};
    ps_batch *batch = NULL;
    CHECK_OK(ps_message_batch(&message, &batch, NULL));
    CHECK(batch == message.batch);
    ps_batch_release(batch);
    CHECK_OK(ps_selection_create(mem, 2, &message.selection, NULL));
    message.selection->count = 2;
    message.selection->rows[0] = 3;
    message.selection->rows[1] = 8;
    CHECK_OK(ps_message_batch(&message, &batch, NULL));
    check_batch_rows(message.batch, message.selection->rows, 0, batch);
    CHECK_EQ(batch->length, 2);
    ps_batch_release(batch);
    ps_message_clear(&message);
    CHECK_EQ(ps_message_batch(&message, &batch, NULL), PS_INVALID);
    check_nothing_left(mem);
}

int main(void)
{
    RUN(schema_and_array_move_together);
    RUN(nothing_moves_on_failure);
    RUN(no_batches_make_an_empty_stream);
    RUN(messages_give_the_rows_they_mean);
    return 0;
}
