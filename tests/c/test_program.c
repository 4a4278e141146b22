/* test_program.c -- compiled programs over whole batches: chunk borders, selections, dictionaries,
 * what a program says about itself, and memory that is refused.
 */
#include "expr/program_inside.h"
#include "expr_kit.h"

#define ROWS 5000
#define WORDS 12000 /* of a dictionary too long for a table */

static kit large;
static int64_t x[ROWS], y[ROWS], a[ROWS];
static double f[ROWS];
static uint8_t x_valid[ROWS];
static ps_string s[ROWS];
static char texts[ROWS][16];

/* Rows of dn and hn that are not null: one chunk has none. */
static bool some_word(int64_t row)
{
    return row % 5 != 2 && !(row >= PS_CHUNK_ROWS && row < 2 * PS_CHUNK_ROWS);
}

static void begin_large(void)
{
    kit *k = &large;
    static int32_t indices[ROWS];
    static ps_string words[WORDS];
    for (int i = 0; i < ROWS; i++) {
        x[i] = i * 7 % 1000 - 300;
        y[i] = i;
        a[i] = i % 3;
        f[i] = i * 0.5;
        x_valid[i] = i % 11 != 4;
        snprintf(texts[i], sizeof texts[i], "name %d", i % 100);
        s[i] = (ps_string){texts[i], (int64_t)strlen(texts[i])};
        indices[i] = i % 100;
    }
    for (int i = 0; i < WORDS; i++) {
        words[i] = s[i % 100];
    }
    static uint8_t bitmap[ROWS / 8 + 1];
    for (int i = 0; i < ROWS; i++) {
        if (some_word(i)) {
            ps_bit_set(bitmap, i);
        }
    }
    kit_begin(k, ROWS, 9);
    kit_add(k, "x", kit_type("l"), x, x_valid);
    kit_add(k, "y", kit_type("l"), y, NULL);
    kit_add(k, "a", kit_type("c"), a, NULL);
    kit_add(k, "f", kit_type("g"), f, NULL);
    kit_add(k, "s", kit_type("u"), s, NULL);
    const ps_column dictionary = kit_make(k, kit_type("u"), words, NULL, 100);
    kit_add_dictionary(k, "d", indices, NULL, &dictionary);
    const ps_column huge = kit_make(k, kit_type("u"), words, NULL, WORDS);
    kit_add_dictionary(k, "h", indices, NULL, &huge);
    kit_add_dictionary(k, "dn", indices, bitmap, &dictionary);
    kit_add_dictionary(k, "hn", indices, bitmap, &huge);
    ps_owner_retain(dictionary.owner);
    ps_owner_retain(huge.owner);
    kit_end(k);
}

static ps_program *compile(const char *text)
{
    ps_program *program;
    ps_error err = {0};
    if (kit_compile(&large, text, &program, &err) != PS_OK) {
        CHECK_FAIL("%s: %s", text, err.text);
    }
    return program;
}

static ps_selection *every(int64_t step)
{
    ps_selection *selection;
    CHECK_OK(ps_selection_create(large.mem, ROWS, &selection, NULL));
    for (int64_t i = 1; i < ROWS; i += step) {
        selection->rows[selection->count++] = (uint32_t)i;
    }
    return selection;
}

static ps_column run(const char *text, const ps_selection *selection)
{
    ps_program *program = compile(text);
    ps_column column;
    CHECK_OK(ps_program_run(program, large.batch, selection, large.mem, &column, NULL));
    CHECK_EQ(column.length, selection == NULL ? ROWS : selection->count);
    CHECK(ps_type_equal(&column.type, ps_program_type(program)));
    ps_program_destroy(program);
    return column;
}

