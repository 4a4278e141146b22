/* test_merge.c -- several channels as one: least watermark, gathered barriers, one end. */
#include "check.h"
#include "flow.h"
#include "queue/merge.h"

static ps_merge merge;

/* Applies one message and checks what comes of it: up to three kinds with values. */
static void expect(int32_t channel, ps_message_kind kind, int64_t value, int32_t count,
                   const ps_message *want)
{
    ps_message out[PS_MERGE_OUT_MAX];
    const ps_message message = {.kind = kind, .value = value};
    CHECK_EQ(ps_merge_apply(&merge, channel, &message, out), count);
    for (int32_t i = 0; i < count; i++) {
        CHECK_EQ(out[i].kind, want[i].kind);
        CHECK_EQ(out[i].value, want[i].value);
    }
}

static const ps_message none[1];

static void the_least_watermark_goes_on_when_it_grows(void)
{
    ps_mem *const mem = flow_begin();
    CHECK_OK(ps_merge_init(&merge, mem, 3, NULL));
    expect(0, PS_MESSAGE_WATERMARK, 10, 0, none);
    expect(1, PS_MESSAGE_WATERMARK, 5, 0, none);
    expect(2, PS_MESSAGE_WATERMARK, 7, 1,
           (ps_message[]){{.kind = PS_MESSAGE_WATERMARK, .value = 5}});
    expect(0, PS_MESSAGE_WATERMARK, 11, 0, none);
    expect(1, PS_MESSAGE_WATERMARK, 20, 1,
           (ps_message[]){{.kind = PS_MESSAGE_WATERMARK, .value = 7}});
    expect(2, PS_MESSAGE_WATERMARK, 6, 0, none); /* never back */
    expect(2, PS_MESSAGE_END, 0, 1, (ps_message[]){{.kind = PS_MESSAGE_WATERMARK, .value = 11}});
    ps_merge_fini(&merge);
    flow_end(mem);
}

static void a_barrier_waits_for_all_and_holds_its_channel(void)
{
    ps_mem *const mem = flow_begin();
    CHECK_OK(ps_merge_init(&merge, mem, 2, NULL));
    expect(1, PS_MESSAGE_BARRIER, 4, 0, none);
    CHECK(ps_merge_held(&merge, 1) && !ps_merge_held(&merge, 0));
    expect(0, PS_MESSAGE_BARRIER, 4, 1, (ps_message[]){{.kind = PS_MESSAGE_BARRIER, .value = 4}});
    CHECK(!ps_merge_held(&merge, 0) && !ps_merge_held(&merge, 1));
    expect(0, PS_MESSAGE_BARRIER, 5, 0, none);
    expect(1, PS_MESSAGE_BARRIER, 5, 1, (ps_message[]){{.kind = PS_MESSAGE_BARRIER, .value = 5}});
    ps_merge_fini(&merge);
    flow_end(mem);
}

static void an_end_counts_as_every_barrier(void)
{
    ps_mem *const mem = flow_begin();
    CHECK_OK(ps_merge_init(&merge, mem, 2, NULL));
    expect(0, PS_MESSAGE_WATERMARK, 3, 0, none);
    expect(0, PS_MESSAGE_BARRIER, 1, 0, none);
    expect(1, PS_MESSAGE_END, 0, 2,
           (ps_message[]){{.kind = PS_MESSAGE_WATERMARK, .value = 3},
                          {.kind = PS_MESSAGE_BARRIER, .value = 1}});
    expect(0, PS_MESSAGE_BARRIER, 2, 1, (ps_message[]){{.kind = PS_MESSAGE_BARRIER, .value = 2}});
    expect(0, PS_MESSAGE_WATERMARK, PS_TIME_MAX, 1,
           (ps_message[]){{.kind = PS_MESSAGE_WATERMARK, .value = PS_TIME_MAX}});
    expect(0, PS_MESSAGE_END, 0, 1, (ps_message[]){{.kind = PS_MESSAGE_END, .value = 0}});
    ps_merge_fini(&merge);
    flow_end(mem);
}

