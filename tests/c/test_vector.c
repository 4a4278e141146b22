/* test_vector.c -- loading every layout at every start, by runs and by picked rows, against what
 * the rows were made from. */
#include "arrow_make.h"

enum { ROWS = 1100 };
static ps_vector_scratch scratch;

static bool valid_at(const ps_vector *vector, int64_t i)
{
    return vector->valid == NULL || vector->valid[i] == 1;
}

/* What make_mix_array put into a row; false for null. */
static void check_value(int c, int64_t row, const ps_vector *vector, int64_t i)
{
    const bool valid = row % (5 + c) != 4 + c;
    CHECK_EQ(valid_at(vector, i), valid);
    if (!valid) {
        CHECK(vector->kind != PS_CLASS_STR ||
              ((const ps_string *)vector->values)[i].size_bytes == 0);
        return;
    }
    const int64_t number = row * 3 - 7;
    switch (c) {
    case MIX_BOOL:
        CHECK_EQ(((const uint8_t *)vector->values)[i], ((uint8_t)(row / 8) >> (row % 8)) & 1);
        break;
    case MIX_I16: CHECK_EQ(((const int64_t *)vector->values)[i], (int16_t)number); break;
    case MIX_I64:
    case MIX_TIME: CHECK_EQ(((const int64_t *)vector->values)[i], number); break;
    case MIX_U32: CHECK_EQ(((const uint64_t *)vector->values)[i], (uint32_t)number); break;
    case MIX_F32:
    case MIX_F64: CHECK(((const double *)vector->values)[i] == (double)number / 2); break;
    case MIX_DICT: {
        static const char *const want[] = {"one", "", "three"};
        const ps_string *got = &((const ps_string *)vector->values)[i];
        CHECK_EQ(got->size_bytes, strlen(want[row % 3]));
        CHECK(memcmp(got->data, want[row % 3], (size_t)got->size_bytes) == 0);
        break;
    }
    case MIX_FIXED: {
        const ps_string *got = &((const ps_string *)vector->values)[i];
        CHECK_EQ(got->size_bytes, 3);
        CHECK_EQ((uint8_t)got->data[0], (row * 3) & 255);
        break;
    }
    default: {
        char want[MIX_TEXT_MAX];
        const ps_string *got = &((const ps_string *)vector->values)[i];
        CHECK_EQ(got->size_bytes, mix_text(row, want));
        CHECK(memcmp(got->data, want, (size_t)got->size_bytes) == 0);
    }
    }
}

static void runs_and_picked_rows_agree_with_the_source(void)
{
    ps_mem *mem = make_account();
    for (int64_t offset = 0; offset < 4; offset += 3) {
        ps_batch *mix = make_mix(mem, ROWS, offset);
        const int64_t base = offset + (offset > 0);
        uint32_t rows[PS_CHUNK_ROWS];
        for (int c = 0; c < MIX_LIST; c++) {
            ps_vector vector;
            for (int64_t start = 0; start < 70; start += 7) {
                for (int64_t count = 0; count <= PS_CHUNK_ROWS; count = count * 3 + 1) {
                    ps_vector_load(&mix->columns[c], NULL, start, count, &scratch, &vector);
                    CHECK_EQ(vector.kind, ps_type_class(&mix->columns[c].type));
                    for (int64_t i = 0; i < count; i++) {
                        check_value(c, base + start + i, &vector, i);
                        rows[i] = (uint32_t)((i * 7919 + start) % ROWS);
                    }
                    ps_vector_load(&mix->columns[c], rows, 0, count, &scratch, &vector);
                    for (int64_t i = 0; i < count; i++) {
                        check_value(c, base + rows[i], &vector, i);
                    }
                }
            }
        }
        ps_batch_release(mix);
    }
    check_nothing_left(mem);
}

static void runs_of_words_are_not_copied(void)
{
    ps_mem *mem = make_account();
    ps_batch *mix = make_mix(mem, 50, 0);
    ps_vector vector;
    ps_vector_load(&mix->columns[MIX_I64], NULL, 5, 20, &scratch, &vector);
    CHECK(vector.values == (const int64_t *)mix->columns[MIX_I64].values + 5);
    CHECK(vector.valid == scratch.valid);
    ps_vector_load(&mix->columns[MIX_F64], NULL, 0, 9, &scratch, &vector); /* no null among them */
    CHECK(vector.values == mix->columns[MIX_F64].values);
    CHECK(vector.valid == NULL);
    static const uint32_t rows[] = {3, 1, 2};
    ps_vector_load(&mix->columns[MIX_F64], rows, 0, 3, &scratch, &vector);
    CHECK(vector.values == scratch.values);
    CHECK(vector.valid == NULL);
    ps_batch_release(mix);
    check_nothing_left(mem);
}

static void what_has_no_class_is_not_loaded(void)
{
    ps_mem *mem = make_account();
    ps_batch *mix = make_mix(mem, 5, 0);
    ps_vector vector;
    ps_vector_load(&mix->columns[MIX_LIST], NULL, 0, 5, &scratch, &vector);
    CHECK_EQ(vector.kind, PS_CLASS_NONE);
    CHECK(vector.values == NULL);
    ps_vector_load(&mix->columns[MIX_NULL], NULL, 0, 5, &scratch, &vector);
    CHECK_EQ(vector.kind, PS_CLASS_NONE);
    CHECK(!valid_at(&vector, 4));
    ps_batch_release(mix);
    check_nothing_left(mem);
}

