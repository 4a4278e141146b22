/* test_batch.c -- batches share columns, slice and gather them; selections. */
#include "arrow_make.h"

static ps_selection *select_every(ps_mem *mem, int64_t length, int64_t step)
{
    ps_selection *selection = NULL;
    CHECK_OK(ps_selection_create(mem, length / step + 1, &selection, NULL));
    for (int64_t i = 0; i < length; i += step) {
        selection->rows[selection->count++] = (uint32_t)i;
    }
    return selection;
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

static void columns_are_shared_not_copied(void)
{
    ps_mem *mem = make_account();
    ps_batch *mix = make_mix(mem, 20, 0), *batch = NULL;
    ps_schema_builder *builder = NULL;
    ps_schema *schema = NULL;
    CHECK_OK(ps_schema_builder_create(mem, 2, &builder, NULL));
    CHECK_OK(ps_schema_builder_copy(builder, &mix->schema->fields[MIX_VIEW], "v", NULL));
    CHECK_OK(ps_schema_builder_copy(builder, &mix->schema->fields[MIX_I64], "l", NULL));
    CHECK_OK(ps_schema_builder_finish(builder, &schema, NULL));
    CHECK_OK(ps_batch_create(mem, schema, 20, &batch, NULL));
    ps_schema_release(schema);
    ps_batch_set(batch, 0, &mix->columns[MIX_VIEW]);
    ps_batch_set(batch, 1, &mix->columns[MIX_I16]);
    ps_batch_set(batch, 1, &mix->columns[MIX_I64]); /* again: the first is let go */
    CHECK(batch->columns[1].values == mix->columns[MIX_I64].values);
    ps_batch_release(mix);
    char text[64];
    cell_text(&batch->columns[1], 1, text, sizeof(text));
    CHECK_STR(text, "-4");
    ps_batch_retain(batch);
    ps_batch_release(batch);
    ps_batch_release(batch);
    ps_batch_release(NULL);
    check_nothing_left(mem);
}

static void slices_are_views(void)
{
    ps_mem *mem = make_account();
    for (int64_t offset = 0; offset < 3; offset++) {
        ps_batch *mix = make_mix(mem, 50, offset), *slice = NULL, *inner = NULL;
        give_late(mix);
        for (int64_t start = 0; start <= 50; start += 5) {
            for (int64_t length = 0; start + length <= 50; length += 11) {
                CHECK_OK(ps_batch_slice(mix, start, length, &slice, NULL));
                CHECK_EQ(slice->length, length);
                CHECK(slice->columns[MIX_F64].values ==
                      (const double *)mix->columns[MIX_F64].values + start);
                check_batch_rows(mix, NULL, start, slice);
                CHECK(length == 0 || slice->late_watermark[0] == start * 100);
                CHECK_OK(ps_batch_slice(slice, length / 2, length - length / 2, &inner, NULL));
                check_batch_rows(mix, NULL, start + length / 2, inner);
                ps_batch_release(inner);
                ps_batch_release(slice);
            }
        }
        ps_error err;
        CHECK_EQ(ps_batch_slice(mix, 40, 11, &slice, &err), PS_INVALID);
        CHECK_STR(err.text, "11 rows from row 40 on, of a batch of 50 rows");
        CHECK_EQ(ps_batch_slice(mix, -1, 1, &slice, NULL), PS_INVALID);
        CHECK_EQ(ps_batch_slice(mix, INT64_MAX, 1, &slice, NULL), PS_INVALID);
        ps_batch_release(mix);
    }
    check_nothing_left(mem);
}

static void take_gathers_every_column(void)
{
    ps_mem *mem = make_account();
    for (int64_t step = 1; step < 60; step = step * 2 + 1) {
        ps_batch *mix = make_mix(mem, 50, step % 3), *taken = NULL;
        ps_selection *selection = select_every(mem, 50, step);
        give_late(mix);
        CHECK_OK(ps_batch_take(mix, selection, &taken, NULL));
        CHECK_EQ(taken->length, selection->count);
        check_batch_rows(mix, selection->rows, 0, taken);
        for (int64_t i = 0; i < taken->length; i++) {
            CHECK_EQ(taken->late_watermark[i], selection->rows[i] * 100);
        }
        ps_selection_retain(selection);
        ps_selection_release(selection);
        ps_selection_release(selection);
        ps_batch_release(mix);
        ps_batch_release(taken);
    }
    ps_selection_release(NULL);
    ps_selection_retain(NULL);
    check_nothing_left(mem);
}

static void sizes_count_the_rows_of_the_view(void)
{
    ps_mem *mem = make_account();
    ps_batch *mix = make_mix(mem, 40, 0), *half = NULL, *none = NULL;
    const int64_t whole = ps_batch_size_bytes(mix);
    /* two, eight, four, four, eight, eight, three and one byte a row, and more */
    CHECK(whole > 40 * 38 && whole < 40 * 200);
    CHECK_OK(ps_batch_slice(mix, 0, 20, &half, NULL));
    CHECK(ps_batch_size_bytes(half) < whole * 6 / 10 && ps_batch_size_bytes(half) > whole * 4 / 10);
    CHECK_OK(ps_batch_slice(mix, 40, 0, &none, NULL));
    CHECK_EQ(ps_batch_size_bytes(none), 0);
    ps_batch_release(none);
    ps_batch_release(half);
    ps_batch_release(mix);
    check_nothing_left(mem);
}

static void refused_memory_leaks_nothing(void)
{
    ps_mem *mem = make_account();
    ps_batch *mix = make_mix(mem, 30, 0), *taken = NULL;
    ps_selection *selection = select_every(mem, 30, 2);
    give_late(mix);
    const int64_t used = ps_mem_used(mem);
    for (int64_t n = 1; taken == NULL; n++) {
        ps_mem_fail_at(mem, n);
        const ps_status status = ps_batch_take(mix, selection, &taken, NULL);
        CHECK(status == PS_OK || (status == PS_NO_MEMORY && ps_mem_used(mem) == used));
        CHECK(status != PS_OK || n > 40);
    }
    ps_batch_release(taken);
    ps_mem_fail_at(mem, 1);
    CHECK_EQ(ps_batch_slice(mix, 0, 5, &taken, NULL), PS_NO_MEMORY);
    ps_mem_fail_at(mem, 0);
    ps_selection_release(selection);
    ps_batch_release(mix);
    check_nothing_left(mem);
}

int main(void)
{
    RUN(columns_are_shared_not_copied);
    RUN(slices_are_views);
    RUN(take_gathers_every_column);
    RUN(sizes_count_the_rows_of_the_view);
    RUN(refused_memory_leaks_nothing);
    return 0;
}
