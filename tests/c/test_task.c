/* test_task.c -- steps: one bounded thing at a time, downstream first; blocked, idle and done. */
#include "check.h"
#include "flow.h"
#include "operators/exchange.h"
#include "runtime/task.h"

/* An operator that turns each watermark into `parts` batches, one a resume, each with a watermark
 * behind it that ends at the one it got. Its state is three parts, its changes are one. */
typedef struct emitter {
    ps_operator base;
    ps_batch *batch;
    int32_t parts;
    int32_t left;
    int64_t watermark;
    int32_t frozen;   /* parts of state left to hand out */
    int32_t restarts; /* messages that came while work was left */
} emitter;

static ps_status emitter_on_batch(ps_operator *self, ps_batch *batch, ps_selection *selection,
                                  ps_error *err)
{
    ((emitter *)self)->restarts += ((emitter *)self)->left > 0;
    return ps_emit_batch(self, batch, selection, err);
}

static ps_status emitter_on_watermark(ps_operator *self, int64_t watermark, ps_error *err)
{
    emitter *const op = (emitter *)self;
    (void)err;
    op->restarts += op->left > 0;
    op->left = op->parts;
    op->watermark = watermark;
    return PS_OK;
}

static ps_status emitter_freeze(ps_operator *self, bool all, ps_error *err)
{
    (void)err;
    ((emitter *)self)->frozen = all ? 3 : 1;
    return PS_OK;
}

static ps_status emitter_copy(ps_operator *self, bool *more, ps_error *err)
{
    emitter *const op = (emitter *)self;
    CHECK(op->frozen > 0);
    op->frozen--;
    *more = op->frozen > 0;
    return ps_snapshot_add(self, op->batch, err);
}

static ps_status emitter_resume(ps_operator *self, bool *more, ps_error *err)
{
    emitter *const op = (emitter *)self;
    *more = false;
    if (op->left == 0) {
        return PS_OK;
    }
    op->left--;
    PS_TRY(ps_emit_batch(self, op->batch, NULL, err));
    *more = op->left > 0;
    return ps_emit_watermark(self, op->watermark - op->left, err);
}

static const ps_operator_calls emitter_calls = {
    .name = "emitter",
    .on_batch = emitter_on_batch,
    .on_watermark = emitter_on_watermark,
    .on_barrier = ps_emit_barrier,
    .freeze = emitter_freeze,
    .copy = emitter_copy,
    .on_end = ps_emit_end,
    .resume = emitter_resume,
    .close = flow_close,
};

/* One channel in, two emitters in a row, an exchange to a ring of `room` messages. */
typedef struct bench {
    ps_mem *mem;
    ps_schema *schema;
    ps_task *task;
    ps_ring in;
    ps_ring out;
    emitter first;
    emitter second;
} bench;

static void begin(bench *b, int32_t parts, int64_t room)
{
    memset(b, 0, sizeof(*b));
    b->mem = flow_begin();
    b->schema = flow_ps_schema(b->mem);
    CHECK_OK(ps_ring_init(&b->in, b->mem, 16, 1000, NULL, NULL, NULL));
    CHECK_OK(ps_ring_init(&b->out, b->mem, room, 1000, NULL, NULL, NULL));
    CHECK_OK(ps_task_create(b->mem, 1, &b->task, NULL));
    b->task->inbox.channels[0].ring = &b->in;
    emitter *const both[2] = {&b->first, &b->second};
    for (int32_t i = 0; i < 2; i++) {
        ps_operator_init(&both[i]->base, &emitter_calls, b->mem, b->schema, b->schema);
        both[i]->base.id = i + 1;
        both[i]->batch = flow_batch(b->mem, i + 1, 0, 3);
        both[i]->parts = i == 0 ? parts : 1;
        CHECK_OK(ps_task_add(b->task, &both[i]->base, NULL));
    }
    ps_task_exit *way_out;
    ps_operator *exchange;
    CHECK_OK(ps_task_add_exit(b->task, 1, &way_out, NULL));
    way_out->outbox.targets[0].ring = &b->out;
    CHECK_OK(
        ps_exchange_create(b->mem, b->schema, NULL, 0, NULL, &way_out->outbox, &exchange, NULL));
    CHECK_OK(ps_task_add(b->task, exchange, NULL));
    way_out->op = exchange;
    b->first.base.next = &b->second.base;
    b->second.base.next = exchange;
}

