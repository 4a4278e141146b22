/* test_deal.c -- dealt batches hold each target's rows in order, cell for cell. */
#include "arrow_make.h"
#include "operators/deal.h"
#include "random.h"
#include "simd/dispatch.h"

enum { ROWS = 2500, TARGETS_MOST = 40, FIXED = MIX_TEXT };

static const bool ONLY_FIXED[] = {true,  true,  true,  true,  true,  true,  true, false,
                                  false, false, false, false, false, false, false};

typedef struct hand {
    ps_mem *mem;
    ps_batch *batch;
    ps_selection *selection;
    int32_t target_count;
    uint16_t targets[ROWS];
    int64_t counts[TARGETS_MOST + 1];
} hand;

static ps_deal deal_of(const hand *h)
{
    return (ps_deal){.batch = h->batch,
                     .selection = h->selection,
                     .wanted = ONLY_FIXED,
                     .targets = h->targets,
                     .target_count = h->target_count,
                     .counts = h->counts};
}

static void give_late(ps_batch *batch)
{
    ps_block *block = ps_block_create(batch->mem, (size_t)batch->length * 8);
    CHECK(block != NULL);
    for (int64_t i = 0; i < batch->length; i++) {
        ((int64_t *)(void *)block->data)[i] = i * 100;
    }
    batch->late_watermark = (const int64_t *)(const void *)block->data;
    batch->late_owner = &block->owner;
}

/* selected: two of three rows, else all. */
static void begin(hand *h, int64_t rows, int64_t offset, bool selected, int32_t target_count)
{
    *h = (hand){.mem = make_account(), .target_count = target_count};
    h->batch = make_mix(h->mem, rows, offset);
    h->batch->has_times = true;
    h->batch->time_low = -3;
    h->batch->time_high = 11;
    int64_t count = rows;
    if (selected) {
        CHECK_OK(ps_selection_create(h->mem, rows, &h->selection, NULL));
        for (uint32_t i = 0; i < rows; i++) {
            h->selection->rows[h->selection->count] = i;
            h->selection->count += i % 3 != 0;
        }
        count = h->selection->count;
    }
    rng r = {(uint64_t)(rows + offset)};
    for (int64_t i = 0; i < count; i++) {
        h->targets[i] = (uint16_t)rng_below(&r, (uint64_t)target_count + 1);
        h->counts[h->targets[i]]++;
    }
}

static void end(hand *h)
{
    ps_selection_release(h->selection);
    ps_batch_release(h->batch);
    check_nothing_left(h->mem);
}

static void check_part(const hand *h, const ps_batch *part, const ps_selection *rows)
{
    char want[256], got[256];
    CHECK_EQ(part->length, rows->count);
    CHECK(part->has_times && part->time_low == -3 && part->time_high == 11);
    for (int32_t c = 0; c < FIXED; c++) {
        for (int64_t i = 0; i < part->length; i++) {
            cell_text(&h->batch->columns[c], rows->rows[i], want, sizeof want);
            cell_text(&part->columns[c], i, got, sizeof got);
            CHECK_STR(got, want);
        }
    }
    for (int32_t c = FIXED; c < part->column_count; c++) {
        CHECK(part->columns[c].owner == NULL);
    }
    for (int64_t i = 0; h->batch->late_watermark != NULL && i < part->length; i++) {
        CHECK_EQ(part->late_watermark[i], (int64_t)rows->rows[i] * 100);
    }
}

