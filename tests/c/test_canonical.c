/* test_canonical.c -- one text for one expression, another for any other. */
#include "expr/canonical.h"

#include <string.h>

#include "expr_kit.h"

#define MOST 40

static char texts[MOST][PS_CANONICAL_TEXT];
static int32_t text_count;

/* A text that none before it had. */
static void expect(ps_expr *expr, int32_t root, const char *wanted)
{
    char *text = texts[text_count];
    ps_expr_canonical(expr, root, text);
    if (wanted != NULL && strcmp(text, wanted) != 0) {
        printf("%s, not %s\n", text, wanted);
        CHECK(false);
    }
    for (int32_t i = 0; i < text_count; i++) {
        CHECK(strcmp(texts[i], text) != 0);
    }
    text_count++;
}

static int32_t call(ps_expr *expr, const char *name, int32_t a, int32_t b, const char *option,
                    int64_t integer)
{
    const int32_t arguments[] = {a, b};
    int32_t node = 0;
    CHECK_OK(ps_expr_call(expr, name, arguments, b < 0 ? 1 : 2, option, integer, &node, NULL));
    return node;
}

static void texts_tell_expressions_apart(void)
{
    ps_mem *mem = NULL;
    ps_expr *expr = NULL;
    int32_t x, odd, mark, one, real, text, bytes, same, second;
    CHECK_OK(ps_mem_create(0, &mem, NULL));
    CHECK_OK(ps_expr_create(mem, &expr, NULL));
    CHECK_OK(ps_expr_column(expr, "x", &x, NULL));
    CHECK_OK(ps_expr_column(expr, "add(x, 1)", &odd, NULL));
    CHECK_OK(ps_expr_column(expr, "a`b", &mark, NULL));
    CHECK_OK(ps_expr_i64(expr, 1, NULL, &one, NULL));
    CHECK_OK(ps_expr_i64(expr, 1, "tDs", &second, NULL));
    CHECK_OK(ps_expr_f64(expr, 1.0, &real, NULL));
    CHECK_OK(ps_expr_string(expr, "it's", 4, false, &text, NULL));
    CHECK_OK(ps_expr_string(expr, "it's", 4, true, &bytes, NULL));
    expect(expr, x, "x");
    expect(expr, odd, "`add(x, 1)`");
    expect(expr, mark, "`a``b`");
    expect(expr, one, "1");
    expect(expr, real, NULL);
    expect(expr, second, NULL);
    expect(expr, text, "'it''s'");
    expect(expr, bytes, "b'it''s'");
    expect(expr, call(expr, "add", x, one, NULL, 0), "add(x, 1)");
    expect(expr, call(expr, "add", one, x, NULL, 0), "add(1, x)");
    expect(expr, call(expr, "add", x, real, NULL, 0), NULL);
    expect(expr, call(expr, "add", x, second, NULL, 0), NULL);
    expect(expr, call(expr, "cast", x, -1, "i", 0), "cast(x, option 'i')");
    expect(expr, call(expr, "round", x, -1, NULL, 2), "round(x by 2)");
    CHECK_OK(ps_expr_column(expr, "x", &same, NULL));
    char again[PS_CANONICAL_TEXT];
    ps_expr_canonical(expr, call(expr, "add", same, one, NULL, 0), again);
    CHECK(strcmp(again, "add(x, 1)") == 0);
    ps_expr_destroy(expr);
    ps_mem_release(mem);
}

static void long_ones_end_in_a_hash(void)
{
    ps_mem *mem = NULL;
    ps_expr *expr = NULL;
    int32_t wide, x, y;
    CHECK_OK(ps_mem_create(0, &mem, NULL));
    CHECK_OK(ps_expr_create(mem, &expr, NULL));
    CHECK_OK(ps_expr_column(expr, "x", &x, NULL));
    CHECK_OK(ps_expr_column(expr, "y", &y, NULL));
    CHECK_OK(ps_expr_column(expr, "\u00e9\u00e9\u00e9\u00e9\u00e9\u00e9\u00e9\u00e9", &wide, NULL));
    int32_t left = wide, right = wide;
    for (int i = 0; i < 30; i++) {
        left = call(expr, "add", left, i == 29 ? y : x, NULL, 0);
        right = call(expr, "add", right, x, NULL, 0);
        const int32_t before = text_count;
        expect(expr, right, NULL);
        CHECK(strlen(texts[before]) < PS_CANONICAL_TEXT);
        CHECK(i < 10 || strchr(texts[before], '~') != NULL);
        text_count = i == 29 ? text_count : before;
    }
    expect(expr, left, NULL);
    ps_expr_destroy(expr);
    ps_mem_release(mem);
}

int main(void)
{
    RUN(texts_tell_expressions_apart);
    RUN(long_ones_end_in_a_hash);
}
