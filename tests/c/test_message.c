/* test_message.c -- rows and release of messages. */
#include "check.h"
#include "flow.h"
#include "queue/message.h"

static void clear_releases_and_empties(void)
{
    ps_mem *const mem = flow_begin();
    ps_message message = {.kind = PS_MESSAGE_BATCH, .batch = flow_batch(mem, 10, 0, 3)};
    CHECK_EQ(ps_message_rows(&message), 10);
    CHECK_OK(ps_selection_create(mem, 4, &message.selection, NULL));
    message.selection->count = 2;
    CHECK_EQ(ps_message_rows(&message), 2);
    ps_message_clear(&message);
    CHECK_EQ(message.kind, PS_MESSAGE_NONE);
    CHECK(message.batch == NULL && message.selection == NULL);
    ps_message_clear(&message);
    message = (ps_message){.kind = PS_MESSAGE_BARRIER, .value = 7};
    CHECK_EQ(ps_message_rows(&message), 0);
    ps_message_clear(&message);
    flow_end(mem);
}

int main(void)
{
    RUN(clear_releases_and_empties);
    return 0;
}