static void idle_channels_are_left_out(void)
{
    ps_mem *const mem = flow_begin();
    CHECK_OK(ps_merge_init(&merge, mem, 3, NULL));
    expect(0, PS_MESSAGE_WATERMARK, 10, 0, none);
    expect(1, PS_MESSAGE_WATERMARK, 5, 0, none);
    expect(2, PS_MESSAGE_IDLE, 1, 1, (ps_message[]){{.kind = PS_MESSAGE_WATERMARK, .value = 5}});
    expect(1, PS_MESSAGE_IDLE, 1, 1, (ps_message[]){{.kind = PS_MESSAGE_WATERMARK, .value = 10}});
    expect(1, PS_MESSAGE_WATERMARK, 20, 0, none); /* it still counts when it wakes */
    expect(2, PS_MESSAGE_IDLE, 0, 0, none);       /* behind: the watermark stays */
    expect(2, PS_MESSAGE_WATERMARK, 3, 0, none);
    expect(0, PS_MESSAGE_WATERMARK, 30, 0, none); /* and waits for it */
    expect(2, PS_MESSAGE_IDLE, 1, 1, (ps_message[]){{.kind = PS_MESSAGE_WATERMARK, .value = 30}});
    ps_merge_fini(&merge);
    flow_end(mem);
}

static void when_all_are_idle_the_whole_is(void)
{
    const ps_message falls_idle = {.kind = PS_MESSAGE_IDLE, .value = 1},
                     wakes = {.kind = PS_MESSAGE_IDLE, .value = 0};
    ps_mem *const mem = flow_begin();
    CHECK_OK(ps_merge_init(&merge, mem, 2, NULL));
    expect(0, PS_MESSAGE_WATERMARK, 10, 0, none);
    expect(1, PS_MESSAGE_WATERMARK, 5, 1,
           (ps_message[]){{.kind = PS_MESSAGE_WATERMARK, .value = 5}});
    expect(0, PS_MESSAGE_IDLE, 1, 0, none);
    expect(1, PS_MESSAGE_IDLE, 1, 1, &falls_idle); /* the watermark stays at 5 */
    expect(0, PS_MESSAGE_IDLE, 0, 2,
           (ps_message[]){wakes, {.kind = PS_MESSAGE_WATERMARK, .value = 10}});
    /* What ends is not waited for, and does not end the others: what is left is idle. */
    expect(0, PS_MESSAGE_WATERMARK, PS_TIME_MAX, 1, &falls_idle);
    expect(0, PS_MESSAGE_END, 0, 0, none);
    expect(1, PS_MESSAGE_BARRIER, 1, 1, (ps_message[]){{.kind = PS_MESSAGE_BARRIER, .value = 1}});
    expect(1, PS_MESSAGE_END, 0, 3,
           (ps_message[]){wakes,
                          {.kind = PS_MESSAGE_WATERMARK, .value = PS_TIME_MAX},
                          {.kind = PS_MESSAGE_END, .value = 0}});
    ps_merge_fini(&merge);
    flow_end(mem);
}

static void one_channel_passes_everything(void)
{
    ps_mem *const mem = flow_begin();
    CHECK_OK(ps_merge_init(&merge, mem, 1, NULL));
    expect(0, PS_MESSAGE_BARRIER, 1, 1, (ps_message[]){{.kind = PS_MESSAGE_BARRIER, .value = 1}});
    expect(0, PS_MESSAGE_WATERMARK, 1, 1,
           (ps_message[]){{.kind = PS_MESSAGE_WATERMARK, .value = 1}});
    expect(0, PS_MESSAGE_END, 0, 2,
           (ps_message[]){{.kind = PS_MESSAGE_WATERMARK, .value = PS_TIME_MAX},
                          {.kind = PS_MESSAGE_END, .value = 0}});
    ps_merge_fini(&merge);
    flow_end(mem);
}

int main(void)
{
    RUN(the_least_watermark_goes_on_when_it_grows);
    RUN(a_barrier_waits_for_all_and_holds_its_channel);
    RUN(an_end_counts_as_every_barrier);
    RUN(idle_channels_are_left_out);
    RUN(when_all_are_idle_the_whole_is);
    RUN(one_channel_passes_everything);
    return 0;
}