static void end(bench *b)
{
    ps_task_destroy(b->task);
    ps_batch_release(b->first.batch);
    ps_batch_release(b->second.batch);
    ps_ring_fini(&b->in);
    ps_ring_fini(&b->out);
    ps_schema_release(b->schema);
    flow_end(b->mem);
}

static void give(bench *b, ps_message_kind kind, int64_t value)
{
    const ps_message message = {.kind = kind, .value = value};
    CHECK(ps_ring_try_push(&b->in, &message));
}

static void give_batch(bench *b, int64_t rows)
{
    const ps_message message = {.kind = PS_MESSAGE_BATCH, .batch = flow_batch(b->mem, rows, 0, 3)};
    CHECK(ps_ring_try_push(&b->in, &message));
}

static ps_task_state step(bench *b)
{
    ps_task_state state;
    CHECK_OK(ps_task_step(b->task, &state, NULL));
    return state;
}

/* Takes everything out: "b2" a batch of two rows, "w5" a watermark, ... */
static void drain(bench *b, char *log, size_t size)
{
    ps_message message;
    size_t used = strlen(log);
    while (ps_ring_try_pop(&b->out, &message)) {
        const char kind = "?bwBe"[message.kind];
        const int64_t value =
            message.kind == PS_MESSAGE_BATCH ? message.batch->length : message.value;
        snprintf(log + used, size - used, "%c%" PRId64 " ", kind, value);
        used = strlen(log);
        ps_message_clear(&message);
    }
}

static void work_left_goes_downstream_first(void)
{
    bench b;
    char log[200] = "";
    begin(&b, 3, 64);
    give(&b, PS_MESSAGE_WATERMARK, 10);
    give(&b, PS_MESSAGE_WATERMARK, 20);
    int32_t steps = 0;
    while (step(&b) == PS_TASK_PROGRESS) {
        steps++;
        CHECK(ps_ring_size(&b.out) <= 2 * steps); /* never a burst */
    }
    drain(&b, log, sizeof(log));
    CHECK_STR(log, "b1 b2 w8 b1 b2 w9 b1 b2 w10 b1 b2 w18 b1 b2 w19 b1 b2 w20 ");
    CHECK_EQ(b.first.restarts + b.second.restarts, 0); /* no message met work left */
    CHECK_EQ(steps, 2 + 2 * 6);
    end(&b);
}

static void a_full_ring_blocks_and_nothing_else_is_done(void)
{
    bench b;
    char log[200] = "";
    begin(&b, 3, 2);
    give(&b, PS_MESSAGE_WATERMARK, 10);
    ps_task_state state = PS_TASK_PROGRESS;
    int32_t blocked = 0;
    const char *const want = "b1 b2 w8 b1 b2 w9 b1 b2 w10 ";
    while (strlen(log) < strlen(want)) {
        state = step(&b);
        if (state == PS_TASK_BLOCKED) {
            const int64_t emitted = b.first.base.emitted + b.second.base.emitted;
            CHECK_EQ(step(&b), PS_TASK_BLOCKED);
            CHECK_EQ(b.first.base.emitted + b.second.base.emitted, emitted);
            blocked++;
            drain(&b, log, sizeof(log));
        }
        if (state == PS_TASK_IDLE) {
            drain(&b, log, sizeof(log));
            break;
        }
    }
    CHECK_STR(log, want);
    CHECK(blocked >= 2);
    CHECK(ps_stopwatch_ns(&b.task->exits->op->stats.blocked, &b.task->clock) > 0);
    CHECK_EQ(step(&b), PS_TASK_IDLE);
    end(&b);
}

static void time_without_input_is_counted(void)
{
    bench b;
    char log[200] = "";
    begin(&b, 1, 8);
    ps_clock *const clock = &b.task->clock;
    ps_clock_init_manual(clock, 1000, 0);
    CHECK_EQ(step(&b), PS_TASK_IDLE);
    ps_clock_advance(clock, 5);
    CHECK_EQ(ps_stopwatch_ns(&b.task->idle, &b.task->clock), 5); /* also while it lasts */
    CHECK_EQ(step(&b), PS_TASK_IDLE);
    ps_clock_advance(clock, 2);
    give(&b, PS_MESSAGE_WATERMARK, 10);
    CHECK_EQ(step(&b), PS_TASK_PROGRESS);
    ps_clock_advance(clock, 100); /* busy */
    CHECK_EQ(ps_stopwatch_ns(&b.task->idle, &b.task->clock), 7);
    while (step(&b) != PS_TASK_IDLE) {
        drain(&b, log, sizeof(log));
    }
    ps_clock_advance(clock, 3);
    CHECK_EQ(ps_stopwatch_ns(&b.task->idle, &b.task->clock), 10);
    end(&b);
}

