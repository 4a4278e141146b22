/* expr_kit.h -- expressions as text for the tests: parse, compile, run every way there is, print.
 *
 *     kit_expect(k, "add(x, 1)", "2 3 null");
 *
 * Text: f(a, b), f[option](a), columns by name, 1, -1, 1u (uint64), 1.5, 'text', true, false, null.
 * An option that is a number is the integer argument of the call. Header only, for one test file.
 */
#ifndef PS_TESTS_EXPR_KIT_H
#define PS_TESTS_EXPR_KIT_H

#include <ctype.h>
#include <math.h>

#include "check.h"
#include "expr/forest.h"
#include "expr/program.h"
#include "expr/text.h"
#include "simd/dispatch.h"

#define KIT_COLUMNS 32

typedef struct kit {
    ps_mem *mem;
    ps_schema_builder *builder;
    ps_schema *schema;
    ps_batch *batch;
    int32_t count;
    int64_t rows;
    ps_column columns[KIT_COLUMNS];
    ps_column dictionaries[KIT_COLUMNS];
} kit;

static inline void kit_begin(kit *k, int64_t rows, int32_t columns)
{
    *k = (kit){.rows = rows};
    CHECK_OK(ps_mem_create(0, &k->mem, NULL));
    CHECK_OK(ps_schema_builder_create(k->mem, columns, &k->builder, NULL));
}

/* values: canonical; valid: NULL or one byte a row. */
static inline ps_column kit_make(kit *k, ps_type type, const void *values, const uint8_t *valid,
                                 int64_t rows)
{
    ps_writer *writer;
    ps_column column;
    const size_t width = ps_class_width(ps_type_class(&type));
    CHECK_OK(ps_writer_create(k->mem, &type, rows, &writer, NULL));
    for (int64_t at = 0; at < rows; at += PS_CHUNK_ROWS) {
        const ps_vector v = {.kind = ps_type_class(&type),
                             .values = (const char *)values + (size_t)at * width,
                             .valid = valid == NULL ? NULL : valid + at};
        CHECK_OK(ps_writer_append(writer, &v, ps_min_i64(rows - at, PS_CHUNK_ROWS), NULL));
    }
    CHECK_OK(ps_writer_finish(writer, &column, NULL));
    return column;
}

static inline void kit_name(kit *k, const char *name, ps_type type, bool nullable)
{
    CHECK_OK(ps_schema_builder_add(k->builder, name, &type, NULL, nullable, NULL));
}

static inline void kit_add(kit *k, const char *name, ps_type type, const void *values,
                           const uint8_t *valid)
{
    kit_name(k, name, type, valid != NULL);
    k->columns[k->count++] = kit_make(k, type, values, valid, k->rows);
}

static inline void kit_end(kit *k)
{
    CHECK_OK(ps_schema_builder_finish(k->builder, &k->schema, NULL));
    CHECK_OK(ps_batch_create(k->mem, k->schema, k->rows, &k->batch, NULL));
    for (int32_t i = 0; i < k->count; i++) {
        ps_batch_set(k->batch, i, &k->columns[i]);
    }
}

static inline void kit_close(kit *k)
{
    ps_batch_release(k->batch);
    for (int32_t i = 0; i < k->count; i++) {
        ps_owner_release(k->columns[i].owner);
        ps_owner_release(k->dictionaries[i].owner);
    }
    ps_schema_release(k->schema);
    CHECK_EQ(ps_mem_used(k->mem), 0);
    ps_mem_release(k->mem);
}

/* ---- text to expression ---- */

typedef struct kit_parser {
    ps_expr *expr;
    const char *at;
    ps_error *err;
    ps_status status;
} kit_parser;

static inline int32_t kit_parse(kit_parser *p);

static inline void kit_skip(kit_parser *p)
{
    while (*p->at == ' ' || *p->at == ',') {
        p->at++;
    }
}

