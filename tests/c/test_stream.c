/* test_stream.c -- batches as an Arrow stream: in order, once, released whether read or not. */
#include "arrow_make.h"

static void batches_come_in_order_and_end(void)
{
    ps_mem *mem = make_account();
    ps_batch *batches[2] = {make_mix(mem, 10, 0), make_mix(mem, 7, 1)};
    ArrowArrayStream stream;
    ArrowSchema schema;
    ArrowArray array;
    CHECK_OK(ps_batch_stream_export(mem, batches[0]->schema, batches, 2, &stream, NULL));
    ps_batch_release(batches[0]);
    ps_batch_release(batches[1]);
    CHECK_EQ(stream.get_schema(&stream, &schema), 0);
    CHECK_EQ(schema.n_children, MIX_COUNT);
    schema.release(&schema);
    CHECK_EQ(stream.get_next(&stream, &array), 0);
    CHECK_EQ(array.length, 10);
    array.release(&array);
    CHECK_EQ(stream.get_next(&stream, &array), 0);
    CHECK_EQ(array.length, 7);
    ArrowArray end = {.release = (void (*)(ArrowArray *))(uintptr_t)1};
    CHECK_EQ(stream.get_next(&stream, &end), 0);
    CHECK(end.release == NULL);
    CHECK(stream.get_last_error(&stream) == NULL);
    stream.release(&stream);
    CHECK(stream.release == NULL);
    array.release(&array); /* outlives the stream */
    check_nothing_left(mem);
}

static void an_unread_stream_lets_go_of_all(void)
{
    ps_mem *mem = make_account();
    ps_batch *batches[2] = {make_mix(mem, 10, 0), make_mix(mem, 7, 1)};
    ArrowArrayStream stream;
    CHECK_OK(ps_batch_stream_export(mem, batches[0]->schema, batches, 2, &stream, NULL));
    ps_batch_release(batches[0]);
    ps_batch_release(batches[1]);
    stream.release(&stream);
    check_nothing_left(mem);
}

static void refused_memory_is_reported_and_may_be_tried_again(void)
{
    ps_mem *mem = make_account();
    ps_batch *batch = make_mix(mem, 10, 0);
    ArrowArrayStream stream;
    ArrowSchema schema;
    ArrowArray array;
    ps_mem_fail_at(mem, 1);
    CHECK_EQ(ps_batch_stream_export(mem, batch->schema, &batch, 1, &stream, NULL), PS_NO_MEMORY);
    CHECK_OK(ps_batch_stream_export(mem, batch->schema, &batch, 1, &stream, NULL));
    ps_mem_fail_at(mem, 3);
    CHECK(stream.get_schema(&stream, &schema) != 0);
    CHECK(strstr(stream.get_last_error(&stream), "an Arrow schema needs") != NULL);
    ps_mem_fail_at(mem, 1);
    CHECK(stream.get_next(&stream, &array) != 0);
    CHECK(array.release == NULL);
    CHECK(strstr(stream.get_last_error(&stream), "an exported batch needs") != NULL);
    CHECK_EQ(stream.get_next(&stream, &array), 0);
    CHECK_EQ(array.length, 10);
    array.release(&array);
    stream.release(&stream);
    ps_batch_release(batch);
    check_nothing_left(mem);
}

static void one_schema_for_all(void)
{
    ps_mem *mem = make_account();
    ps_batch *mix = make_mix(mem, 3, 0), *other = NULL;
    ps_schema_builder *builder = NULL;
    ps_schema *schema = NULL;
    CHECK_OK(ps_schema_builder_create(mem, 0, &builder, NULL));
    CHECK_OK(ps_schema_builder_finish(builder, &schema, NULL));
    CHECK_OK(ps_batch_create(mem, schema, 3, &other, NULL));
    ps_batch *batches[] = {mix, other};
    ArrowArrayStream stream;
    CHECK_EQ(ps_batch_stream_export(mem, mix->schema, batches, 2, &stream, NULL), PS_INVALID);
    ps_schema_release(schema);
    ps_batch_release(mix);
    ps_batch_release(other);
    check_nothing_left(mem);
}

int main(void)
{
    RUN(batches_come_in_order_and_end);
    RUN(an_unread_stream_lets_go_of_all);
    RUN(refused_memory_is_reported_and_may_be_tried_again);
    RUN(one_schema_for_all);
    return 0;
}
