/* test_batch_builder.c -- columns filled by chunks leave as one batch; refusals leave nothing. */
#include "arrow/batch_builder.h"

#include "check.h"

#define ROWS 3000

static ps_mem *mem;
static ps_schema *schema;

static void begin(void)
{
    static const ps_type NUMBER = {.id = PS_TYPE_INT32, .width = 4}, TEXT = {.id = PS_TYPE_UTF8};
    ps_schema_builder *builder = NULL;
    CHECK_OK(ps_mem_create(0, &mem, NULL));
    CHECK_OK(ps_schema_builder_create(mem, 2, &builder, NULL));
    CHECK_OK(ps_schema_builder_add(builder, "number", &NUMBER, NULL, true, NULL));
    CHECK_OK(ps_schema_builder_add(builder, "text", &TEXT, NULL, false, NULL));
    CHECK_OK(ps_schema_builder_finish(builder, &schema, NULL));
}

static void end(void)
{
    ps_schema_release(schema);
    CHECK_EQ(ps_mem_used(mem), 0);
    ps_mem_release(mem);
}

/* Row i is (i * 3, "i"), with a null number every fifth row. */
static ps_status fill(ps_batch_builder *builder, int64_t rows, int64_t chunk, ps_error *err)
{
    int64_t numbers[PS_CHUNK_ROWS];
    uint8_t valid[PS_CHUNK_ROWS];
    char texts[PS_CHUNK_ROWS][24];
    ps_string strings[PS_CHUNK_ROWS];
    for (int64_t at = 0; at < rows; at += chunk) {
        const int64_t count = ps_min_i64(chunk, rows - at);
        for (int64_t i = 0; i < count; i++) {
            numbers[i] = (at + i) * 3;
            valid[i] = (at + i) % 5 != 0;
            const int size = snprintf(texts[i], 24, "%" PRId64, at + i);
            strings[i] = (ps_string){.data = texts[i], .size_bytes = size};
        }
        const ps_vector number = {.kind = PS_CLASS_I64, .values = numbers, .valid = valid};
        const ps_vector text = {.kind = PS_CLASS_STR, .values = strings};
        PS_TRY(ps_batch_builder_append(builder, 0, &number, count, err));
        PS_TRY(ps_batch_builder_append(builder, 1, &text, count, err));
        ps_batch_builder_advance(builder, count);
    }
    return PS_OK;
}

static void check_batch(const ps_batch *batch, int64_t rows)
{
    CHECK_EQ(batch->length, rows);
    CHECK(batch->schema == schema);
    CHECK_EQ(batch->column_count, 2);
    for (int64_t i = 0; i < rows; i++) {
        char want[24];
        snprintf(want, sizeof want, "%" PRId64, i);
        const ps_string text = ps_column_string(&batch->columns[1], i);
        CHECK_EQ(ps_column_is_valid(&batch->columns[0], i), i % 5 != 0);
        CHECK(i % 5 == 0 || ((const int32_t *)batch->columns[0].values)[i] == i * 3);
        CHECK_EQ(text.size_bytes, (int64_t)strlen(want));
        CHECK(memcmp(text.data, want, strlen(want)) == 0);
    }
}

static void chunks_become_one_batch(void)
{
    begin();
    for (int64_t chunk = 1; chunk <= PS_CHUNK_ROWS; chunk = chunk * 3 + 1) {
        ps_batch_builder *builder = NULL;
        ps_batch *batch = NULL;
        CHECK_OK(ps_batch_builder_create(mem, schema, ROWS + 50, &builder, NULL));
        CHECK_OK(fill(builder, ROWS, chunk, NULL)); /* less than the capacity */
        CHECK_OK(ps_batch_builder_finish(builder, &batch, NULL));
        check_batch(batch, ROWS);
        ps_batch_release(batch);
    }
    end();
}

static void an_empty_batch_is_a_batch(void)
{
    begin();
    ps_batch_builder *builder = NULL;
    ps_batch *batch = NULL;
    CHECK_OK(ps_batch_builder_create(mem, schema, 0, &builder, NULL));
    CHECK_OK(ps_batch_builder_finish(builder, &batch, NULL));
    check_batch(batch, 0);
    ps_batch_release(batch);
    CHECK_OK(ps_batch_builder_create(mem, schema, 10, &builder, NULL));
    ps_batch_builder_destroy(builder); /* given up */
    ps_batch_builder_destroy(NULL);
    end();
}

static void a_batch_outlives_its_builder_and_schema(void)
{
    begin();
    ps_batch_builder *builder = NULL;
    ps_batch *batch = NULL;
    CHECK_OK(ps_batch_builder_create(mem, schema, 20, &builder, NULL));
    CHECK_OK(fill(builder, 20, 20, NULL));
    CHECK_OK(ps_batch_builder_finish(builder, &batch, NULL));
    ps_schema_release(schema);
    check_batch(batch, 20);
    ps_batch_release(batch);
    CHECK_EQ(ps_mem_used(mem), 0);
    ps_mem_release(mem);
}