static void test_numbers_across_chunks(void)
{
    ps_selection *odd = every(3);
    for (int turn = 0; turn < 2; turn++) {
        const ps_selection *selection = turn == 0 ? NULL : odd;
        ps_column sum = run("add(multiply(x, 2), y)", selection);
        ps_column small = run("cast[s](modulo(y, 100))", selection);
        ps_column half = run("cast[f](multiply(f, 0.5))", selection);
        const int64_t *values = sum.values;
        for (int64_t i = 0; i < sum.length; i++) {
            const int64_t row = turn == 0 ? i : odd->rows[i];
            CHECK_EQ(ps_column_is_valid(&sum, i), x_valid[row]);
            CHECK(!x_valid[row] || values[i] == x[row] * 2 + y[row]);
            CHECK_EQ(((const int16_t *)small.values)[i], y[row] % 100);
            CHECK(((const float *)half.values)[i] == (float)(f[row] * 0.5));
        }
        CHECK_EQ(sum.null_count, ps_column_count_nulls(&sum));
        CHECK(sum.null_count > 0 && small.null_count == 0 && small.validity == NULL);
        ps_owner_release(sum.owner);
        ps_owner_release(small.owner);
        ps_owner_release(half.owner);
    }
    ps_selection_release(odd);
}

/* The first null lies beyond the first chunk, and the last chunk has none. */
static void test_validity_begins_late(void)
{
    ps_program *program =
        compile("floor_divide(7, multiply(subtract(y, 2000), subtract(y, 2001)))");
    const size_t room = ps_program_room(program, large.batch, NULL);
    ps_block *block = ps_block_create(large.mem, room);
    ps_column late;
    memset(block->data, 0, room); /* so that a bit nobody writes says null */
    CHECK_OK(ps_program_run_into(program, large.batch, NULL, block, 0, &late, NULL));
    ps_owner_release(&block->owner);
    ps_program_destroy(program);
    CHECK_EQ(late.null_count, 2);
    for (int64_t i = 0; i < ROWS; i++) {
        CHECK_EQ(ps_column_is_valid(&late, i), i != 2000 && i != 2001);
    }
    ps_owner_release(late.owner);
}

static void test_bools_and_strings_across_chunks(void)
{
    ps_selection *odd = every(7);
    for (int turn = 0; turn < 2; turn++) {
        const ps_selection *selection = turn == 0 ? NULL : odd;
        ps_column less = run("less(x, y)", selection);
        ps_column upper = run("to_uppercase(s)", selection);
        for (int64_t i = 0; i < less.length; i++) {
            const int64_t row = turn == 0 ? i : odd->rows[i];
            CHECK_EQ(ps_column_is_valid(&less, i), x_valid[row]);
            CHECK(!x_valid[row] || ps_bit_get(less.values, less.values_bit + i) == (x[row] < row));
            const ps_string text = ps_column_string(&upper, i);
            CHECK(memcmp(text.data, "NAME ", 5) == 0 && text.size_bytes == s[row].size_bytes &&
                  memcmp(text.data + 5, texts[row] + 5, (size_t)text.size_bytes - 5) == 0);
        }
        ps_owner_release(less.owner);
        ps_owner_release(upper.owner);
    }
    ps_selection_release(odd);
}

static void check_rows(const char *text, const ps_selection *selection, bool (*keep)(int64_t row))
{
    for (int32_t level = 0; level < ps_simd_level_count(); level++) {
        CHECK_OK(ps_simd_force(ps_simd_level_name(level), NULL));
        ps_program *program = compile(text);
        ps_selection *passed;
        bool all;
        CHECK_OK(
            ps_program_filter(program, large.batch, selection, large.mem, &passed, &all, NULL));
        int64_t at = 0;
        const int64_t rows = selection == NULL ? ROWS : selection->count;
        for (int64_t i = 0; i < rows; i++) {
            const int64_t row = selection == NULL ? i : selection->rows[i];
            if (keep(row) && passed != NULL) {
                CHECK_EQ(passed->rows[at], row);
            }
            at += keep(row);
        }
        CHECK_EQ(all, at == rows);
        CHECK(passed == NULL ? all && selection == NULL : passed->count == at);
        ps_selection_release(passed);
        ps_program_destroy(program);
    }
}

static bool keep_a(int64_t row)
{
    return a[row] == 0;
}
static bool keep_x(int64_t row)
{
    return x_valid[row] && x[row] > 0;
}
static bool keep_f(int64_t row)
{
    return f[row] <= 1000;
}
static bool keep_d(int64_t row)
{
    return row % 100 == 42;
}
static bool keep_all(int64_t row)
{
    return row >= 0;
}
static bool keep_none(int64_t row)
{
    return row < 0;
}

