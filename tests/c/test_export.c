/* test_export.c -- batches leave without a copy; what left lives as long as any of it is held. */
#include "arrow_make.h"

#include <pthread.h>

static void export_shows_the_original_buffers(void)
{
    ps_mem *mem = make_account();
    for (int64_t offset = 0; offset < 3; offset++) {
        ps_batch *batch = make_mix(mem, 20, offset), *part = NULL;
        CHECK_OK(ps_batch_slice(batch, 3, 10, &part, NULL));
        ArrowArray out;
        CHECK_OK(ps_batch_export(part, &out, NULL));
        CHECK_EQ(out.length, 10);
        CHECK_EQ(out.offset, 0);
        CHECK_EQ(out.n_children, MIX_COUNT);
        for (int i = 0; i < MIX_COUNT; i++) {
            const ArrowArray *before = batch->columns[i].array, *after = out.children[i];
            CHECK_EQ(after->length, 10);
            CHECK_EQ(after->n_buffers, before->n_buffers);
            CHECK_EQ(after->offset, before->offset + offset + 3);
            for (int64_t k = 0; k < before->n_buffers; k++) {
                CHECK(after->buffers[k] == before->buffers[k]);
            }
        }
        ps_batch_release(batch);
        ps_batch_release(part);
        CHECK(made_live > 0);
        out.release(&out);
        CHECK(out.release == NULL);
        CHECK_EQ(made_live, 0);
    }
    check_nothing_left(mem);
}

static void what_goes_out_comes_back_the_same(void)
{
    ps_mem *mem = make_account();
    for (int64_t rows = 0; rows < 40; rows += 13) {
        ps_batch *batch = make_mix(mem, rows, rows % 2), *again = NULL;
        ArrowArray out;
        CHECK_OK(ps_batch_export(batch, &out, NULL));
        CHECK_OK(ps_batch_import(mem, batch->schema, &out, NULL, &again, NULL));
        CHECK_EQ(again->length, rows);
        check_batch_rows(batch, NULL, 0, again);
        ps_batch_release(batch);
        ps_batch_release(again);
    }
    check_nothing_left(mem);
}

static void a_moved_child_outlives_its_parent(void)
{
    ps_mem *mem = make_account();
    ps_batch *batch = make_mix(mem, 20, 0);
    ArrowArray out;
    CHECK_OK(ps_batch_export(batch, &out, NULL));
    ps_batch_release(batch);
    ArrowArray list = *out.children[MIX_LIST], dict = *out.children[MIX_DICT];
    out.children[MIX_LIST]->release = NULL;
    out.children[MIX_DICT]->release = NULL;
    out.release(&out);
    ArrowArray item = *list.children[0];
    list.children[0]->release = NULL;
    list.release(&list);
    CHECK_EQ(((const int32_t *)item.buffers[1])[item.offset + 2], 20);
    CHECK_EQ(((const char *)dict.dictionary->buffers[2])[0], 'o');
    CHECK(made_live > 0);
    item.release(&item);
    CHECK(made_live > 0);
    dict.release(&dict);
    check_nothing_left(mem);
}

/* A column put together by hand, whose bitmap begins elsewhere than its values. */
static void bitmaps_are_aligned_by_a_copy(void)
{
    ps_mem *mem = make_account();
    ps_batch *mix = make_mix(mem, 30, 0), *batch = NULL, *again = NULL;
    CHECK_OK(ps_batch_create(mem, mix->schema, 20, &batch, NULL));
    for (int32_t i = 0; i < MIX_COUNT; i++) {
        ps_column column;
        ps_column_slice(&mix->columns[i], 4, 20, &column);
        if (i < MIX_DICT) {
            column.validity_bit -= 3;
            column.null_count = -1;
        }
        if (i == MIX_BOOL) {
            column.values_bit -= 1;
        }
        ps_batch_set(batch, i, &column);
    }
    ArrowArray out;
    CHECK_OK(ps_batch_export(batch, &out, NULL));
    CHECK_OK(ps_batch_import(mem, batch->schema, &out, NULL, &again, NULL));
    check_batch_rows(batch, NULL, 0, again);
    ps_batch_release(mix);
    ps_batch_release(batch);
    ps_batch_release(again);
    check_nothing_left(mem);
}

static void a_column_left_out_is_named(void)
{
    ps_mem *mem = make_account();
    ps_batch *mix = make_mix(mem, 5, 0), *batch = NULL;
    CHECK_OK(ps_batch_create(mem, mix->schema, 5, &batch, NULL));
    ArrowArray out;
    ps_error err;
    CHECK_EQ(ps_batch_export(batch, &out, &err), PS_INVALID);
    CHECK_STR(err.text, "column 'bool' was left out when the batch came in");
    ps_batch_release(mix);
    ps_batch_release(batch);
    check_nothing_left(mem);
}

static void *release_child(void *child)
{
    ArrowArray *array = child;
    array->release(array);
    return NULL;
}

static void children_may_go_on_any_thread(void)
{
    ps_mem *mem = make_account();
    for (int round = 0; round < 20; round++) {
        ps_batch *batch = make_mix(mem, 20, 0);
        ArrowArray out;
        CHECK_OK(ps_batch_export(batch, &out, NULL));
        pthread_t threads[4];
        ArrowArray moved[4];
        for (int i = 0; i < 4; i++) {
            moved[i] = *out.children[i + MIX_FIXED];
            out.children[i + MIX_FIXED]->release = NULL;
            CHECK_EQ(pthread_create(&threads[i], NULL, release_child, &moved[i]), 0);
        }
        out.release(&out);
        ps_batch_release(batch);
        for (int i = 0; i < 4; i++) {
            pthread_join(threads[i], NULL);
        }
        CHECK_EQ(made_live, 0);
    }
    check_nothing_left(mem);
}

static void refused_memory_leaks_nothing(void)
{
    ps_mem *mem = make_account();
    ps_batch *batch = make_mix(mem, 10, 0);
    const int64_t before = ps_mem_used(mem);
    ArrowArray out;
    ps_mem_fail_at(mem, 1);
    CHECK_EQ(ps_batch_export(batch, &out, NULL), PS_NO_MEMORY);
    CHECK_EQ(ps_mem_used(mem), before);
    ps_batch_release(batch);
    check_nothing_left(mem);
}

int main(void)
{
    RUN(export_shows_the_original_buffers);
    RUN(what_goes_out_comes_back_the_same);
    RUN(a_moved_child_outlives_its_parent);
    RUN(bitmaps_are_aligned_by_a_copy);
    RUN(a_column_left_out_is_named);
    RUN(children_may_go_on_any_thread);
    RUN(refused_memory_leaks_nothing);
    return 0;
}