static void the_end_is_done_only_when_all_is_out(void)
{
    bench b;
    char log[200] = "";
    begin(&b, 1, 1);
    CHECK_EQ(step(&b), PS_TASK_IDLE);
    give(&b, PS_MESSAGE_END, 0); /* its watermark comes with it */
    ps_task_state state = PS_TASK_PROGRESS;
    for (int32_t i = 0; i < 50 && state != PS_TASK_DONE; i++) {
        state = step(&b);
        CHECK(state != PS_TASK_IDLE);
        if (state == PS_TASK_BLOCKED) {
            drain(&b, log, sizeof(log));
        }
    }
    CHECK_EQ(state, PS_TASK_DONE);
    CHECK_EQ(step(&b), PS_TASK_DONE);
    end(&b);
}

/* Takes what the task has sent towards the reader of its state: "1 1 1 2 B7 E". */
static const char *state_log(bench *b)
{
    static char log[256];
    ps_message message;
    size_t used = 0;
    log[0] = '\0';
    while (b->task->state.targets[0].ring == NULL
               ? ps_fifo_take(&b->task->state.targets[0].waiting, &message)
               : ps_ring_try_pop(b->task->state.targets[0].ring, &message)) {
        used += (size_t)(message.kind == PS_MESSAGE_BATCH
                             ? snprintf(log + used, sizeof log - used, "%s%d", used > 0 ? " " : "",
                                        (int)(message.value & INT32_MAX))
                         : message.kind == PS_MESSAGE_BARRIER
                             ? snprintf(log + used, sizeof log - used, " B%d", (int)message.value)
                             : snprintf(log + used, sizeof log - used, " E"));
        ps_message_clear(&message);
    }
    return log;
}

static void a_barrier_is_followed_by_its_state(void)
{
    bench b;
    _Atomic bool all = true;
    begin(&b, 1, 64);
    b.task->all = &all;
    for (int64_t epoch = 1; epoch <= 3; epoch++) {
        atomic_store(&all, epoch != 2);
        give(&b, PS_MESSAGE_BARRIER, epoch);
        while (step(&b) == PS_TASK_PROGRESS) {
        }
        char want[32];
        snprintf(want, sizeof want, epoch == 2 ? "1 2 B%d" : "1 1 1 2 2 2 B%d", (int)epoch);
        CHECK_STR(state_log(&b), want);
        CHECK(ps_stat_get(&b.first.base.stats.barrier_ns) > 0);
    }
    end(&b);
}

/* One part after each message, and no more than its ring takes; the rest waits for nobody. */
static void state_leaves_between_messages(void)
{
    bench b;
    ps_ring ring;
    begin(&b, 1, 64);
    CHECK_OK(ps_ring_init(&ring, b.mem, 2, 1000, NULL, NULL, NULL));
    b.task->state.targets[0].ring = &ring;
    give(&b, PS_MESSAGE_BARRIER, 1);
    for (int64_t i = 0; i < 4; i++) {
        give_batch(&b, 3);
    }
    CHECK_EQ(step(&b), PS_TASK_PROGRESS); /* the barrier: nothing is copied yet */
    CHECK_EQ(ps_ring_size(&ring), 0);
    for (int64_t i = 0; i < 4; i++) {
        CHECK_EQ(step(&b), PS_TASK_PROGRESS); /* a batch */
        CHECK_EQ(ps_ring_size(&ring), ps_min_i64(i, 2));
        if (i < 3) {
            CHECK_EQ(step(&b), PS_TASK_PROGRESS); /* a part; the third waits for room */
        }
        CHECK_EQ(ps_ring_size(&ring), ps_min_i64(i + 1, 2));
    }
    CHECK_EQ(ps_ring_size(&b.in), 0);
    CHECK_EQ(step(&b), PS_TASK_IDLE);
    CHECK(ps_task_has_state(b.task));
    CHECK_STR(state_log(&b), "1 1");
    while (step(&b) == PS_TASK_PROGRESS) {
    }
    CHECK_STR(state_log(&b), "1 2");
    give(&b, PS_MESSAGE_END, 0); /* which must not overtake the state */
    while (step(&b) == PS_TASK_PROGRESS) {
    }
    CHECK_EQ(step(&b), PS_TASK_BLOCKED);
    CHECK_STR(state_log(&b), "2 2");
    while (step(&b) == PS_TASK_PROGRESS) {
    }
    CHECK_STR(state_log(&b), " B1 E");
    CHECK_EQ(step(&b), PS_TASK_DONE);
    CHECK(!ps_task_has_state(b.task));
    b.task->state.targets[0].ring = NULL; /* as the reader does that was told the end */
    CHECK_OK(ps_task_freeze(b.task, 2, 0, NULL));
    CHECK_EQ(step(&b), PS_TASK_DONE);
    CHECK(b.task->copying); /* nothing of it was copied behind the reader's back */
    ps_ring_fini(&ring);
    end(&b);
}