static inline int32_t kit_number(kit_parser *p)
{
    char *end;
    int32_t node = -1;
    const size_t span = strspn(p->at, "+-0123456789.einf");
    if (memchr(p->at, '.', span) != NULL || memchr(p->at, 'e', span) != NULL) {
        p->status = ps_expr_f64(p->expr, strtod(p->at, &end), &node, p->err);
    } else if (p->at[span] == 'u') {
        p->status = ps_expr_u64(p->expr, strtoull(p->at, &end, 10), &node, p->err);
        end++;
    } else {
        p->status = ps_expr_i64(p->expr, strtoll(p->at, &end, 10), NULL, &node, p->err);
    }
    p->at = end;
    return node;
}

static inline int32_t kit_word(kit_parser *p)
{
    char name[64] = "", option[64] = "";
    int32_t arguments[64], count = 0, node = -1;
    size_t size = 0;
    while (isalnum((unsigned char)*p->at) || *p->at == '_') {
        name[size++] = *p->at++;
    }
    if (*p->at == '[') {
        size = 0;
        for (p->at++; *p->at != ']'; p->at++) {
            option[size++] = *p->at;
        }
        p->at++;
    }
    if (*p->at == '(') {
        for (p->at++, kit_skip(p); *p->at != ')'; kit_skip(p)) {
            arguments[count++] = kit_parse(p);
            if (p->status != PS_OK) {
                return -1;
            }
        }
        p->at++;
        const bool number = isdigit((unsigned char)option[0]) || option[0] == '-';
        p->status = ps_expr_call(p->expr, name, arguments, count,
                                 option[0] == '\0' || number ? NULL : option,
                                 number ? strtoll(option, NULL, 10) : 0, &node, p->err);
    } else if (strcmp(name, "null") == 0) {
        p->status = ps_expr_null(p->expr, &node, p->err);
    } else if (strcmp(name, "true") == 0 || strcmp(name, "false") == 0) {
        p->status = ps_expr_bool(p->expr, name[0] == 't', &node, p->err);
    } else if (option[0] != '\0') { /* a typed integer literal: lit_5[tsu:] */
        p->status = ps_expr_i64(p->expr, strtoll(name + 4, NULL, 10), option, &node, p->err);
    } else {
        p->status = ps_expr_column(p->expr, name, &node, p->err);
    }
    return node;
}

static inline int32_t kit_parse(kit_parser *p)
{
    kit_skip(p);
    if (*p->at == '\'') {
        const char *start = ++p->at;
        int32_t node = -1;
        p->at = strchr(start, '\'');
        p->status = ps_expr_string(p->expr, start, p->at - start, false, &node, p->err);
        p->at++;
        return node;
    }
    return isalpha((unsigned char)*p->at) ? kit_word(p) : kit_number(p);
}

static inline ps_status kit_compile(kit *k, const char *text, ps_program **out, ps_error *err)
{
    ps_expr *expr;
    PS_TRY(ps_expr_create(k->mem, &expr, err));
    kit_parser p = {.expr = expr, .at = text, .err = err};
    const int32_t root = kit_parse(&p);
    ps_status status = p.status;
    if (status == PS_OK) {
        status = ps_program_compile(k->mem, expr, root, k->schema, out, err);
    }
    ps_expr_destroy(expr);
    return status;
}

/* ---- results to text ---- */

static inline void kit_print_value(const ps_vector *v, int64_t i, char *text)
{
    if (v->kind == PS_CLASS_NONE || (v->valid != NULL && v->valid[i] == 0)) {
        snprintf(text, 64, "null");
        return;
    }
    switch (v->kind) {
    case PS_CLASS_BOOL:
        snprintf(text, 64, ((const uint8_t *)v->values)[i] ? "true" : "false");
        break;
    case PS_CLASS_I64: ps_text_from_i64(((const int64_t *)v->values)[i], text); break;
    case PS_CLASS_U64: ps_text_from_u64(((const uint64_t *)v->values)[i], text); break;
    case PS_CLASS_F64: ps_text_from_f64(((const double *)v->values)[i], text); break;
    default: {
        const ps_string s = ((const ps_string *)v->values)[i];
        snprintf(text, 64, "'%.*s'", (int)s.size_bytes, s.data);
    }
    }
}

