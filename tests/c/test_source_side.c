/* test_source_side.c -- who processes what is offered: the driving thread, or shards that run. */
#include "check.h"
#include "flow_engine.h"
#include "runtime/graph.h"
#include "runtime/source_side.h"

typedef struct scene {
    ps_mem *mem;
    ps_plan *plan;
    ps_park park; /* of the driving thread */
    ps_graph graph;
    ps_source_side side;
    int64_t next; /* row */
} scene;

static void begin(scene *s, int64_t kib_limit)
{
    *s = (scene){.mem = flow_begin()};
    ps_park_init(&s->park, 3);
    CHECK_OK(flow_sum_plan(s->mem, false, &s->plan, NULL));
    CHECK_OK(ps_graph_init(&s->graph, s->plan, s->mem, 2, true, &s->park, NULL));
    CHECK_OK(ps_source_side_init(&s->side, s->mem, s->plan, s->graph.driver, s->graph.sources,
                                 s->graph.wanted, &s->park, true, kib_limit, NULL));
}

static void end(scene *s)
{
    ps_source_side_fini(&s->side);
    ps_graph_fini(&s->graph);
    ps_park_fini(&s->park);
    ps_plan_release(s->plan);
    flow_end(s->mem);
}

static void offer(scene *s, int64_t rows)
{
    ps_input *input;
    ps_batch *const batch = flow_batch(s->mem, rows, s->next, 10);
    CHECK_OK(ps_source_side_begin(&s->side, 0, &input, NULL));
    CHECK_OK(ps_input_push_batch(input, batch, NULL));
    ps_source_side_end(&s->side);
    ps_batch_release(batch);
    s->next += rows;
}

static ps_turn turn(scene *s, int64_t *rows)
{
    ps_turn found;
    CHECK_OK(ps_source_side_turn(&s->side, true, rows, &found, NULL));
    return found;
}

static bool help(scene *s, bool dry)
{
    bool worked;
    CHECK_OK(ps_source_side_help(&s->side, dry, &worked, NULL));
    return worked;
}

static void the_driver_processes_while_no_shard_runs(void)
{
    scene s;
    int64_t rows;
    ps_turn found;
    begin(&s, 1024);
    CHECK_EQ(turn(&s, &rows), PS_TURN_NOTHING);
    offer(&s, 100);
    CHECK(!ps_source_side_is_shared(&s.side) && !ps_source_side_wants(&s.side, NULL));
    CHECK_OK(ps_source_side_turn(&s.side, false, &rows, &found, NULL)); /* over its budget */
    CHECK(found == PS_TURN_NOTHING && s.side.inputs[0].waiting.rows == 100);
    CHECK_EQ(turn(&s, &rows), PS_TURN_WORKED);
    CHECK_EQ(rows, 100);
    CHECK_EQ(turn(&s, &rows), PS_TURN_NOTHING);
    end(&s);
}

static void it_leaves_that_to_shards_that_are_busy(void)
{
    scene s;
    int64_t rows;
    begin(&s, 1024);
    ps_source_side_join(&s.side);
    offer(&s, 100);
    CHECK_EQ(turn(&s, &rows), PS_TURN_BLOCKED);
    CHECK(ps_source_side_wants(&s.side, NULL) && ps_source_side_wants(&s.side, s.side.inputs));
    CHECK(help(&s, false));
    CHECK_EQ(s.side.inputs[0].waiting.count, 0);
    CHECK(ps_park_wait(&s.park, 0)); /* little is left: the driving thread was called */
    CHECK_EQ(turn(&s, &rows), PS_TURN_NOTHING);
    offer(&s, 100);
    ps_source_side_leave(&s.side);
    CHECK(ps_park_wait(&s.park, 0));
    CHECK_EQ(turn(&s, &rows), PS_TURN_WORKED);
    end(&s);
}

static void it_does_not_wait_for_a_shard_that_sleeps(void)
{
    scene s;
    int64_t rows;
    begin(&s, 1024);
    ps_source_side_join(&s.side);
    ps_source_side_join(&s.side);
    CHECK(!help(&s, true));
    offer(&s, 100);
    CHECK_EQ(turn(&s, &rows), PS_TURN_WORKED);
    ps_source_side_awake(&s.side);
    offer(&s, 100);
    CHECK_EQ(turn(&s, &rows), PS_TURN_BLOCKED);
    CHECK(help(&s, true)); /* found something: not counted as idle */
    offer(&s, 100);
    CHECK_EQ(turn(&s, &rows), PS_TURN_BLOCKED);
    ps_source_side_leave(&s.side);
    ps_source_side_leave(&s.side);
    end(&s);
}

static void what_is_kept_ahead_is_bounded_in_rows_and_bytes(void)
{
    for (int32_t wide = 0; wide < 2; wide++) {
        scene s;
        begin(&s, wide ? 64 : INT64_C(1) << 40);
        ps_source_side_join(&s.side);
        int64_t offered = 0;
        while (ps_source_side_wants(&s.side, s.side.inputs) && offered < 10 * PS_BATCH_ROWS_MAX) {
            offer(&s, 1024);
            offered += 1024;
        }
        CHECK_EQ(offered, wide ? 3072 : 4 * PS_BATCH_ROWS_MAX); /* 24 bytes a row */
        CHECK(!ps_source_side_wants(&s.side, NULL));
        CHECK(help(&s, false));
        CHECK(!ps_park_wait(&s.park, 0)); /* not for one batch of many */
        while (!ps_source_side_wants(&s.side, NULL)) {
            CHECK(help(&s, false));
        }
        CHECK(ps_park_wait(&s.park, 0));
        CHECK(s.side.inputs[0].waiting.rows * 2 <= offered);
        ps_source_side_leave(&s.side);
        end(&s);
    }
}

static void a_barrier_is_behind_what_was_offered(void)
{
    scene s;
    begin(&s, 1024);
    ps_source_side_join(&s.side);
    offer(&s, 100);
    CHECK_OK(ps_source_side_barrier(&s.side, 7, NULL));
    offer(&s, 50);
    CHECK(help(&s, false));
    CHECK(!s.side.task->copying);
    CHECK(help(&s, false));
    CHECK(s.side.task->copying && s.side.inputs[0].waiting.rows == 50);
    bool ended;
    bool has_state;
    ps_source_side_look(&s.side, &ended, &has_state);
    CHECK(!ended && has_state);
    ps_source_side_leave(&s.side);
    end(&s);
}

int main(void)
{
    RUN(the_driver_processes_while_no_shard_runs);
    RUN(it_leaves_that_to_shards_that_are_busy);
    RUN(it_does_not_wait_for_a_shard_that_sleeps);
    RUN(what_is_kept_ahead_is_bounded_in_rows_and_bytes);
    RUN(a_barrier_is_behind_what_was_offered);
    return 0;
}
