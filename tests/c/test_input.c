/* test_input.c -- what is offered to an engine: checked, cut, in order; streams and their
 * failures. */
#include "check.h"
#include "flow_engine.h"
#include "runtime/input.h"

static void open_input(ps_input *input, ps_mem *mem)
{
    ps_schema *const schema = flow_ps_schema(mem);
    ps_input_init(input, mem, "rows", schema, NULL);
    ps_schema_release(schema);
}

static void large_arrays_are_cut(void)
{
    ps_mem *const mem = flow_begin();
    ps_input input;
    open_input(&input, mem);
    ArrowArray array;
    const int64_t rows = 2 * PS_INPUT_ROWS + 5;
    flow_array(&array, rows, 0, 3);
    CHECK_OK(ps_input_push(&input, &array, NULL));
    CHECK(array.release == NULL);
    flow_array(&array, 0, 0, 3);
    CHECK_OK(ps_input_push(&input, &array, NULL)); /* empty: nothing waits for it */
    CHECK_EQ(input.waiting.count, 3);
    CHECK_EQ(input.waiting.rows, rows);
    int64_t next = 0;
    ps_message message;
    while (ps_fifo_take(&input.waiting, &message)) {
        CHECK(message.batch->length <= PS_INPUT_ROWS);
        for (int64_t i = 0; i < message.batch->length; i++) {
            CHECK_EQ(flow_values(message.batch, 1)[i], next);
            next++;
        }
        ps_message_clear(&message);
    }
    CHECK_EQ(next, rows);
    ps_input_fini(&input);
    flow_end(mem);
}

static void a_row_wakes_an_idle_input_before_it(void)
{
    ps_mem *const mem = flow_begin();
    ps_input input;
    open_input(&input, mem);
    ps_batch *const empty = flow_batch(mem, 0, 0, 3);
    ps_batch *const batch = flow_batch(mem, 2 * PS_INPUT_ROWS, 0, 3);
    CHECK_OK(ps_input_set_idle(&input, false, NULL)); /* no news */
    CHECK_OK(ps_input_set_idle(&input, true, NULL));
    CHECK_OK(ps_input_set_idle(&input, true, NULL));
    CHECK_OK(ps_input_push_batch(&input, empty, NULL)); /* no row in it */
    CHECK_OK(ps_input_push_batch(&input, batch, NULL));
    const ps_message_kind want[] = {PS_MESSAGE_IDLE, PS_MESSAGE_IDLE, PS_MESSAGE_BATCH,
                                    PS_MESSAGE_BATCH};
    for (int32_t i = 0; i < 4; i++) {
        ps_message message;
        CHECK(ps_fifo_take(&input.waiting, &message));
        CHECK_EQ(message.kind, want[i]);
        CHECK_EQ(message.value, i == 0);
        ps_message_clear(&message);
    }
    CHECK_OK(ps_input_finish(&input, NULL));
    CHECK_OK(ps_input_set_idle(&input, true, NULL)); /* it is over: nobody waits for it anyway */
    CHECK_EQ(input.waiting.count, 2);
    ps_batch_release(empty);
    ps_batch_release(batch);
    ps_input_fini(&input);
    flow_end(mem);
}