/* Appends "a b c" for every row of a column. */
static inline void kit_print_column(const ps_column *column, char *text, size_t size)
{
    static ps_vector_scratch scratch;
    size_t used = strlen(text);
    for (int64_t i = 0; i < column->length; i++) {
        ps_vector v = {.kind = PS_CLASS_NONE};
        char one[64];
        if (ps_type_class(&column->type) != PS_CLASS_NONE) {
            ps_vector_load(column, NULL, i, 1, &scratch, &v);
        }
        kit_print_value(&v, 0, one);
        used += (size_t)snprintf(text + used, size - used, "%s%s", used == 0 ? "" : " ", one);
    }
}

static inline ps_status kit_run_text(kit *k, const char *expression, char *text, size_t size,
                                     ps_error *err)
{
    ps_program *program;
    ps_column column;
    PS_TRY(kit_compile(k, expression, &program, err));
    const ps_status status = ps_program_run(program, k->batch, NULL, k->mem, &column, err);
    if (status == PS_OK) {
        text[0] = '\0';
        kit_print_column(&column, text, size);
        ps_owner_release(column.owner);
    }
    ps_program_destroy(program);
    return status;
}

/* The rows one by one through eval, with row numbers from a selection. */
static inline void kit_eval_rows(kit *k, const char *expression, char *text, size_t size)
{
    ps_program *first, *program;
    size_t used = 0;
    CHECK_OK(kit_compile(k, expression, &first, NULL));
    CHECK_OK(ps_program_clone(first, &program, NULL));
    ps_program_destroy(first);
    uint32_t rows[64];
    CHECK(k->rows <= 64);
    for (int64_t i = 0; i < k->rows; i++) {
        rows[i] = (uint32_t)i;
    }
    ps_vector v;
    CHECK_OK(ps_program_eval(program, k->batch, rows, 0, k->rows, &v, NULL));
    for (int64_t i = 0; i < k->rows; i++) {
        char one[64];
        kit_print_value(&v, i, one);
        used += (size_t)snprintf(text + used, size - used, "%s%s", i == 0 ? "" : " ", one);
    }
    ps_program_destroy(program);
}

static inline void kit_expect(kit *k, const char *expression, const char *wanted)
{
    for (int32_t level = 0; level < ps_simd_level_count(); level++) {
        char text[4096] = "", again[4096] = "";
        ps_error err = {0};
        CHECK_OK(ps_simd_force(ps_simd_level_name(level), NULL));
        if (kit_run_text(k, expression, text, sizeof text, &err) != PS_OK) {
            CHECK_FAIL("%s: %s", expression, err.text);
        }
        if (strcmp(text, wanted) != 0) {
            CHECK_FAIL("%s gives\n  %s, not\n  %s", expression, text, wanted);
        }
        kit_eval_rows(k, expression, again, sizeof again);
        if (strcmp(again, wanted) != 0) {
            CHECK_FAIL("%s over rows gives\n  %s, not\n  %s", expression, again, wanted);
        }
    }
}

static inline void kit_refuse(kit *k, const char *expression, ps_status status, const char *wanted)
{
    char text[4096] = "";
    ps_error err = {0};
    const ps_status got = kit_run_text(k, expression, text, sizeof text, &err);
    if (got != status || strstr(err.text, wanted) == NULL) {
        CHECK_FAIL("%s gives status %d '%s' (%s), not %d '%s'", expression, (int)got, err.text,
                   text, (int)status, wanted);
    }
}

/* ---- the usual batch ---- */

