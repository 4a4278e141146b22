/* test_exchange.c -- every row goes once, in order, to the shard that owns its key. */
#include <stdlib.h>

#include "check.h"
#include "flow.h"
#include "operators/exchange.h"
#include "state/key_hash.h"

enum { TARGETS_MAX = 10 };

typedef struct desk {
    ps_mem *mem;
    ps_schema *schema;
    ps_outbox outbox;
    ps_operator *op;
} desk;

static ps_status key_program(ps_mem *mem, const ps_schema *schema, ps_program **out)
{
    ps_expr *expr;
    int32_t root;
    PS_TRY(ps_expr_create(mem, &expr, NULL));
    ps_status status = ps_expr_column(expr, "key", &root, NULL);
    if (status == PS_OK) {
        status = ps_program_compile(mem, expr, root, schema, out, NULL);
    }
    ps_expr_destroy(expr);
    return status;
}

static void begin(desk *d, int32_t target_count)
{
    ps_program *key;
    d->mem = flow_begin();
    d->schema = flow_ps_schema(d->mem);
    CHECK_OK(key_program(d->mem, d->schema, &key));
    CHECK_OK(ps_outbox_init(&d->outbox, d->mem, target_count, NULL));
    CHECK_OK(ps_exchange_create(d->mem, d->schema, &key, 1, NULL, &d->outbox, &d->op, NULL));
    ps_program_destroy(key);
}

static void end(desk *d)
{
    d->op->calls->close(d->op);
    ps_outbox_fini(&d->outbox);
    ps_schema_release(d->schema);
    flow_end(d->mem);
}

static int32_t owner_of(int64_t key, int32_t target_count)
{
    const ps_vector vector = {.kind = PS_CLASS_I64, .values = &key};
    uint64_t hash;
    ps_key_hash(&vector, 1, 1, &hash);
    return ps_shard_of_group(ps_key_group(hash), target_count);
}

static void every_row_goes_once_to_its_owner(void)
{
    for (int32_t targets = 2; targets <= TARGETS_MAX; targets++) {
        desk d;
        begin(&d, targets);
        const int64_t rows = 2500; /* several chunks */
        ps_message message = {.kind = PS_MESSAGE_BATCH, .batch = flow_batch(d.mem, rows, 0, 37)};
        CHECK_OK(ps_selection_create(d.mem, rows, &message.selection, NULL));
        for (uint32_t i = 0; i < rows; i++) { /* two of three rows */
            if (i % 3 != 0) {
                message.selection->rows[message.selection->count] = i;
                message.selection->count++;
            }
        }
        CHECK_OK(ps_deliver(d.op, &message, NULL));
        int64_t seen = 0;
        for (int32_t target = 0; target < targets; target++) {
            ps_message part;
            int64_t last = -1;
            CHECK(ps_fifo_take(&d.outbox.targets[target].waiting, &part));
            CHECK(part.selection == NULL); /* a dense batch of its own */
            for (int64_t i = 0; i < part.batch->length; i++) {
                const int64_t row = flow_values(part.batch, 1)[i]; /* the value is the number */
                CHECK(row > last && row % 3 != 0);
                CHECK_EQ(flow_values(part.batch, 0)[i], row % 37);
                CHECK_EQ(owner_of(row % 37, targets), target);
                last = row;
            }
            seen += part.batch->length;
            ps_message_clear(&part);
        }
        CHECK_EQ(seen, message.selection->count);
        CHECK_EQ(ps_stat_get(&d.op->stats.rows_out), seen);
        ps_message_clear(&message);
        end(&d);
    }
}

static void a_batch_of_one_owner_travels_whole(void)
{
    desk d;
    begin(&d, 3);
    ps_message message = {.kind = PS_MESSAGE_BATCH, .batch = flow_batch(d.mem, 100, 0, 1)};
    CHECK_OK(ps_deliver(d.op, &message, NULL));
    const int32_t owner = owner_of(0, 3);
    for (int32_t target = 0; target < 3; target++) {
        CHECK_EQ(d.outbox.targets[target].waiting.count, target == owner);
    }
    CHECK(ps_fifo_first(&d.outbox.targets[owner].waiting)->selection == NULL);
    ps_message_clear(&message);
    end(&d);
}

