/* test_key_hash.c -- equal keys hash equally however they are stored; groups are used evenly. */
#include "state/key_hash.h"

#include <math.h>

#include "check.h"
#include "operators/op.h"
#include "random.h"

static uint64_t hash_one(ps_class kind, const void *value)
{
    const ps_vector key = {.kind = kind, .values = value};
    uint64_t hash = 0;
    ps_key_hash(&key, 1, 1, &hash);
    return hash;
}

static uint64_t hash_f64(double value)
{
    return hash_one(PS_CLASS_F64, &value);
}

static void equal_floats_hash_equally(void)
{
    uint64_t other_nan = UINT64_C(0xfff8000000000123);
    double nan2;
    memcpy(&nan2, &other_nan, sizeof nan2);
    CHECK(hash_f64(0.0) == hash_f64(-0.0));
    CHECK(hash_f64(NAN) == hash_f64(nan2));
    CHECK(hash_f64(NAN) != hash_f64(0.0));
    CHECK(hash_f64(INFINITY) != hash_f64(-INFINITY));
    CHECK(hash_f64(1.0) != hash_f64(-1.0));
}

/* A column of that type holding the number, loaded the way the engine does. */
static uint64_t hash_stored(ps_type_id id, int32_t width, const void *value)
{
    const ps_column column = {
        .type = {.id = (uint8_t)id, .width = width}, .length = 1, .values = value};
    ps_vector_scratch *scratch = malloc(sizeof *scratch);
    ps_vector vector;
    uint64_t hash = 0;
    ps_vector_load(&column, NULL, 0, 1, scratch, &vector);
    ps_key_hash(&vector, 1, 1, &hash);
    free(scratch);
    return hash;
}

static void width_does_not_matter(void)
{
    const int8_t i8 = -5;
    const int16_t i16 = -5;
    const int32_t i32 = -5;
    const int64_t i64 = -5;
    const uint64_t want = hash_one(PS_CLASS_I64, &i64);
    CHECK(hash_stored(PS_TYPE_INT8, 1, &i8) == want);
    CHECK(hash_stored(PS_TYPE_INT16, 2, &i16) == want);
    CHECK(hash_stored(PS_TYPE_INT32, 4, &i32) == want);
    CHECK(hash_stored(PS_TYPE_INT64, 8, &i64) == want);
    const uint8_t u8 = 200;
    const uint64_t u64 = 200;
    CHECK(hash_stored(PS_TYPE_UINT8, 1, &u8) == hash_one(PS_CLASS_U64, &u64));
    CHECK(hash_one(PS_CLASS_I64, &u64) == hash_one(PS_CLASS_U64, &u64));
    const float f32 = 0.5f;
    CHECK(hash_stored(PS_TYPE_FLOAT32, 4, &f32) == hash_f64(0.5));
}

static void encoding_does_not_matter(void)
{
    static const char bytes[] = "northsouth";
    const int32_t offsets[] = {0, 5, 10};
    const int64_t large_offsets[] = {0, 5, 10};
    const int8_t indices[] = {1, 0, 1};
    const ps_column plain = {
        .type = {.id = PS_TYPE_UTF8}, .length = 2, .values = bytes, .offsets = offsets};
    const ps_column large = {
        .type = {.id = PS_TYPE_LARGE_UTF8}, .length = 2, .values = bytes, .offsets = large_offsets};
    const ps_column dictionary = {.type = {.id = PS_TYPE_UTF8, .index = PS_TYPE_INT8, .width = 1},
                                  .length = 3,
                                  .values = indices,
                                  .dictionary = &plain};
    const ps_column *const columns[] = {&plain, &large, &dictionary};
    ps_vector_scratch *scratch = malloc(sizeof *scratch);
    ps_vector vector;
    uint64_t hashes[3][3];
    for (int i = 0; i < 3; i++) {
        ps_vector_load(columns[i], NULL, 0, columns[i]->length, scratch, &vector);
        ps_key_hash(&vector, 1, columns[i]->length, hashes[i]);
    }
    CHECK(hashes[0][0] == hashes[1][0] && hashes[0][1] == hashes[1][1]);
    CHECK(hashes[2][0] == hashes[0][1] && hashes[2][1] == hashes[0][0]);
    CHECK(hashes[2][2] == hashes[2][0]);
    CHECK(hashes[0][0] != hashes[0][1]);
    free(scratch);
}