static void test_filters(void)
{
    ps_selection *odd = every(3);
    for (int turn = 0; turn < 2; turn++) {
        const ps_selection *selection = turn == 0 ? NULL : odd;
        check_rows("equal(a, 0)", selection, keep_a);
        check_rows("greater(x, 0)", selection, keep_x);
        check_rows("less_equal(f, 1000)", selection, keep_f);
        check_rows("equal(s, 'name 42')", selection, keep_d);
        check_rows("equal(d, 'name 42')", selection, keep_d);
        check_rows("equal(h, 'name 42')", selection, keep_d);
        check_rows("true", selection, keep_all);
        check_rows("greater_equal(y, 0)", selection, keep_all);
        check_rows("less(y, 0)", selection, keep_none);
        check_rows("and(less(y, 0), null)", selection, keep_none);
    }
    ps_selection_release(odd);
    ps_program *number = compile("y");
    ps_selection *passed;
    bool all;
    ps_error err;
    CHECK_EQ(ps_program_filter(number, large.batch, NULL, large.mem, &passed, &all, &err), PS_TYPE);
    CHECK(strstr(err.text, "must be bool, not int64") != NULL);
    ps_program_destroy(number);
}

static void test_into_a_shared_block(void)
{
    ps_selection *odd = every(3);
    const char *const wholes[] = {"multiply(f, 0.908)", "less(x, 7)", "y", "a"};
    for (int w = 0; w < 4; w++) {
        ps_program *program = compile(wholes[w]);
        const size_t room = ps_program_room(program, large.batch, odd);
        CHECK(room > 0 && room % 64 == 0);
        ps_block *block = ps_block_create(large.mem, room + 64);
        ps_column in_block, own;
        memset(block->data, 0x5a, room + 64);
        CHECK_OK(ps_program_run_into(program, large.batch, odd, block, 64, &in_block, NULL));
        CHECK_OK(ps_program_run(program, large.batch, odd, large.mem, &own, NULL));
        static char one[1 << 20], other[1 << 20];
        one[0] = other[0] = '\0';
        kit_print_column(&in_block, one, sizeof one);
        kit_print_column(&own, other, sizeof other);
        CHECK(strcmp(one, other) == 0 && in_block.length == odd->count);
        CHECK_EQ(block->data[63], 0x5a);
        ps_owner_release(in_block.owner);
        ps_owner_release(own.owner);
        ps_owner_release(&block->owner);
        ps_program_destroy(program);
    }
    ps_program *text = compile("s");
    CHECK_EQ((int64_t)ps_program_room(text, large.batch, odd), 0);
    ps_program_destroy(text);
    ps_selection_release(odd);
}

static void test_what_a_program_says(void)
{
    ps_program *column = compile("x"), *sum = compile("add(x, y)"), *no = compile("add(y, y)");
    ps_program *part = compile("to_uppercase(d)"), *whole = compile("d");
    bool wanted[9] = {false};
    CHECK_EQ(ps_program_column(column), 0);
    CHECK_EQ(ps_program_column(sum), -1);
    ps_program_columns(sum, wanted);
    ps_program_columns(part, wanted);
    CHECK(wanted[0] && wanted[1] && !wanted[2] && !wanted[3] && !wanted[4] && wanted[5]);
    CHECK(ps_program_nullable(sum) && !ps_program_nullable(no));
    CHECK_EQ(ps_program_type(sum)->id, PS_TYPE_INT64);
    CHECK_EQ(ps_program_type(part)->index, 0);
    CHECK_EQ(ps_program_type(whole)->index, PS_TYPE_INT32);
    ps_column shared;
    CHECK_OK(ps_program_run(column, large.batch, NULL, large.mem, &shared, NULL));
    CHECK(shared.values == large.columns[0].values && shared.owner == large.columns[0].owner);
    ps_owner_release(shared.owner);
    ps_program *const all[] = {column, sum, no, part, whole};
    for (int i = 0; i < 5; i++) {
        ps_program_destroy(all[i]);
    }
}

static int32_t instructions(const char *text)
{
    ps_program *program = compile(text);
    const int32_t count = program->code->instruction_count;
    ps_program_destroy(program);
    return count;
}

