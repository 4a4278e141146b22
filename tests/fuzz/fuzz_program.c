/* fuzz_program.c -- bytes to an expression forest over a fixed batch: whatever compiles must give
 * the same answer on every ISA level, with and without a selection, and as a clone; nothing may
 * leak.
 */
#include "expr_kit.h"

#define NODES 48

static kit world;

typedef struct reader {
    const uint8_t *at;
    const uint8_t *end;
} reader;

static unsigned take(reader *r)
{
    return r->at < r->end ? *r->at++ : 0;
}

static int64_t take_number(reader *r)
{
    static const int64_t edges[] = {
        0,         1,         -1,         2,   10,   INT64_MAX, INT64_MIN,
        INT32_MAX, INT32_MIN, 1000000000, 255, -128, 86400,     (int64_t)1 << 53};
    const unsigned which = take(r);
    return which < 14 ? edges[which] : (int64_t)(which << 8 | take(r)) - 32768;
}

static double take_double(reader *r)
{
    static const double edges[] = {0.0, -0.0, 0.5, 1e300, -1e300, 5e-324, 0x1p63, -0x1p63, 0x1p53};
    const unsigned which = take(r);
    return which < 9     ? edges[which]
           : which == 9  ? (double)NAN
           : which == 10 ? (double)INFINITY
                         : (double)((int)which - 100) / 3;
}

static const char *const names[] = {"add",
                                    "subtract",
                                    "multiply",
                                    "divide",
                                    "floor_divide",
                                    "modulo",
                                    "negate",
                                    "abs",
                                    "equal",
                                    "not_equal",
                                    "less",
                                    "less_equal",
                                    "greater",
                                    "greater_equal",
                                    "and",
                                    "or",
                                    "not",
                                    "xor",
                                    "is_null",
                                    "is_not_null",
                                    "is_nan",
                                    "coalesce",
                                    "when",
                                    "is_in",
                                    "between",
                                    "cast",
                                    "truncate",
                                    "year",
                                    "month",
                                    "day",
                                    "hour",
                                    "minute",
                                    "second",
                                    "millisecond",
                                    "microsecond",
                                    "nanosecond",
                                    "weekday",
                                    "ordinal_day",
                                    "date",
                                    "epoch_s",
                                    "epoch_ms",
                                    "epoch_us",
                                    "epoch_ns",
                                    "starts_with",
                                    "ends_with",
                                    "contains",
                                    "str_length",
                                    "str_bytes",
                                    "to_lowercase",
                                    "to_uppercase",
                                    "min_horizontal",
                                    "max_horizontal",
                                    "sqrt",
                                    "exp",
                                    "log",
                                    "floor",
                                    "ceil",
                                    "round"};
static const char *const formats[] = {
    "b", "c",   "s",   "i",   "l",   "C",    "S",    "I",       "L",    "f",   "g",   "u",   "z",
    "U", "tdD", "tdm", "tts", "ttn", "tss:", "tsm:", "tsu:UTC", "tsn:", "tDs", "tDn", "w:3", "vu"};
static const char *const units[] = {"week", "month", "quarter", "year", ""};
static const char *const texts[] = {
    "",     "Google",  "goo", "12", "-7.5", "2000-02-29", "1999-12-31T23:59:59.999999999Z",
    "true", "\xc3\xb6"};
static const char *const columns[] = {"x",  "y",   "a",   "i",   "u",   "v",     "f",
                                      "g",  "e",   "p",   "q",   "s",   "z",     "ts",
                                      "tn", "sec", "day", "dur", "tod", "large", "d"};
#define COUNT(array) ((unsigned)(sizeof(array) / sizeof(array)[0]))

static ps_status add_call(ps_expr *expr, reader *r, int32_t made, int32_t *node)
{
    const char *name = names[take(r) % COUNT(names)];
    int32_t arguments[7];
    const int32_t count = 1 + (int32_t)(take(r) % 7 < 4 ? take(r) % 3 : take(r) % 6);
    for (int32_t i = 0; i < count; i++) { /* mostly recent nodes, so that trees grow */
        const int32_t back = (int32_t)(take(r) % 8);
        arguments[i] = back < made ? made - 1 - back : 0;
    }
    const char *text = NULL;
    if (strcmp(name, "cast") == 0) {
        text = formats[take(r) % COUNT(formats)];
    } else if (strcmp(name, "truncate") == 0 && take(r) % 2) {
        text = units[take(r) % COUNT(units)];
    }
    return ps_expr_call(expr, name, arguments, count, text, take_number(r), node, NULL);
}