static void without_keys_everything_goes_to_the_one(void)
{
    ps_mem *const mem = flow_begin();
    ps_schema *const schema = flow_ps_schema(mem);
    ps_outbox outbox;
    ps_operator *op;
    CHECK_OK(ps_outbox_init(&outbox, mem, 1, NULL));
    CHECK_OK(ps_exchange_create(mem, schema, NULL, 0, NULL, &outbox, &op, NULL));
    ps_message message = {.kind = PS_MESSAGE_BATCH, .batch = flow_batch(mem, 100, 0, 7)};
    CHECK_OK(ps_deliver(op, &message, NULL));
    ps_message_clear(&message);
    CHECK_EQ(outbox.targets[0].waiting.rows, 100);
    op->calls->close(op);
    ps_outbox_fini(&outbox);
    ps_schema_release(schema);
    flow_end(mem);
}

static void all_but_batches_go_to_every_target(void)
{
    desk d;
    begin(&d, 3);
    for (int32_t kind = PS_MESSAGE_WATERMARK; kind <= PS_MESSAGE_END; kind++) {
        const ps_message message = {.kind = (ps_message_kind)kind, .value = 8};
        CHECK_OK(ps_deliver(d.op, &message, NULL));
    }
    for (int32_t target = 0; target < 3; target++) {
        ps_message message;
        for (int32_t kind = PS_MESSAGE_WATERMARK; kind <= PS_MESSAGE_END; kind++) {
            CHECK(ps_fifo_take(&d.outbox.targets[target].waiting, &message));
            CHECK_EQ(message.kind, kind);
            const int64_t idle = kind == PS_MESSAGE_IDLE ? 1 : 8;
            CHECK_EQ(message.value, kind == PS_MESSAGE_END ? 0 : idle);
        }
    }
    CHECK_EQ(ps_stat_get(&d.op->stats.watermark), 8);
    end(&d);
}

static ps_status create_and_send(ps_mem *mem, ps_schema *schema, ps_batch *batch)
{
    ps_program *key;
    ps_outbox outbox;
    ps_operator *op;
    PS_TRY(key_program(mem, schema, &key));
    ps_status status = ps_outbox_init(&outbox, mem, 4, NULL);
    if (status == PS_OK) {
        status = ps_exchange_create(mem, schema, &key, 1, NULL, &outbox, &op, NULL);
        if (status == PS_OK) {
            const ps_message message = {.kind = PS_MESSAGE_BATCH, .batch = batch};
            status = ps_deliver(op, &message, NULL);
            op->calls->close(op);
        }
        ps_outbox_fini(&outbox);
    }
    ps_program_destroy(key);
    return status;
}

static void every_refused_allocation_is_an_error_without_a_leak(void)
{
    ps_mem *const mem = flow_begin();
    ps_schema *const schema = flow_ps_schema(mem);
    ps_batch *const batch = flow_batch(mem, 3000, 0, 100);
    const int64_t used = ps_mem_used(mem);
    ps_status status = PS_NO_MEMORY;
    for (int64_t nth = 1; status != PS_OK; nth++) {
        ps_mem_fail_at(mem, nth);
        status = create_and_send(mem, schema, batch);
        ps_mem_fail_at(mem, 0);
        CHECK(status == PS_OK || status == PS_NO_MEMORY);
        CHECK_EQ(ps_mem_used(mem), used);
        CHECK(nth < 1000);
    }
    ps_batch_release(batch);
    ps_schema_release(schema);
    flow_end(mem);
}