#define KIT_STRING(text) {text, sizeof(text) - 1}

/* An index column over column `slot` of k->dictionaries, int32 indices, validity bitmap or NULL. */
static inline void kit_add_dictionary(kit *k, const char *name, const int32_t *indices,
                                      const uint8_t *bitmap, const ps_column *words)
{
    k->dictionaries[k->count] = *words;
    const size_t size = ps_align_up((size_t)k->rows * 4, 64), bits = (size_t)(k->rows + 7) / 8;
    ps_block *block = ps_block_create(k->mem, size + bits);
    CHECK(block != NULL);
    memcpy(block->data, indices, (size_t)k->rows * 4);
    if (bitmap != NULL) {
        memcpy(block->data + size, bitmap, bits);
    }
    ps_column d = {.type = words->type,
                   .length = k->rows,
                   .null_count = bitmap == NULL ? 0 : -1,
                   .validity = bitmap == NULL ? NULL : block->data + size,
                   .values = block->data,
                   .dictionary = &k->dictionaries[k->count],
                   .owner = &block->owner};
    d.type.index = PS_TYPE_INT32;
    ArrowSchema values = {.format = "u", .name = ""};
    const ArrowSchema arrow = {
        .format = "i", .name = name, .flags = ARROW_FLAG_NULLABLE, .dictionary = &values};
    const ps_field field = {.name = name, .nullable = true, .arrow = arrow, .type = d.type};
    CHECK_OK(ps_schema_builder_copy(k->builder, &field, name, NULL));
    k->columns[k->count++] = d;
}

static inline ps_type kit_type(const char *format)
{
    ps_type type;
    CHECK_OK(ps_type_from_format(format, &type, NULL));
    return type;
}

/* Nine rows: x y int64, a int8, i int32, u uint64, v uint8, f g float64, e float32, p q bool (all
 * nine pairs), s utf8, d dictionary of utf8, z binary, ts timestamp[us], tn timestamp[ns], sec
 * timestamp[s], day date32, dur duration[ms], tod time64[us], m decimal128(12, 2). */