static ps_status add_node(ps_expr *expr, reader *r, int32_t made, int32_t *node)
{
    const char *text;
    switch (take(r) % (made == 0 ? 8u : 20u)) {
    case 0:
    case 1:
    case 2: return ps_expr_column(expr, columns[take(r) % COUNT(columns)], node, NULL);
    case 3:
        return ps_expr_i64(expr, take_number(r), take(r) % 3 ? NULL : formats[14 + take(r) % 10],
                           node, NULL);
    case 4: return ps_expr_f64(expr, take_double(r), node, NULL);
    case 5:
        text = texts[take(r) % COUNT(texts)];
        return ps_expr_string(expr, text, (int64_t)strlen(text), take(r) % 8 == 0, node, NULL);
    case 6: return ps_expr_u64(expr, (uint64_t)take_number(r), node, NULL);
    case 7: return take(r) % 2 ? ps_expr_null(expr, node, NULL) : ps_expr_bool(expr, 1, node, NULL);
    default: return add_call(expr, r, made, node);
    }
}

/* The answer as text: status and message, or the values. */
static void answer(const ps_program *program, const ps_selection *selection, char *text,
                   size_t size)
{
    ps_program *own;
    ps_column column;
    ps_error err = {0};
    text[0] = '\0';
    CHECK_OK(ps_program_clone(program, &own, NULL));
    const ps_status status = ps_program_run(own, world.batch, selection, world.mem, &column, &err);
    if (status != PS_OK) {
        CHECK(err.text[0] != '\0');
        snprintf(text, size, "%d %s", (int)status, err.text);
    } else {
        CHECK(ps_program_nullable(program) || ps_column_count_nulls(&column) == 0);
        kit_print_column(&column, text, size);
        ps_owner_release(column.owner);
    }
    ps_program_destroy(own);
}

static void check_filter(ps_program *program, const char *values)
{
    ps_selection *passed;
    bool all;
    if (ps_program_type(program)->id != PS_TYPE_BOOL || ps_program_type(program)->index != 0 ||
        ps_program_filter(program, world.batch, NULL, world.mem, &passed, &all, NULL) != PS_OK) {
        return;
    }
    int64_t count = 0;
    for (const char *at = values; (at = strstr(at, "true")) != NULL; at++) {
        count++;
    }
    CHECK_EQ(all ? world.rows : passed->count, count);
    ps_selection_release(passed);
}

static void check_program(ps_program *program)
{
    static char plain[16384], other[16384];
    ps_selection *every;
    CHECK_OK(ps_selection_create(world.mem, world.rows, &every, NULL));
    for (int64_t i = 0; i < world.rows; i++) {
        every->rows[every->count++] = (uint32_t)i;
    }
    for (int32_t level = 0; level < ps_simd_level_count(); level++) {
        CHECK_OK(ps_simd_force(ps_simd_level_name(level), NULL));
        answer(program, NULL, level == 0 ? plain : other, sizeof plain);
        if (level > 0 && strcmp(plain, other) != 0) {
            CHECK_FAIL("%s: %s\nbase: %s", ps_simd_level(), other, plain);
        }
        if (!isdigit((unsigned char)plain[0]) || strchr(plain, ':') == NULL) {
            answer(program, every, other, sizeof other);
            if (strcmp(plain, other) != 0) {
                CHECK_FAIL("selection: %s\nall rows: %s", other, plain);
            }
        }
    }
    check_filter(program, plain);
    ps_selection_release(every);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (world.mem == NULL) {
        kit_begin_usual(&world);
    }
    const int64_t before = ps_mem_used(world.mem);
    reader r = {.at = data, .end = data + size};
    ps_expr *expr;
    ps_program *program;
    int32_t made = 0, node;
    CHECK_OK(ps_expr_create(world.mem, &expr, NULL));
    while (r.at < r.end && made < NODES) {
        made += add_node(expr, &r, made, &node) == PS_OK;
    }
    for (int32_t root = made - 1; root >= 0 && root > made - 4; root--) {
        ps_error err = {0};
        CHECK_OK(ps_simd_force("base", NULL));
        if (ps_program_compile(world.mem, expr, root, world.schema, &program, &err) != PS_OK) {
            CHECK(err.text[0] != '\0');
            continue;
        }
        check_program(program);
        ps_program_destroy(program);
    }
    ps_expr_destroy(expr);
    CHECK_EQ(ps_mem_used(world.mem), before);
    return 0;
}