static void shards_split_the_key_groups_evenly(void)
{
    for (int32_t shards = 1; shards <= 9; shards++) {
        int32_t last = 0;
        for (int32_t group = 0; group < PS_KEY_GROUPS; group++) {
            const int32_t shard = ps_shard_of_group(group, shards);
            CHECK(shard == last || shard == last + 1);
            CHECK(shard * PS_KEY_GROUPS / shards <= group);
            CHECK(group < (shard + 1) * PS_KEY_GROUPS / shards);
            last = shard;
        }
        CHECK_EQ(last, shards - 1);
    }
}

/* ---- totals instead of rows ---- */

/* Counts rows and sums the values of each key. */
static ps_status add_up(desk *d, ps_expr *expr, ps_error *err)
{
    static const int32_t KEYS[] = {0};
    static const char *const NAMES[] = {"key"};
    static const ps_agg_spec SPECS[] = {
        {.function = PS_AGG_COUNT, .name = "n", .input = -1, .weight = -1},
        {.function = PS_AGG_SUM, .name = "total", .input = 1, .weight = -1}};
    const ps_aggregate_args args = {.expr = expr,
                                    .keys = KEYS,
                                    .key_names = NAMES,
                                    .key_count = 1,
                                    .event_time = -1,
                                    .aggregates = SPECS,
                                    .aggregate_count = 2,
                                    .source_count = 1};
    ps_schema *output = NULL;
    PS_TRY(ps_aggregate_schema(d->mem, d->schema, &args, &output, err));
    const ps_status status = ps_exchange_pre_aggregate(d->op, output, &args, err);
    ps_schema_release(output);
    return status;
}

static ps_status send_totals(desk *d, ps_expr *expr, const ps_message *message)
{
    PS_TRY(add_up(d, expr, NULL));
    return ps_deliver(d->op, message, NULL);
}

typedef struct seen {
    int64_t rows, partials, stood_for, total;
} seen;

/* Empties the ways out; every key must be with its owner. */
static seen take_all(desk *d)
{
    seen s = {0};
    for (int32_t target = 0; target < d->outbox.target_count; target++) {
        ps_message part;
        while (ps_fifo_take(&d->outbox.targets[target].waiting, &part)) {
            const ps_batch *const batch = part.batch;
            CHECK(part.selection == NULL);
            s.rows += batch->partial ? 0 : batch->length;
            s.partials += batch->partial ? batch->length : 0;
            for (int64_t i = 0; i < batch->length; i++) { /* key, .slice, rows, sum */
                CHECK_EQ(owner_of(flow_values(batch, 0)[i], d->outbox.target_count), target);
                s.stood_for += batch->partial ? flow_values(batch, 2)[i] : 1;
                s.total += flow_values(batch, batch->partial ? 3 : 1)[i];
            }
            ps_message_clear(&part);
        }
    }
    return s;
}

/* Of all keys, of some, and where memory is refused anywhere. */
static void totals_stand_for_their_rows(void)
{
    static const char *const MODES[] = {"never", "always", "half"};
    enum { ROWS = 2500, KEYS = 37 };
    for (int mode = 0; mode < 3; mode++) {
        CHECK_EQ(setenv("PYSTREAM_PREAGGREGATE", MODES[mode], 1), 0);
        ps_status status = PS_NO_MEMORY;
        for (int64_t n = 1; status != PS_OK; n++) {
            desk d;
            ps_expr *expr;
            int32_t node;
            begin(&d, 3);
            CHECK_OK(ps_expr_create(d.mem, &expr, NULL));
            CHECK_OK(ps_expr_column(expr, "key", &node, NULL));
            CHECK_OK(ps_expr_column(expr, "value", &node, NULL));
            ps_message message = {.kind = PS_MESSAGE_BATCH,
                                  .batch = flow_batch(d.mem, ROWS, 0, KEYS)};
            ps_mem_fail_at(d.mem, n);
            status = send_totals(&d, expr, &message);
            ps_mem_fail_at(d.mem, 0);
            const seen s = take_all(&d);
            if (status == PS_OK) {
                CHECK_EQ(s.stood_for, ROWS);
                CHECK_EQ(s.total, (int64_t)ROWS * (ROWS - 1) / 2);
                CHECK_EQ(ps_stat_get(&d.op->stats.rows_out), ROWS);
                CHECK_EQ(ps_stat_get(&d.op->stats.rows_shipped), s.rows + s.partials);
                CHECK_EQ(s.rows > 0, mode != 1);
                CHECK(mode == 0 ? s.partials == 0 : s.partials > 0 && s.partials <= KEYS);
            } else {
                CHECK_EQ(status, PS_NO_MEMORY);
            }
            ps_message_clear(&message);
            ps_expr_destroy(expr);
            end(&d);
        }
    }
    CHECK_EQ(unsetenv("PYSTREAM_PREAGGREGATE"), 0);
}