static void test_equal_parts_are_computed_once(void)
{
    CHECK_EQ(instructions("add(multiply(y, 3), multiply(y, 3))"), 3);
    CHECK_EQ(instructions("add(multiply(y, 3), multiply(y, 4))"), 4);
    CHECK_EQ(instructions("add(floor_divide(y, 3), floor_divide(y, 3))"), 3);
    CHECK_EQ(instructions("add(floor_divide(y, 3), floor_divide(y, 4))"), 4);
    CHECK_EQ(instructions("add(floor_divide(y, 3), modulo(y, 3))"), 4);
    /* load, as a timestamp, days, year, month, add */
    CHECK_EQ(instructions("add(year(cast[tsu:](y)), month(cast[tsu:](y)))"), 6);
}

/* By a table (dn) and row by row (hn): what a part makes of null must come out for null rows. */
static void test_null_in_dictionaries(void)
{
    ps_selection *odd = every(3);
    for (int turn = 0; turn < 4; turn++) {
        const ps_selection *selection = turn < 2 ? NULL : odd;
        ps_column upper = run(turn % 2 == 0 ? "coalesce(to_uppercase(dn), 'none')"
                                            : "coalesce(to_uppercase(hn), 'none')",
                              selection);
        ps_column size = run(turn % 2 == 0 ? "str_length(dn)" : "str_length(hn)", selection);
        for (int64_t i = 0; i < upper.length; i++) {
            const int64_t row = selection == NULL ? i : selection->rows[i];
            const ps_string text = ps_column_string(&upper, i);
            CHECK(memcmp(text.data, some_word(row) ? "NAME" : "none", 4) == 0);
            CHECK_EQ(text.size_bytes, some_word(row) ? s[row].size_bytes : 4);
            CHECK_EQ(ps_column_is_valid(&size, i), some_word(row));
            CHECK(!some_word(row) || ((const int64_t *)size.values)[i] == s[row].size_bytes);
        }
        ps_owner_release(upper.owner);
        ps_owner_release(size.owner);
    }
    ps_selection_release(odd);
}

/* A dictionary that changes under the same address must not answer from the old table. */
static void test_dictionaries_are_forgotten(void)
{
    ps_program *program = compile("str_length(d)");
    ps_column before, after;
    CHECK_OK(ps_program_run(program, large.batch, NULL, large.mem, &before, NULL));
    ps_column *dictionary = &large.dictionaries[5];
    const ps_column kept = *dictionary;
    const ps_string longer[100] = {{"a much longer name", 18}};
    *dictionary = kit_make(&large, kit_type("u"), longer, NULL, 100);
    CHECK_OK(ps_program_run(program, large.batch, NULL, large.mem, &after, NULL));
    CHECK_EQ(((const int64_t *)before.values)[0], 6);
    CHECK_EQ(((const int64_t *)after.values)[0], 18);
    ps_owner_release(dictionary->owner);
    *dictionary = kept;
    ps_owner_release(before.owner);
    ps_owner_release(after.owner);
    ps_program_destroy(program);
}

static const char *const everything =
    "when(and(is_in(s, 'name 1', 'name 2'), equal(d, 'name 1')), to_uppercase(d), "
    "is_in(y, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14), cast[u](add(x, 1)), "
    "starts_with(h, 'name 7'), cast[u](truncate[month](cast[tss:](y))), 'rest')";

static ps_status do_everything(void)
{
    ps_program *program = NULL, *copy = NULL;
    ps_column column = {0};
    ps_error err = {0};
    PS_TRY(kit_compile(&large, everything, &program, &err));
    ps_status status = ps_program_clone(program, &copy, &err);
    if (status == PS_OK) {
        status = ps_program_run(copy, large.batch, NULL, large.mem, &column, &err);
    }
    ps_owner_release(column.owner);
    ps_program_destroy(program);
    ps_program_destroy(copy);
    CHECK(status == PS_OK || (status == PS_NO_MEMORY && err.text[0] != '\0'));
    return status;
}

