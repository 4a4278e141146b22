/* test_source.c -- the source counts rows and bytes and passes everything on. */
#include "check.h"
#include "flow.h"
#include "operators/source.h"

static void counts_and_passes_on(void)
{
    ps_mem *const mem = flow_begin();
    ps_schema *const schema = flow_ps_schema(mem);
    flow_recorder last;
    flow_recorder_init(&last, mem, schema);
    ps_operator *source;
    CHECK_OK(ps_source_create(mem, schema, &source, NULL));
    source->next = &last.base;
    ps_message message = {.kind = PS_MESSAGE_BATCH, .batch = flow_batch(mem, 10, 0, 3)};
    CHECK_OK(ps_deliver(source, &message, NULL));
    ps_message_clear(&message);
    CHECK_OK(ps_deliver(source, &(ps_message){.kind = PS_MESSAGE_WATERMARK, .value = 3}, NULL));
    CHECK_OK(ps_deliver(source, &(ps_message){.kind = PS_MESSAGE_BARRIER, .value = 1}, NULL));
    CHECK_OK(ps_deliver(source, &(ps_message){.kind = PS_MESSAGE_END}, NULL));
    CHECK_STR(last.log, "b10 w3 B1 e0");
    CHECK_EQ(ps_stat_get(&source->stats.rows_in), 10);
    CHECK_EQ(ps_stat_get(&source->stats.rows_out), 10);
    CHECK(ps_stat_get(&source->stats.bytes_in) >= 240);
    source->calls->close(source);
    ps_mem_fail_at(mem, 1);
    CHECK_EQ(ps_source_create(mem, schema, &source, NULL), PS_NO_MEMORY);
    flow_close(&last.base);
    ps_schema_release(schema);
    flow_end(mem);
}

int main(void)
{
    RUN(counts_and_passes_on);
    return 0;
}
