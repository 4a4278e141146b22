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

int main(void)
{
    RUN(chunks_become_one_batch);
    RUN(an_empty_batch_is_a_batch);
    RUN(a_batch_outlives_its_builder_and_schema);
    RUN(refused_memory_leaks_nothing);
    return 0;
}
