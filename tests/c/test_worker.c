/* test_worker.c -- two workers in a pipeline with sleeping threads: nothing is lost, stop ends
 * them. */
#include <pthread.h>

#include "check.h"
#include "flow.h"
#include "operators/sink.h"
#include "runtime/worker.h"

/* input ring -> task of worker 0 -> ring -> task of worker 1 -> output ring */
typedef struct pipeline {
    ps_mem *mem;
    ps_schema *schema;
    ps_park park; /* of the test's thread */
    ps_ring rings[3];
    ps_worker workers[2];
    ps_task *tasks[2];
    _Atomic bool stop;
    pthread_t threads[2];
    ps_status answers[2];
} pipeline;

static void begin(pipeline *p, int64_t capacity)
{
    memset(p, 0, sizeof(*p));
    p->mem = flow_begin();
    p->schema = flow_ps_schema(p->mem);
    ps_park_init(&p->park, 3);
    for (int32_t i = 0; i < 2; i++) {
        ps_worker_init(&p->workers[i], p->mem, 3);
    }
    ps_park *const parks[4] = {&p->park, &p->workers[0].park, &p->workers[1].park, &p->park};
    for (int32_t i = 0; i < 3; i++) {
        CHECK_OK(ps_ring_init(&p->rings[i], p->mem, capacity, 1000, parks[i], parks[i + 1], NULL));
    }
    for (int32_t i = 0; i < 2; i++) {
        ps_task_exit *way_out;
        ps_operator *sink;
        CHECK_OK(ps_task_create(p->mem, 1, &p->tasks[i], NULL));
        p->tasks[i]->inbox.channels[0].ring = &p->rings[i];
        CHECK_OK(ps_task_add_exit(p->tasks[i], 1, &way_out, NULL));
        way_out->outbox.targets[0].ring = &p->rings[i + 1];
        CHECK_OK(ps_sink_create(p->mem, p->schema, &way_out->outbox, &sink, NULL));
        CHECK_OK(ps_task_add(p->tasks[i], sink, NULL));
        way_out->op = sink;
        CHECK_OK(ps_worker_add(&p->workers[i], p->tasks[i], NULL));
    }
}

static void end(pipeline *p)
{
    for (int32_t i = 0; i < 2; i++) {
        ps_task_destroy(p->tasks[i]);
        ps_worker_fini(&p->workers[i]);
    }
    for (int32_t i = 0; i < 3; i++) {
        ps_ring_fini(&p->rings[i]);
    }
    ps_park_fini(&p->park);
    ps_schema_release(p->schema);
    flow_end(p->mem);
}

static pipeline *shared;

static void *work(void *argument)
{
    const int32_t index = (int32_t)(intptr_t)argument;
    shared->answers[index] = ps_worker_run(&shared->workers[index], &shared->stop, NULL);
    return NULL;
}

static void start(pipeline *p)
{
    shared = p;
    for (int32_t i = 0; i < 2; i++) {
        CHECK_EQ(pthread_create(&p->threads[i], NULL, work, (void *)(intptr_t)i), 0);
    }
}

static void join(pipeline *p, ps_status want)
{
    for (int32_t i = 0; i < 2; i++) {
        CHECK_EQ(pthread_join(p->threads[i], NULL), 0);
        CHECK_EQ(p->answers[i], want);
    }
}

static void everything_comes_through_in_order(void)
{
    for (int64_t capacity = 1; capacity <= 16; capacity *= 4) {
        pipeline p;
        begin(&p, capacity);
        start(&p);
        const int64_t count = 3000;
        int64_t sent = 0;
        int64_t received = 0;
        bool ended = false;
        while (!ended) {
            bool progress = false;
            ps_message message = {.kind = PS_MESSAGE_BATCH};
            if (sent <= count && ps_ring_has_room(&p.rings[0], PS_MESSAGE_BATCH)) {
                if (sent < count) {
                    message.batch = flow_batch(p.mem, 1, sent, 3);
                } else {
                    message.kind = PS_MESSAGE_END;
                }
                CHECK(ps_ring_try_push(&p.rings[0], &message));
                ps_park_wake(&p.workers[0].park);
                sent++;
                progress = true;
            }
            if (ps_ring_try_pop(&p.rings[2], &message)) {
                ps_park_wake(&p.workers[1].park);
                ended = message.kind == PS_MESSAGE_END;
                if (message.kind == PS_MESSAGE_BATCH) {
                    CHECK_EQ(flow_values(message.batch, 1)[0], received);
                    received++;
                }
                ps_message_clear(&message);
                progress = true;
            }
            if (!progress) {
                ps_park_wait(&p.park, -1);
            }
        }
        CHECK_EQ(received, count);
        join(&p, PS_OK);
        end(&p);
    }
}

static void stop_ends_sleeping_and_busy_workers(void)
{
    for (int32_t messages = 0; messages < 20; messages += 5) {
        pipeline p;
        begin(&p, 4);
        start(&p);
        for (int64_t i = 0; i < messages; i++) {
            const ps_message message = {.kind = PS_MESSAGE_BATCH,
                                        .batch = flow_batch(p.mem, 1, i, 3)};
            while (!ps_ring_try_push(&p.rings[0], &message)) {
                ps_message out;
                if (ps_ring_try_pop(&p.rings[2], &out)) {
                    ps_message_clear(&out);
                    ps_park_wake(&p.workers[1].park);
                }
            }
            ps_park_wake(&p.workers[0].park);
        }
        atomic_store_explicit(&p.stop, true, memory_order_relaxed);
        ps_park_wake(&p.workers[0].park);
        ps_park_wake(&p.workers[1].park);
        join(&p, PS_CANCELLED);
        end(&p); /* whatever the rings hold */
    }
}

static void a_step_tells_progress_wait_and_done(void)
{
    pipeline p;
    begin(&p, 4);
    ps_worker_state state;
    CHECK_OK(ps_worker_step(&p.workers[0], &state, NULL));
    CHECK_EQ(state, PS_WORKER_WAIT);
    CHECK(ps_ring_try_push(&p.rings[0], &(ps_message){.kind = PS_MESSAGE_END}));
    CHECK_OK(ps_worker_step(&p.workers[0], &state, NULL));
    CHECK_EQ(state, PS_WORKER_PROGRESS);
    CHECK_OK(ps_worker_step(&p.workers[0], &state, NULL));
    CHECK_EQ(state, PS_WORKER_DONE);
    CHECK(ps_park_wait(&p.park, 0)); /* the producer was told of the room */
    end(&p);
}

int main(void)
{
    RUN(everything_comes_through_in_order);
    RUN(stop_ends_sleeping_and_busy_workers);
    RUN(a_step_tells_progress_wait_and_done);
    return 0;
}