#define CHECK_WIDEN(c_type, type_id, want_type)                                                    \
    do {                                                                                           \
        static c_type values[300];                                                                 \
        for (int i = 0; i < 300; i++) {                                                            \
            values[i] = (c_type)((unsigned)i * 2654435761u);                                       \
        }                                                                                          \
        const ps_column column = {                                                                 \
            .type = {.id = (type_id), .width = sizeof(c_type)}, .length = 300, .values = values};  \
        uint32_t rows[250];                                                                        \
        for (int i = 0; i < 250; i++) {                                                            \
            rows[i] = (uint32_t)(i * 131) % 300;                                                   \
        }                                                                                          \
        ps_vector vector;                                                                          \
        ps_vector_load(&column, NULL, 17, 250, &scratch, &vector);                                 \
        for (int i = 0; i < 250; i++) {                                                            \
            CHECK(((const want_type *)vector.values)[i] == (want_type)values[i + 17]);             \
        }                                                                                          \
        ps_vector_load(&column, rows, 0, 250, &scratch, &vector);                                  \
        for (int i = 0; i < 250; i++) {                                                            \
            CHECK(((const want_type *)vector.values)[i] == (want_type)values[rows[i]]);            \
        }                                                                                          \
    } while (0)

static void every_width_widens(void)
{
    CHECK_WIDEN(int8_t, PS_TYPE_INT8, int64_t);
    CHECK_WIDEN(int16_t, PS_TYPE_INT16, int64_t);
    CHECK_WIDEN(int32_t, PS_TYPE_INT32, int64_t);
    CHECK_WIDEN(int32_t, PS_TYPE_DATE32, int64_t);
    CHECK_WIDEN(int32_t, PS_TYPE_TIME32, int64_t);
    CHECK_WIDEN(int64_t, PS_TYPE_DATE64, int64_t);
    CHECK_WIDEN(int64_t, PS_TYPE_DURATION, int64_t);
    CHECK_WIDEN(uint8_t, PS_TYPE_UINT8, uint64_t);
    CHECK_WIDEN(uint16_t, PS_TYPE_UINT16, uint64_t);
    CHECK_WIDEN(uint32_t, PS_TYPE_UINT32, uint64_t);
    CHECK_WIDEN(uint64_t, PS_TYPE_UINT64, uint64_t);
    CHECK_WIDEN(float, PS_TYPE_FLOAT32, double);
    CHECK_WIDEN(double, PS_TYPE_FLOAT64, double);
}

/* Nulls among the values of a dictionary, nulls among the indices, and an empty dictionary. */
static void nulls_of_dictionaries_come_from_both_sides(void)
{
    const double reals[] = {1.5, 2.5, 3.5};
    const uint8_t values_valid[] = {5}; /* value 1 is null */
    const ps_column dictionary = {.type = {.id = PS_TYPE_FLOAT64, .width = 8},
                                  .length = 3,
                                  .null_count = 1,
                                  .validity = values_valid,
                                  .values = reals};
    const int16_t indices[] = {2, 1, -30, 0};
    const uint8_t indices_valid[] = {11}; /* row 2 is null */
    ps_column column = {.type = {.id = PS_TYPE_FLOAT64, .index = PS_TYPE_INT16, .width = 8},
                        .length = 4,
                        .null_count = 1,
                        .validity = indices_valid,
                        .values = indices,
                        .dictionary = &dictionary};
    static const uint32_t rows[] = {3, 2, 1, 0};
    ps_vector vector;
    ps_vector_load(&column, NULL, 0, 4, &scratch, &vector);
    const double *got = vector.values;
    CHECK(valid_at(&vector, 0) && !valid_at(&vector, 1) && !valid_at(&vector, 2));
    CHECK(got[0] == 3.5 && got[3] == 1.5);
    ps_vector_load(&column, rows, 0, 4, &scratch, &vector);
    got = vector.values;
    CHECK(valid_at(&vector, 0) && !valid_at(&vector, 1) && !valid_at(&vector, 2));
    CHECK(got[0] == 1.5 && got[3] == 3.5);
    const ps_column empty = {.type = dictionary.type, .length = 0};
    const uint8_t none[] = {0};
    column.dictionary = &empty;
    column.validity = none;
    ps_vector_load(&column, NULL, 0, 4, &scratch, &vector);
    for (int i = 0; i < 4; i++) {
        CHECK(!valid_at(&vector, i));
    }
}

static void classes_have_their_widths(void)
{
    CHECK_EQ(ps_class_width(PS_CLASS_NONE), 0);
    CHECK_EQ(ps_class_width(PS_CLASS_BOOL), 1);
    CHECK_EQ(ps_class_width(PS_CLASS_I64), 8);
    CHECK_EQ(ps_class_width(PS_CLASS_U64), 8);
    CHECK_EQ(ps_class_width(PS_CLASS_F64), 8);
    CHECK_EQ(ps_class_width(PS_CLASS_STR), 16);
    for (uint8_t id = 0; id <= PS_TYPE_OPAQUE; id++) {
        const ps_type type = {.id = id};
        const bool none = id == PS_TYPE_NULL || id == PS_TYPE_FLOAT16 || id == PS_TYPE_OPAQUE;
        CHECK_EQ(ps_type_class(&type) == PS_CLASS_NONE, none);
    }
}

int main(void)
{
    RUN(runs_and_picked_rows_agree_with_the_source);
    RUN(runs_of_words_are_not_copied);
    RUN(what_has_no_class_is_not_loaded);
    RUN(every_width_widens);
    RUN(nulls_of_dictionaries_come_from_both_sides);
    RUN(classes_have_their_widths);
    return 0;
}
