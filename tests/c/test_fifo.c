/* test_fifo.c -- the growing buffer of messages: order, counts, watermarks that replace each
 * other. */
#include "check.h"
#include "flow.h"
#include "queue/fifo.h"

static void order_survives_growth_and_turning(void)
{
    ps_mem *const mem = flow_begin();
    ps_fifo fifo;
    ps_fifo_init(&fifo, mem);
    ps_message message;
    CHECK(ps_fifo_first(&fifo) == NULL && !ps_fifo_take(&fifo, &message));
    int64_t in = 0;
    int64_t out = 0;
    for (int32_t round = 1; round < 60; round++) {
        for (int32_t i = 0; i < round; i++) {
            message = (ps_message){.kind = PS_MESSAGE_BARRIER, .value = in};
            CHECK_OK(ps_fifo_put(&fifo, &message, NULL));
            in++;
        }
        for (int32_t i = 0; i < round - 1; i++) {
            CHECK_EQ(ps_fifo_first(&fifo)->value, out);
            CHECK(ps_fifo_take(&fifo, &message));
            CHECK_EQ(message.value, out);
            out++;
        }
        CHECK_EQ(fifo.count, in - out);
        CHECK_EQ(fifo.barriers, in - out);
    }
    ps_fifo_fini(&fifo);
    flow_end(mem);
}

/* Across the end of the buffer too. */
static void the_newest_can_be_taken_back(void)
{
    ps_mem *const mem = flow_begin();
    ps_fifo fifo;
    ps_fifo_init(&fifo, mem);
    ps_message message;
    CHECK(!ps_fifo_take_last(&fifo, &message));
    int64_t in = 0, out = 0;
    for (int32_t round = 0; round < 50; round++) {
        for (int32_t i = 0; i < 6; i++) {
            message = (ps_message){.kind = PS_MESSAGE_BARRIER, .value = in++};
            CHECK_OK(ps_fifo_put(&fifo, &message, NULL));
        }
        for (int32_t i = 0; i < 2; i++) {
            CHECK(ps_fifo_take_last(&fifo, &message));
            CHECK_EQ(message.value, --in);
        }
        for (int32_t i = 0; i < 3; i++) {
            CHECK(ps_fifo_take(&fifo, &message));
            CHECK_EQ(message.value, out++);
        }
        CHECK_EQ(fifo.count, in - out);
        CHECK_EQ(fifo.barriers, in - out);
    }
    ps_fifo_fini(&fifo);
    flow_end(mem);
}

static void counts_rows_and_ends(void)
{
    ps_mem *const mem = flow_begin();
    ps_fifo fifo;
    ps_fifo_init(&fifo, mem);
    const ps_message batch = {.kind = PS_MESSAGE_BATCH, .batch = flow_batch(mem, 5, 0, 3)};
    CHECK_OK(ps_fifo_put(&fifo, &batch, NULL));
    CHECK_OK(ps_fifo_put(&fifo, &(ps_message){.kind = PS_MESSAGE_END}, NULL));
    CHECK_EQ(fifo.rows, 5);
    CHECK_EQ(fifo.ends, 1);
    ps_message message;
    CHECK(ps_fifo_take(&fifo, &message));
    CHECK_EQ(fifo.rows, 0);
    ps_message_clear(&message);
    ps_fifo_fini(&fifo); /* with one inside */
    CHECK_EQ(fifo.ends, 0);
    flow_end(mem);
}

static void watermarks_side_by_side_become_one(void)
{
    ps_mem *const mem = flow_begin();
    ps_fifo fifo;
    ps_fifo_init(&fifo, mem);
    for (int64_t i = 0; i < 5; i++) {
        const ps_message message = {.kind = PS_MESSAGE_WATERMARK, .value = i};
        CHECK_OK(ps_fifo_put(&fifo, &message, NULL));
    }
    CHECK_EQ(fifo.count, 1);
    CHECK_EQ(ps_fifo_first(&fifo)->value, 4);
    ps_fifo_fini(&fifo);
    flow_end(mem);
}

static void refused_memory_leaves_it_as_it_was(void)
{
    ps_mem *const mem = flow_begin();
    ps_fifo fifo;
    ps_fifo_init(&fifo, mem);
    const ps_message message = {.kind = PS_MESSAGE_BARRIER, .value = 1};
    ps_status status = PS_OK;
    for (int64_t i = 0; status == PS_OK; i++) {
        ps_mem_fail_at(mem, i < 20 ? 0 : 1);
        status = ps_fifo_put(&fifo, &message, NULL);
        CHECK_EQ(fifo.count, status == PS_OK ? i + 1 : i);
    }
    CHECK_EQ(status, PS_NO_MEMORY);
    CHECK_EQ(ps_fifo_reserve(&fifo, NULL), PS_OK);
    ps_mem_fail_at(mem, 1);
    CHECK_OK(ps_fifo_put(&fifo, &message, NULL)); /* into the room reserved */
    ps_mem_fail_at(mem, 0);
    ps_fifo_fini(&fifo);
    flow_end(mem);
}

int main(void)
{
    RUN(order_survives_growth_and_turning);
    RUN(the_newest_can_be_taken_back);
    RUN(counts_rows_and_ends);
    RUN(watermarks_side_by_side_become_one);
    RUN(refused_memory_leaves_it_as_it_was);
    return 0;
}