static inline void kit_begin_usual(kit *k)
{
    static const int64_t x[] = {1, 2, 77, -4, INT64_MAX, 0, INT64_MIN, 5, -6};
    static const uint8_t x_valid[] = {1, 1, 0, 1, 1, 1, 1, 1, 1};
    static const int64_t y[] = {10, 0, 3, -1, 1, 7, 2, -2, 4};
    static const int64_t a[] = {1, -2, 9, 127, -128, 0, 5, 6, 7};
    static const int64_t i[] = {100, -200, 300, INT32_MAX, INT32_MIN, 0, 1, 2, 3};
    static const uint64_t u[] = {1, 2, 3, UINT64_MAX, 5, 6, 7, 8, (uint64_t)1 << 63};
    static const uint8_t u_valid[] = {1, 1, 1, 1, 1, 0, 1, 1, 1};
    static const uint64_t v[] = {0, 1, 255, 9, 7, 8, 2, 3, 4};
    static const uint8_t v_valid[] = {1, 1, 1, 0, 1, 1, 1, 1, 1};
    static const double f[] = {0.5, -0.0, NAN, INFINITY, 3.0, 1e300, -2.5, 7.25, -INFINITY};
    static const uint8_t f_valid[] = {1, 1, 1, 1, 0, 1, 1, 1, 1};
    static const double g[] = {2.0, 1.5, 2.5, -3.5, 0.0, -1.0, 4.0, 1e-3, 10.0};
    static const uint8_t p[] = {1, 1, 1, 0, 0, 0, 0, 0, 0};
    static const uint8_t p_valid[] = {1, 1, 1, 1, 1, 1, 0, 0, 0};
    static const uint8_t q[] = {1, 0, 0, 1, 0, 0, 1, 0, 0};
    static const uint8_t q_valid[] = {1, 1, 0, 1, 1, 0, 1, 1, 0};
    static const ps_string s[] = {KIT_STRING("Google"),
                                  KIT_STRING(""),
                                  KIT_STRING("lost"),
                                  KIT_STRING("goo"),
                                  KIT_STRING("Gr\303\266\303\237e"),
                                  KIT_STRING("Apple"),
                                  KIT_STRING("Goo"),
                                  KIT_STRING("Google and a longer text"),
                                  KIT_STRING("7")};
    static const uint8_t s_valid[] = {1, 1, 0, 1, 1, 1, 1, 1, 1};
    static const ps_string words[] = {KIT_STRING("Apple"), KIT_STRING("Google"), KIT_STRING("12"),
                                      KIT_STRING("unused")};
    static const uint8_t words_valid[] = {1, 1, 1, 1};
    static const int64_t ts[] = {0,
                                 -1,
                                 1700000000123456,
                                 951782400000000 /* 2000-02-29 */,
                                 1,
                                 86399999999,
                                 86400000000,
                                 -86400000000,
                                 1709164800000000};
    static const int64_t tn[] = {0, -1, 5, 1700000000123456789, 1, 999999999, 1000000000, 7, 8};
    static const int64_t sec[] = {0, -1, 5, 1700000000, 1, 86400, 31536000, -86401, 8};
    static const int64_t day[] = {0, -1, 19675, 11016, 364, 365, 59, 60, -719468};
    static const int64_t dur[] = {0, -1, 1500, 1000, 3600000, 5, 6, 7, 8};
    static const int64_t tod[] = {0, 3723000004, 1, 2, 3, 4, 5, 6, 86399999999};
    static const int32_t indices[] = {0, 1, 1, 2, 0, 1, 2, 2, 0};
    static const __int128 cents[] = {150, -250, 77, 1000000000, 5, 0, -99, 12750, 123456789012};
    ps_string m[9];
    for (int row = 0; row < 9; row++) {
        m[row] = (ps_string){.data = (const char *)&cents[row], .size_bytes = 16};
    }
    kit_begin(k, 9, 22);
    kit_add(k, "x", kit_type("l"), x, x_valid);
    kit_add(k, "y", kit_type("l"), y, NULL);
    kit_add(k, "a", kit_type("c"), a, x_valid);
    kit_add(k, "i", kit_type("i"), i, NULL);
    kit_add(k, "u", kit_type("L"), u, u_valid);
    kit_add(k, "v", kit_type("C"), v, v_valid);
    kit_add(k, "f", kit_type("g"), f, f_valid);
    kit_add(k, "g", kit_type("g"), g, NULL);
    kit_add(k, "e", kit_type("f"), g, NULL);
    kit_add(k, "p", kit_type("b"), p, p_valid);
    kit_add(k, "q", kit_type("b"), q, q_valid);
    kit_add(k, "s", kit_type("u"), s, s_valid);
    kit_add(k, "z", kit_type("z"), s, s_valid);
    kit_add(k, "ts", kit_type("tsu:"), ts, NULL);
    kit_add(k, "tn", kit_type("tsn:"), tn, x_valid);
    kit_add(k, "sec", kit_type("tss:"), sec, NULL);
    kit_add(k, "day", kit_type("tdD"), day, NULL);
    kit_add(k, "dur", kit_type("tDm"), dur, NULL);
    kit_add(k, "tod", kit_type("ttu"), tod, NULL);
    kit_add(k, "large", kit_type("U"), s, s_valid);
    kit_add(k, "m", kit_type("d:12,2"), m, s_valid);
    static const uint8_t bitmap[] = {0xdf, 0xff}; /* row 5 is null */
    const ps_column dictionary = kit_make(k, kit_type("u"), words, words_valid, 4);
    kit_add_dictionary(k, "d", indices, bitmap, &dictionary);
    kit_end(k);
}

#endif