/* ---- a hot key and a shard that is behind ---- */

/* Rows of keys that come once, but for every second one, which is key 7. */
static ps_message skewed_rows(ps_mem *mem, int64_t first)
{
    const int64_t rows = PS_BATCH_ROWS_MAX;
    const ps_message message = {.kind = PS_MESSAGE_BATCH,
                                .batch = flow_batch(mem, rows, first + 8, INT64_MAX)};
    int64_t *const keys = (int64_t *)(uintptr_t)flow_values(message.batch, 0);
    for (int64_t i = 0; i < rows; i += 2) {
        keys[i] = 7;
    }
    return message;
}

/* Only while the shard that owns it has enough to do are its rows added up. */
static void a_hot_key_is_added_up_while_its_shard_is_behind(void)
{
    desk d;
    ps_expr *expr;
    int32_t node;
    CHECK_EQ(unsetenv("PYSTREAM_PREAGGREGATE"), 0);
    begin(&d, 2);
    CHECK_OK(ps_expr_create(d.mem, &expr, NULL));
    CHECK_OK(ps_expr_column(expr, "key", &node, NULL));
    CHECK_OK(ps_expr_column(expr, "value", &node, NULL));
    CHECK_OK(add_up(&d, expr, NULL));
    const int32_t owner = owner_of(7, 2);
    for (int32_t round = 0; round < 4; round++) { /* behind: none yet, the other, the owner, none */
        ps_ring ring;
        ps_ring *const old = d.outbox.targets[owner].ring;
        CHECK(old == NULL);
        CHECK_OK(ps_ring_init(&ring, d.mem, 16, 1 << 20, NULL, NULL, NULL));
        ring.row_low = 1;
        ring.rows_pushed = 1; /* as if a batch lay in it */
        const int32_t slow = round == 1 ? 1 - owner : owner;
        if (round == 1 || round == 2) {
            d.outbox.targets[slow].ring = &ring;
        }
        ps_message message = skewed_rows(d.mem, round * PS_BATCH_ROWS_MAX);
        const int64_t shipped = ps_stat_get(&d.op->stats.rows_shipped);
        CHECK_OK(ps_deliver(d.op, &message, NULL));
        const int64_t sent = ps_stat_get(&d.op->stats.rows_shipped) - shipped;
        CHECK_EQ(sent, round == 2 ? PS_BATCH_ROWS_MAX / 2 + 1 : PS_BATCH_ROWS_MAX);
        ps_message_clear(&message);
        d.outbox.targets[slow].ring = NULL;
        ps_ring_fini(&ring);
        (void)take_all(&d);
    }
    CHECK_EQ(ps_stat_get(&d.op->stats.rows_out), 4 * (int64_t)PS_BATCH_ROWS_MAX);
    ps_expr_destroy(expr);
    end(&d);
}

int main(void)
{
    RUN(every_row_goes_once_to_its_owner);
    RUN(a_batch_of_one_owner_travels_whole);
    RUN(without_keys_everything_goes_to_the_one);
    RUN(all_but_batches_go_to_every_target);
    RUN(every_refused_allocation_is_an_error_without_a_leak);
    RUN(a_hot_key_is_added_up_while_its_shard_is_behind);
    RUN(totals_stand_for_their_rows);
    RUN(shards_split_the_key_groups_evenly);
    return 0;
}