static void null_is_a_value_and_its_bytes_are_not(void)
{
    const int64_t values[] = {0, 0, 7, 0};
    const uint8_t valid[] = {1, 0, 0, 1};
    const ps_vector key = {.kind = PS_CLASS_I64, .values = values, .valid = valid};
    uint64_t hashes[4];
    ps_key_hash(&key, 1, 4, hashes);
    CHECK(hashes[0] == hashes[3]);
    CHECK(hashes[1] == hashes[2]); /* whatever lies under a null */
    CHECK(hashes[0] != hashes[1]);
}

static void columns_count_in_order(void)
{
    const int64_t a[] = {1, 2}, b[] = {2, 1};
    const ps_vector keys[] = {{.kind = PS_CLASS_I64, .values = a},
                              {.kind = PS_CLASS_I64, .values = b}};
    uint64_t hashes[2], single[2];
    ps_key_hash(keys, 2, 2, hashes);
    ps_key_hash(keys, 1, 2, single);
    CHECK(hashes[0] != hashes[1]);
    CHECK(hashes[0] != single[0]);
}

/* Chi-square of 1024 groups: 1023 degrees of freedom, mean 1023, deviation 45. */
static void check_even(const int64_t *counts, int64_t total)
{
    const double expected = (double)total / PS_KEY_GROUPS;
    double chi = 0.0;
    for (int i = 0; i < PS_KEY_GROUPS; i++) {
        chi += ((double)counts[i] - expected) * ((double)counts[i] - expected) / expected;
    }
    CHECK(chi > 1023 - 6 * 45 && chi < 1023 + 6 * 45);
}

static void key_groups_are_used_evenly(void)
{
    static int64_t numbers[PS_KEY_GROUPS], texts[PS_KEY_GROUPS], pairs[PS_KEY_GROUPS];
    for (int64_t i = 0; i < 200000; i++) {
        char text[24];
        const int length = snprintf(text, sizeof text, "user%" PRId64, i);
        const ps_string string = {.data = text, .size_bytes = length};
        const int64_t low = i % 100, high = i / 100;
        const ps_vector both[] = {{.kind = PS_CLASS_I64, .values = &low},
                                  {.kind = PS_CLASS_I64, .values = &high}};
        uint64_t hash = 0;
        ps_key_hash(both, 2, 1, &hash);
        numbers[ps_key_group(hash_one(PS_CLASS_I64, &i))]++;
        texts[ps_key_group(hash_one(PS_CLASS_STR, &string))]++;
        pairs[ps_key_group(hash)]++;
    }
    check_even(numbers, 200000);
    check_even(texts, 200000);
    check_even(pairs, 200000);
}

static void every_group_has_the_shard_that_owns_it(void)
{
    for (int32_t shards = 1; shards <= 70; shards++) {
        for (int32_t group = 0; group < PS_KEY_GROUPS; group++) {
            const int32_t shard = ps_shard_of_group(group, shards);
            CHECK(shard >= 0 && shard < shards);
            CHECK(shard * PS_KEY_GROUPS / shards <= group);
            CHECK(group < (shard + 1) * PS_KEY_GROUPS / shards);
        }
    }
}

/* Stored in checkpoints: these must never change. */
static void stored_hashes_stay_what_they_are(void)
{
    const int64_t number = 42;
    const ps_string text = {.data = "pystream", .size_bytes = 8};
    const uint8_t truth = 1;
    CHECK_EQ(hash_one(PS_CLASS_I64, &number), INT64_C(-4767286540954276203));
    CHECK_EQ(hash_one(PS_CLASS_STR, &text), INT64_C(-1412854679785779098));
    CHECK_EQ(hash_one(PS_CLASS_BOOL, &truth), INT64_C(-7995527694508729151));
}

int main(void)
{
    RUN(equal_floats_hash_equally);
    RUN(width_does_not_matter);
    RUN(encoding_does_not_matter);
    RUN(null_is_a_value_and_its_bytes_are_not);
    RUN(columns_count_in_order);
    RUN(key_groups_are_used_evenly);
    RUN(every_group_has_the_shard_that_owns_it);
    RUN(stored_hashes_stay_what_they_are);
    return 0;
}