static void deal_all(const hand *h)
{
    const ps_deal deal = deal_of(h);
    bool seen[ROWS] = {false};
    ps_deal_part dense[TARGETS_MOST], shared[TARGETS_MOST];
    CHECK_OK(ps_deal_out(&deal, true, dense, NULL));
    CHECK_OK(ps_deal_out(&deal, false, shared, NULL));
    for (int32_t target = 0; target < h->target_count; target++) {
        const ps_selection *rows = shared[target].selection;
        CHECK(dense[target].selection == NULL);
        CHECK_EQ(rows == NULL, h->counts[target] == 0);
        CHECK_EQ(dense[target].batch == NULL, h->counts[target] == 0);
        CHECK(shared[target].batch == (rows == NULL ? NULL : h->batch));
        if (rows == NULL) {
            continue;
        }
        CHECK_EQ(rows->count, h->counts[target]);
        for (int64_t i = 0; i < rows->count; i++) {
            const uint32_t *row = &rows->rows[i];
            CHECK(!seen[*row] && (i == 0 || *row > row[-1]));
            seen[*row] = true;
        }
        check_part(h, dense[target].batch, rows);
        ps_deal_part_release(&dense[target]);
        ps_deal_part_release(&shared[target]);
    }
    ps_selection *rest = NULL;
    CHECK_OK(ps_deal_nobodys(&deal, &rest, NULL));
    CHECK_EQ(rest->count, h->counts[h->target_count]);
    for (int64_t i = 0; i < rest->count; i++) {
        CHECK(!seen[rest->rows[i]]);
        seen[rest->rows[i]] = true;
    }
    ps_selection_release(rest);
}

static void deal_and_check(int64_t rows, int64_t offset, bool selected, int32_t target_count)
{
    hand h;
    begin(&h, rows, offset, selected, target_count);
    if (offset == 1) {
        give_late(h.batch);
    }
    deal_all(&h);
    end(&h);
}

static void every_cell_arrives_at_every_level(void)
{
    static const int64_t lengths[] = {1, 7, 64, 1023, 1024, 1025, ROWS};
    for (int32_t level = 0; level < ps_simd_level_count(); level++) {
        CHECK_OK(ps_simd_force(ps_simd_level_name(level), NULL));
        for (size_t i = 0; i < sizeof(lengths) / sizeof(*lengths); i++) {
            for (int64_t offset = 0; offset < 3; offset++) {
                for (int selected = 0; selected < 2; selected++) {
                    deal_and_check(lengths[i], offset, selected != 0, 3);
                    deal_and_check(lengths[i], offset, selected != 0, TARGETS_MOST);
                }
            }
        }
    }
}

static void strings_and_nested_columns_do_not_fit(void)
{
    hand h;
    begin(&h, 20, 0, false, 3);
    CHECK(ps_deal_fits(h.batch, ONLY_FIXED));
    CHECK(!ps_deal_fits(h.batch, NULL));
    for (int32_t c = FIXED; c < h.batch->column_count; c++) {
        bool wanted[sizeof(ONLY_FIXED)];
        memcpy(wanted, ONLY_FIXED, sizeof wanted);
        wanted[c] = true;
        CHECK(!ps_deal_fits(h.batch, wanted));
    }
    end(&h);
}

static void refused_memory_leaks_nothing(void)
{
    hand h;
    begin(&h, 300, 0, false, 3);
    const ps_deal deal = deal_of(&h);
    const int64_t used = ps_mem_used(h.mem);
    for (int dense = 0; dense < 2; dense++) {
        for (int64_t nth = 1;; nth++) {
            ps_deal_part parts[TARGETS_MOST];
            ps_mem_fail_at(h.mem, nth);
            const ps_status status = ps_deal_out(&deal, dense != 0, parts, NULL);
            ps_mem_fail_at(h.mem, 0);
            for (int32_t t = 0; status == PS_OK && t < h.target_count; t++) {
                ps_deal_part_release(&parts[t]);
            }
            CHECK_EQ(ps_mem_used(h.mem), used);
            if (status == PS_OK) {
                CHECK(nth > 2);
                break;
            }
            CHECK_EQ(status, PS_NO_MEMORY);
        }
    }
    end(&h);
}

int main(void)
{
    RUN(every_cell_arrives_at_every_level);
    RUN(strings_and_nested_columns_do_not_fit);
    RUN(refused_memory_leaks_nothing);
    return 0;
}