static void a_refused_cut_takes_back_what_it_put(void)
{
    ps_mem *const mem = flow_begin();
    ps_input input;
    open_input(&input, mem);
    ps_batch *const batch = flow_batch(mem, 3 * PS_INPUT_ROWS, 0, 3);
    ps_batch *const small = flow_batch(mem, 7, 0, 3);
    const ps_message_kind before[] = {PS_MESSAGE_WATERMARK, PS_MESSAGE_BATCH, PS_MESSAGE_WATERMARK};
    CHECK_OK(ps_input_push_watermark(&input, 5, NULL));
    CHECK_OK(ps_input_push_batch(&input, small, NULL));
    CHECK_OK(ps_input_push_watermark(&input, 8, NULL));
    ps_status status = PS_NO_MEMORY;
    for (int64_t nth = 1; status != PS_OK; nth++) {
        ps_mem_fail_at(mem, nth);
        status = ps_input_push_batch(&input, batch, NULL);
        ps_mem_fail_at(mem, 0);
        CHECK_EQ(input.waiting.count, status == PS_OK ? 6 : 3);
        CHECK_EQ(input.waiting.rows, 7 + (status == PS_OK ? batch->length : 0));
        CHECK(nth < 1000);
    }
    for (int32_t i = 0; i < 3; i++) { /* what was there before stands as it did */
        ps_message message;
        CHECK(ps_fifo_take(&input.waiting, &message));
        CHECK_EQ(message.kind, before[i]);
        CHECK_EQ(message.value, i == 0 ? 5 : i == 1 ? 0 : 8);
        ps_message_clear(&message);
    }
    ps_batch_release(small);
    ps_batch_release(batch);
    ps_input_fini(&input);
    flow_end(mem);
}

static void nothing_follows_the_end(void)
{
    ps_mem *const mem = flow_begin();
    ps_input input;
    ps_error err;
    open_input(&input, mem);
    CHECK_OK(ps_input_finish(&input, NULL));
    CHECK_EQ(input.waiting.count, 2); /* the last watermark and the end */
    CHECK_EQ(ps_input_finish(&input, &err), PS_INVALID);
    CHECK_EQ(ps_input_push_watermark(&input, 5, &err), PS_INVALID);
    CHECK_EQ(ps_input_push_barrier(&input, 5, &err), PS_INVALID);
    ps_input_fini(&input);
    flow_end(mem);
}

static int other_schema(ArrowArrayStream *stream, ArrowSchema *out)
{
    (void)stream;
    flow_schema(out);
    out->children[1]->format = "u"; /* value is text here */
    return 0;
}

static int no_schema(ArrowArrayStream *stream, ArrowSchema *out)
{
    (void)stream;
    (void)out;
    return 5;
}

static void streams_are_checked_and_pulled(void)
{
    ps_mem *const mem = flow_begin();
    ps_input input;
    open_input(&input, mem);
    flow_stream rows = {.total = 250, .each = 100, .keys = 3, .fail_at = -1};
    ArrowArrayStream stream;
    flow_stream_open(&stream, &rows);
    ArrowArray array;
    bool end = false;
    int32_t pulls = 0;
    while (!end) {
        CHECK_OK(ps_input_next(&input, &stream, &array, &end, NULL));
        if (!end) {
            CHECK_OK(ps_input_push(&input, &array, NULL));
        }
        pulls++;
    }
    CHECK_EQ(pulls, 4);
    CHECK_EQ(input.waiting.rows, 250);
    CHECK_EQ(input.offered, 250);
    ps_error err;
    ps_error_clear(&err);
    stream.get_schema = other_schema; /* the same struct, another stream: checked again */
    CHECK_EQ(ps_input_next(&input, &stream, &array, &end, &err), PS_INVALID);
    CHECK(strstr(err.text, "value") != NULL);
    CHECK_STR(err.operator_name, "rows");
    stream.get_schema = no_schema;
    CHECK_EQ(ps_input_next(&input, &stream, &array, &end, &err), PS_SOURCE);
    ps_batch *const batch = flow_batch(mem, 3, 0, 3);
    CHECK_OK(ps_input_push_batch(&input, batch, NULL));
    ps_batch_release(batch);
    ps_input_fini(&input);
    flow_end(mem);
}

int main(void)
{
    RUN(large_arrays_are_cut);
    RUN(a_row_wakes_an_idle_input_before_it);
    RUN(a_refused_cut_takes_back_what_it_put);
    RUN(nothing_follows_the_end);
    RUN(streams_are_checked_and_pulled);
    return 0;
}