static void channels_are_aligned_at_barriers(void)
{
    ps_mem *const mem = flow_begin();
    ps_schema *const schema = flow_ps_schema(mem);
    ps_task *task;
    ps_ring rings[2];
    flow_recorder last;
    flow_recorder_init(&last, mem, schema);
    CHECK_OK(ps_task_create(mem, 2, &task, NULL));
    for (int32_t i = 0; i < 2; i++) {
        CHECK_OK(ps_ring_init(&rings[i], mem, 8, 1000, NULL, NULL, NULL));
        task->inbox.channels[i].ring = &rings[i];
    }
    CHECK_OK(ps_task_add(task, &last.base, NULL));
    const ps_message barrier = {.kind = PS_MESSAGE_BARRIER, .value = 1};
    ps_message batch = {.kind = PS_MESSAGE_BATCH};
    CHECK(ps_ring_try_push(&rings[0], &barrier));
    batch.batch = flow_batch(mem, 7, 0, 3); /* behind the barrier: must wait */
    CHECK(ps_ring_try_push(&rings[0], &batch));
    ps_task_state state = PS_TASK_PROGRESS;
    while (state != PS_TASK_IDLE) {
        CHECK_OK(ps_task_step(task, &state, NULL));
    }
    CHECK_STR(last.log, "");
    batch.batch = flow_batch(mem, 2, 0, 3);
    CHECK(ps_ring_try_push(&rings[1], &batch));
    CHECK(ps_ring_try_push(&rings[1], &barrier));
    state = PS_TASK_PROGRESS;
    while (state != PS_TASK_IDLE) {
        CHECK_OK(ps_task_step(task, &state, NULL));
    }
    CHECK_STR(last.log, "b2 B1 b7");
    ps_task_destroy(task);
    ps_ring_fini(&rings[0]);
    ps_ring_fini(&rings[1]);
    ps_schema_release(schema);
    flow_end(mem);
}

static void refused_memory_is_an_error(void)
{
    ps_mem *const mem = flow_begin();
    ps_task *task;
    for (int64_t nth = 1; nth <= 3; nth++) {
        ps_mem_fail_at(mem, nth);
        CHECK_EQ(ps_task_create(mem, 1, &task, NULL), PS_NO_MEMORY);
        CHECK_EQ(ps_mem_used(mem), 0);
    }
    ps_mem_fail_at(mem, 0);
    CHECK_OK(ps_task_create(mem, 0, &task, NULL));
    ps_task_exit *way_out;
    for (int64_t nth = 1; nth <= 2; nth++) {
        ps_mem_fail_at(mem, nth);
        CHECK_EQ(ps_task_add_exit(task, 1, &way_out, NULL), PS_NO_MEMORY);
    }
    ps_task_destroy(task);
    flow_end(mem);
}

int main(void)
{
    RUN(work_left_goes_downstream_first);
    RUN(a_full_ring_blocks_and_nothing_else_is_done);
    RUN(time_without_input_is_counted);
    RUN(the_end_is_done_only_when_all_is_out);
    RUN(a_barrier_is_followed_by_its_state);
    RUN(state_leaves_between_messages);
    RUN(channels_are_aligned_at_barriers);
    RUN(refused_memory_is_an_error);
    return 0;
}