static void refused_memory_leaks_nothing(void)
{
    ps_status status = PS_NO_MEMORY;
    for (int64_t n = 1; status != PS_OK; n++) {
        begin();
        ps_batch_builder *builder = NULL;
        ps_batch *batch = NULL;
        ps_mem_fail_at(mem, n);
        status = ps_batch_builder_create(mem, schema, 2000, &builder, NULL);
        if (status == PS_OK) {
            status = fill(builder, 2000, 700, NULL);
            if (status == PS_OK) {
                status = ps_batch_builder_finish(builder, &batch, NULL);
            } else {
                ps_batch_builder_destroy(builder);
            }
        }
        CHECK(status == PS_OK || status == PS_NO_MEMORY);
        CHECK(n > 5 || status != PS_OK);
        ps_batch_release(batch);
        end();
    }
}

/* ---- room ---- */

static void a_batch_has_room_for_so_many_bytes(void)
{
    enum { WIDE = 3 << 20 };
    static char bytes[WIDE];
    begin();
    ps_batch_builder *builder = NULL;
    const int64_t number = 1;
    const ps_string text = {.data = bytes, .size_bytes = WIDE};
    const ps_vector columns[] = {{.kind = PS_CLASS_I64, .values = &number},
                                 {.kind = PS_CLASS_STR, .values = &text}};
    CHECK_OK(ps_batch_builder_create(mem, schema, 100, &builder, NULL));
    CHECK(builder->has_texts);
    const int64_t row = builder->row_bytes;
    CHECK_EQ(row, 4 + (int64_t)sizeof(ps_string));
    const int64_t huge[] = {PS_BATCH_BYTES_MAX + 1, 0}, some[] = {WIDE, WIDE, WIDE - 2 * row, 0};
    CHECK_EQ(ps_batch_builder_fit(builder, huge, 2), 1); /* the first, whatever it is */
    CHECK_EQ(ps_batch_builder_fit(builder, some, 4), 2);
    CHECK_EQ(ps_batch_builder_fit(builder, some, 1), 1);
    for (int32_t c = 0; c < 2; c++) {
        CHECK_OK(ps_batch_builder_append(builder, c, &columns[c], 1, NULL));
    }
    ps_batch_builder_advance(builder, 1);
    CHECK_EQ(ps_batch_builder_fit(builder, some, 4), 1);
    CHECK_EQ(ps_batch_builder_fit(builder, huge, 2), 0);
    const int64_t exact[] = {PS_BATCH_BYTES_MAX - WIDE - 2 * row, 0};
    CHECK_EQ(ps_batch_builder_fit(builder, exact, 2), 1);
    const int64_t small[] = {PS_BATCH_BYTES_MAX - WIDE - 3 * row, 0};
    CHECK_EQ(ps_batch_builder_fit(builder, small, 2), 2);
    int64_t none[200] = {0};
    CHECK_EQ(ps_batch_builder_fit(builder, none, 200), 99); /* the capacity */
    CHECK_EQ(ps_batch_builder_fit(builder, NULL, 200), 99);
    CHECK_EQ(ps_batch_builder_room(builder), PS_BATCH_BYTES_MAX - WIDE - row);
    ps_batch_builder_destroy(builder);
    end();
}

static void a_batch_of_numbers_is_bounded_by_its_capacity(void)
{
    enum { FIELDS = 3000 };
    static const ps_type NUMBER = {.id = PS_TYPE_INT64, .width = 8};
    begin();
    ps_schema_builder *fields = NULL;
    ps_schema *wide = NULL;
    ps_batch_builder *builder = NULL;
    CHECK_OK(ps_schema_builder_create(mem, FIELDS, &fields, NULL));
    for (int i = 0; i < FIELDS; i++) {
        char name[16];
        snprintf(name, sizeof name, "n%d", i);
        CHECK_OK(ps_schema_builder_add(fields, name, &NUMBER, NULL, false, NULL));
    }
    CHECK_OK(ps_schema_builder_finish(fields, &wide, NULL));
    const int64_t most = PS_BATCH_BYTES_MAX / (8 * FIELDS);
    CHECK_EQ(ps_batch_builder_rows(wide, 65536), most);
    CHECK_EQ(ps_batch_builder_rows(wide, 20), 20);
    CHECK_EQ(ps_batch_builder_rows(wide, 0), 1);
    CHECK_OK(ps_batch_builder_create(mem, wide, most, &builder, NULL));
    CHECK(!builder->has_texts);
    CHECK_EQ(ps_batch_builder_fit(builder, NULL, 65536), most);
    CHECK_EQ(ps_batch_builder_fit(builder, NULL, 7), 7);
    ps_batch_builder_destroy(builder);
    ps_schema_release(wide);
    end();
}