static void test_refused_memory(void)
{
    const int64_t before = ps_mem_used(large.mem);
    CHECK_OK(do_everything());
    CHECK_EQ(ps_mem_used(large.mem), before);
    int64_t nth = 1, refusals = 0;
    for (;; nth++) {
        const int64_t start = ps_mem_allocations(large.mem);
        ps_mem_fail_at(large.mem, nth);
        const ps_status status = do_everything();
        ps_mem_fail_at(large.mem, 0);
        CHECK_EQ(ps_mem_used(large.mem), before);
        refusals += status != PS_OK;
        if (ps_mem_allocations(large.mem) - start < nth) {
            break;
        }
    }
    CHECK(refusals > 20);
}

static int32_t call(ps_expr *expr, const char *function, int32_t left, int32_t right)
{
    const int32_t arguments[2] = {left, right};
    int32_t node;
    CHECK_OK(ps_expr_call(expr, function, arguments, right < 0 ? 1 : 2, NULL, 0, &node, NULL));
    return node;
}

/* The values of an expression move while they become more, at each place in a comparison. */
static void test_long_expressions(void)
{
    enum { COMPARISONS = 3000, PLACES = 4 };
    for (int64_t place = 0; place < PLACES; place++) {
        ps_expr *expr;
        ps_program *program;
        ps_selection *passed;
        bool all;
        int32_t column, literal;
        CHECK_OK(ps_expr_create(large.mem, &expr, NULL));
        CHECK_OK(ps_expr_column(expr, "x", &column, NULL));
        int32_t root = call(expr, "is_null", column, -1);
        for (int64_t n = 0; n < place; n++) {
            root = call(expr, "not", root, -1);
        }
        root = call(expr, "and", root, call(expr, "not", root, -1)); /* false */
        for (uint64_t k = 1; k <= COMPARISONS; k++) {
            CHECK_OK(ps_expr_u64(expr, 2 * k, &literal, NULL));
            root = call(expr, "or", root, call(expr, "equal", column, literal));
        }
        CHECK_OK(ps_program_compile(large.mem, expr, root, large.schema, &program, NULL));
        CHECK_OK(ps_program_filter(program, large.batch, NULL, large.mem, &passed, &all, NULL));
        int64_t at = 0;
        for (int64_t row = 0; row < ROWS; row++) {
            if (x_valid[row] && x[row] > 0 && x[row] % 2 == 0) {
                CHECK(at < passed->count && passed->rows[at] == row);
                at++;
            }
        }
        CHECK_EQ(passed->count, at);
        ps_selection_release(passed);
        ps_program_destroy(program);
        ps_expr_destroy(expr);
    }
}

static void test_bad_roots_and_nodes(void)
{
    ps_expr *expr;
    ps_program *program;
    ps_error err = {0};
    int32_t node;
    CHECK_OK(ps_expr_create(large.mem, &expr, NULL));
    CHECK_EQ(ps_program_compile(large.mem, expr, 0, large.schema, &program, &err), PS_INVALID);
    CHECK_EQ(ps_expr_call(expr, "not", (const int32_t[]){3}, 1, NULL, 0, &node, &err), PS_INVALID);
    CHECK(strstr(err.text, "not: argument 0 is node 3, of 0 nodes") != NULL);
    CHECK_EQ(ps_expr_i64(expr, 1, "g", &node, &err), PS_TYPE);
    CHECK_EQ(ps_expr_i64(expr, (int64_t)INT32_MAX + 1, "tdD", &node, &err), PS_OVERFLOW);
    CHECK(strstr(err.text, "2147483648 does not fit the type 'tdD'") != NULL);
    CHECK_OK(ps_expr_i64(expr, INT32_MIN, "tdD", &node, &err));
    ps_expr_destroy(expr);
}

int main(void)
{
    begin_large();
    RUN(test_numbers_across_chunks);
    RUN(test_validity_begins_late);
    RUN(test_bools_and_strings_across_chunks);
    RUN(test_filters);
    RUN(test_into_a_shared_block);
    RUN(test_what_a_program_says);
    RUN(test_equal_parts_are_computed_once);
    RUN(test_null_in_dictionaries);
    RUN(test_dictionaries_are_forgotten);
    RUN(test_refused_memory);
    RUN(test_long_expressions);
    RUN(test_bad_roots_and_nodes);
    kit_close(&large);
    return 0;
}
