/* test_partition.c -- every row goes once, in order, to the partition that owns its key; refusals
 * and refused memory leave nothing behind. */
#include "operators/partition.h"

#include "check.h"
#include "flow.h"
#include "state/key_hash.h"

static int32_t owner_of(int64_t key, int32_t count)
{
    const ps_vector vector = {.kind = PS_CLASS_I64, .values = &key};
    uint64_t hash;
    ps_key_hash(&vector, 1, 1, &hash);
    return ps_shard_of_group(ps_key_group(hash), count);
}

static const int32_t key_column = 0;

static void every_row_goes_once_to_its_owner(void)
{
    const int32_t counts[] = {1, 2, 3, 8, 1000};
    for (int c = 0; c < 5; c++) {
        ps_mem *const mem = flow_begin();
        const int64_t rows = 2500;
        ps_batch *const batch = flow_batch(mem, rows, 0, 37);
        ps_batch **const parts = calloc(1000, sizeof(*parts));
        CHECK_OK(ps_batch_partition(batch, &key_column, 1, counts[c], parts, NULL));
        int64_t seen = 0;
        for (int32_t p = 0; p < counts[c]; p++) {
            if (parts[p] == NULL) {
                continue;
            }
            CHECK(parts[p]->length > 0);
            int64_t last = -1;
            for (int64_t i = 0; i < parts[p]->length; i++) {
                CHECK_EQ(owner_of(flow_values(parts[p], 0)[i], counts[c]), p);
                const int64_t value = flow_values(parts[p], 1)[i];
                CHECK(value > last);
                last = value;
            }
            seen += parts[p]->length;
            ps_batch_release(parts[p]);
        }
        CHECK_EQ(seen, rows);
        free(parts);
        ps_batch_release(batch);
        flow_end(mem);
    }
}

static void a_batch_of_one_way_is_not_copied(void)
{
    ps_mem *const mem = flow_begin();
    ps_batch *const batch = flow_batch(mem, 100, 0, 1);
    ps_batch *parts[4];
    CHECK_OK(ps_batch_partition(batch, &key_column, 1, 4, parts, NULL));
    CHECK(parts[owner_of(0, 4)] == batch);
    ps_batch_release(parts[owner_of(0, 4)]);
    ps_batch_release(batch);
    flow_end(mem);
}

static void no_rows_go_nowhere(void)
{
    ps_mem *const mem = flow_begin();
    ps_batch *const batch = flow_batch(mem, 0, 0, 1);
    ps_batch *parts[2];
    CHECK_OK(ps_batch_partition(batch, &key_column, 1, 2, parts, NULL));
    CHECK(parts[0] == NULL && parts[1] == NULL);
    ps_batch_release(batch);
    flow_end(mem);
}

static void refused_memory_leaves_nothing(void)
{
    ps_mem *const mem = flow_begin();
    ps_batch *const batch = flow_batch(mem, 300, 0, 37);
    ps_batch *parts[3];
    ps_status status = PS_NO_MEMORY;
    for (int64_t nth = 1; status != PS_OK; nth++) {
        const int64_t before = ps_mem_used(mem);
        ps_mem_fail_at(mem, nth);
        status = ps_batch_partition(batch, &key_column, 1, 3, parts, NULL);
        if (status != PS_OK) {
            CHECK(parts[0] == NULL && parts[1] == NULL && parts[2] == NULL);
            CHECK_EQ(ps_mem_used(mem), before);
        }
    }
    ps_mem_fail_at(mem, 0);
    for (int p = 0; p < 3; p++) {
        ps_batch_release(parts[p]);
    }
    ps_batch_release(batch);
    flow_end(mem);
}

int main(void)
{
    RUN(every_row_goes_once_to_its_owner);
    RUN(a_batch_of_one_way_is_not_copied);
    RUN(no_rows_go_nowhere);
    RUN(refused_memory_leaves_nothing);
    return 0;
}