/* ---- constants ---- */

static ps_batch *constant_batch(ps_schema *times, ps_constant *cache, const int64_t *values,
                                const int64_t *counts, int64_t parts, ps_error *err)
{
    ps_batch_builder *builder = NULL;
    ps_batch *batch = NULL;
    if (ps_batch_builder_create(mem, times, ROWS, &builder, err) != PS_OK) {
        return NULL;
    }
    for (int64_t i = 0; i < parts; i++) {
        if (ps_batch_builder_append_constant(builder, 0, values[i], counts[i], cache, err) !=
            PS_OK) {
            ps_batch_builder_destroy(builder);
            return NULL;
        }
        ps_batch_builder_advance(builder, counts[i]);
    }
    return ps_batch_builder_finish(builder, &batch, err) == PS_OK ? batch : NULL;
}

static void check_constants(const ps_batch *batch, const int64_t *values, const int64_t *counts,
                            int64_t parts)
{
    int64_t row = 0;
    for (int64_t i = 0; i < parts; i++) {
        for (int64_t k = 0; k < counts[i]; k++, row++) {
            CHECK_EQ(((const int64_t *)batch->columns[0].values)[row], values[i]);
        }
    }
    CHECK_EQ(batch->length, row);
    CHECK_EQ(batch->columns[0].length, row);
}

static ps_schema *one_time_column(void)
{
    static const ps_type TIME = {.id = PS_TYPE_TIMESTAMP, .width = 8, .unit = PS_UNIT_US};
    ps_schema_builder *builder = NULL;
    ps_schema *times = NULL;
    CHECK_OK(ps_schema_builder_create(mem, 1, &builder, NULL));
    CHECK_OK(ps_schema_builder_add(builder, "time", &TIME, NULL, false, NULL));
    CHECK_OK(ps_schema_builder_finish(builder, &times, NULL));
    return times;
}

static void batches_of_one_constant_share_its_block(void)
{
    begin();
    ps_schema *times = one_time_column();
    ps_constant cache = {0};
    static const int64_t SAME[] = {7, 7, 7}, OTHER[] = {7, 8, 8}, COUNTS[] = {5, 1000, 1024};
    ps_batch *first = constant_batch(times, &cache, SAME, COUNTS, 3, NULL);
    ps_batch *second = constant_batch(times, &cache, SAME, COUNTS, 2, NULL);
    ps_batch *mixed = constant_batch(times, &cache, OTHER, COUNTS, 3, NULL);
    ps_batch *moved = constant_batch(times, &cache, OTHER + 1, COUNTS, 2, NULL);
    ps_batch *alone = constant_batch(times, NULL, SAME, COUNTS, 3, NULL);
    check_constants(first, SAME, COUNTS, 3);
    check_constants(second, SAME, COUNTS, 2);
    check_constants(mixed, OTHER, COUNTS, 3);
    check_constants(moved, OTHER + 1, COUNTS, 2);
    check_constants(alone, SAME, COUNTS, 3);
    CHECK(first->columns[0].values == second->columns[0].values);
    CHECK(first->columns[0].values != moved->columns[0].values);
    CHECK(first->columns[0].values != alone->columns[0].values);
    ps_constant_fini(&cache);
    check_constants(second, SAME, COUNTS, 2); /* batches keep the block */
    ps_batch *all[] = {first, second, mixed, moved, alone};
    for (int32_t i = 0; i < 5; i++) {
        ps_batch_release(all[i]);
    }
    ps_schema_release(times);
    end();
}

static void refused_constants_leak_nothing(void)
{
    begin();
    ps_schema *times = one_time_column();
    static const int64_t VALUES[] = {7, 7, 8}, COUNTS[] = {5, 1000, 24};
    for (int64_t parts = 2; parts <= 3; parts++) {
        ps_batch *batch = NULL;
        for (int64_t nth = 1; batch == NULL; nth++) {
            ps_constant cache = {0};
            const int64_t before = ps_mem_used(mem);
            ps_mem_fail_at(mem, nth);
            batch = constant_batch(times, &cache, VALUES, COUNTS, parts, NULL);
            ps_mem_fail_at(mem, 0);
            ps_constant_fini(&cache);
            CHECK(batch != NULL || ps_mem_used(mem) == before);
        }
        check_constants(batch, VALUES, COUNTS, parts);
        ps_batch_release(batch);
    }
    ps_schema_release(times);
    end();
}

int main(void)
{
    RUN(batches_of_one_constant_share_its_block);
    RUN(refused_constants_leak_nothing);
    RUN(chunks_become_one_batch);
    RUN(an_empty_batch_is_a_batch);
    RUN(a_batch_has_room_for_so_many_bytes);
    RUN(a_batch_of_numbers_is_bounded_by_its_capacity);
    RUN(a_batch_outlives_its_builder_and_schema);
    RUN(refused_memory_leaks_nothing);
    return 0;
}
