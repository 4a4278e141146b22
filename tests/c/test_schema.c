/* test_schema.c -- schemas in and out, deep copies, comparison, building. */
#include "arrow_make.h"

static ps_schema *import_mix(ps_mem *mem)
{
    ArrowSchema arrow;
    ps_schema *schema = NULL;
    make_mix_schema(&arrow);
    CHECK_OK(ps_schema_import(mem, &arrow, &schema, NULL));
    CHECK(arrow.release == NULL);
    return schema;
}

static void check_same_tree(const ArrowSchema *a, const ArrowSchema *b)
{
    CHECK_STR(a->format, b->format);
    CHECK_STR(a->name, b->name);
    CHECK_EQ(a->flags, b->flags);
    CHECK_EQ(a->n_children, b->n_children);
    CHECK_EQ(a->dictionary == NULL, b->dictionary == NULL);
    CHECK_EQ(a->metadata == NULL, b->metadata == NULL);
    for (int64_t i = 0; i < a->n_children; i++) {
        check_same_tree(a->children[i], b->children[i]);
    }
    if (a->dictionary != NULL) {
        check_same_tree(a->dictionary, b->dictionary);
    }
}

static void fields_are_read(void)
{
    ps_mem *mem = make_account();
    ps_schema *schema = import_mix(mem);
    CHECK_EQ(made_live, 0); /* a deep copy is kept */
    CHECK_EQ(schema->field_count, MIX_COUNT);
    CHECK_STR(schema->fields[MIX_TIME].name, "time");
    CHECK_EQ(schema->fields[MIX_TIME].type.id, PS_TYPE_TIMESTAMP);
    CHECK(schema->fields[MIX_TIME].nullable);
    CHECK_EQ(ps_schema_find(schema, "view"), MIX_VIEW);
    CHECK_EQ(ps_schema_find(schema, "nowhere"), -1);
    ps_schema_retain(schema);
    ps_schema_release(schema);
    ps_schema_release(schema);
    ps_schema_release(NULL);
    check_nothing_left(mem);
}

static void export_is_an_equal_and_independent_copy(void)
{
    ps_mem *mem = make_account();
    ArrowSchema arrow, out;
    ps_schema *schema = NULL;
    make_mix_schema(&arrow);
    const char metadata[] = "\1\0\0\0\3\0\0\0key\5\0\0\0value";
    arrow.children[1]->metadata = metadata;
    arrow.children[0]->flags = 0;
    CHECK_OK(ps_schema_read(mem, &arrow, &schema, NULL));
    CHECK_OK(ps_schema_export(schema, &out, NULL));
    ps_schema_release(schema);
    CHECK_STR(out.format, "+s");
    CHECK_EQ(out.n_children, MIX_COUNT);
    for (int i = 0; i < MIX_COUNT; i++) {
        check_same_tree(arrow.children[i], out.children[i]);
    }
    CHECK_EQ(memcmp(out.children[1]->metadata, metadata, sizeof(metadata) - 1), 0);
    ArrowSchema moved = *out.children[MIX_STRUCT];
    out.children[MIX_STRUCT]->release = NULL;
    out.release(&out);
    CHECK(out.release == NULL);
    CHECK_STR(moved.children[1]->name, "b");
    moved.release(&moved);
    arrow.release(&arrow);
    check_nothing_left(mem);
}

static void copy_takes_another_name(void)
{
    ps_mem *mem = make_account();
    ArrowSchema arrow, copy;
    make_schema(&arrow, "i", "before", 0);
    CHECK_OK(ps_arrow_schema_copy(mem, &arrow, "after", &copy, NULL));
    CHECK_STR(copy.name, "after");
    copy.release(&copy);
    CHECK_OK(ps_arrow_schema_copy(mem, &arrow, NULL, &copy, NULL));
    CHECK_STR(copy.name, "before");
    copy.release(&copy);
    free((char *)arrow.name);
    arrow.name = NULL;
    CHECK_OK(ps_arrow_schema_copy(mem, &arrow, NULL, &copy, NULL));
    CHECK(copy.name == NULL);
    copy.release(&copy);
    arrow.release(&arrow);
    check_nothing_left(mem);
}

static void check_refused(ArrowSchema *arrow, ps_status status, const char *words)
{
    ps_mem *mem = make_account();
    ps_schema *schema = NULL;
    ps_error err;
    CHECK_EQ(ps_schema_import(mem, arrow, &schema, &err), status);
    if (strstr(err.text, words) == NULL) {
        CHECK_FAIL("\"%s\" does not say \"%s\"", err.text, words);
    }
    settle(mem);
}

static void bad_schemas_are_refused(void)
{
    ArrowSchema arrow;
    make_schema(&arrow, "l", "x", 0);
    check_refused(&arrow, PS_TYPE, "of format 'l', must be a struct");
    arrow.release(&arrow);
    check_refused(&arrow, PS_INVALID, "already been released");
    make_schema(&arrow, "+s", "", 1);
    check_refused(&arrow, PS_CORRUPT, "child 0 of an Arrow schema is missing");
    make_schema(arrow.children[0], "?", "odd", 0);
    check_refused(&arrow, PS_UNSUPPORTED, "column 'odd': '?' is not an Arrow format");
    free((char *)arrow.children[0]->format);
    arrow.children[0]->format = NULL;
    check_refused(&arrow, PS_CORRUPT, "column 'odd': an Arrow schema without a format");
    arrow.children[0]->format = made_text("l");
    arrow.children[0]->metadata = "\377\377\377\377";
    check_refused(&arrow, PS_CORRUPT, "metadata of -1 pairs");
    arrow.children[0]->metadata = "\1\0\0\0\377\377\377\377";
    check_refused(&arrow, PS_CORRUPT, "an entry of -1 bytes");
    arrow.n_children = -1;
    check_refused(&arrow, PS_CORRUPT, "with -1 children");
    arrow.n_children = 1;
    ArrowSchema **children = arrow.children;
    arrow.children = NULL;
    check_refused(&arrow, PS_CORRUPT, "no pointer to them");
    arrow.children = children;
    arrow.release(&arrow);
    CHECK_EQ(made_live, 0);
}

static void nesting_is_bounded(void)
{
    ArrowSchema top;
    make_schema(&top, "+s", "", 1);
    ArrowSchema *at = top.children[0];
    for (int depth = 0; depth < 100; depth++) {
        make_schema(at, "+l", "deep", 1);
        at = at->children[0];
    }
    make_schema(at, "i", "leaf", 0);
    check_refused(&top, PS_UNSUPPORTED, "column 'deep': an Arrow schema nested more than 64");
    top.release(&top);
    CHECK_EQ(made_live, 0);
}

static void differences_are_named(void)
{
    ps_mem *mem = make_account();
    ps_schema *one = import_mix(mem), *two = NULL;
    ps_error err;
    ArrowSchema arrow;
    static const struct {
        int field;
        const char *format, *name, *want;
    } cases[] = {
        {MIX_I64, "i", "i64", "column 'i64' was int64, is int32"},
        {MIX_I64, "l", "long", "column 2 was 'i64', is 'long'"},
        {MIX_TIME, "tsu:Asia/Tokyo", "time",
         "column 'time' was timestamp[us, UTC] of Arrow format 'tsu:UTC', is of 'tsu:Asia/Tokyo'"},
    };
    CHECK_OK(ps_schema_same(one, one, &err));
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        make_mix_schema(&arrow);
        ArrowSchema *field = arrow.children[cases[i].field];
        field->release(field);
        make_schema(field, cases[i].format, cases[i].name, 0);
        CHECK_OK(ps_schema_import(mem, &arrow, &two, NULL));
        CHECK_EQ(ps_schema_same(one, two, &err), PS_INVALID);
        CHECK_STR(err.text, cases[i].want);
        ps_schema_release(two);
    }
    make_mix_schema(&arrow);
    ((char *)(uintptr_t)arrow.children[MIX_LIST]->children[0]->name)[0] = 'j'; /* does not matter */
    arrow.children[MIX_TEXT]->flags = 0;
    CHECK_OK(ps_schema_import(mem, &arrow, &two, NULL));
    CHECK_OK(ps_schema_same(one, two, &err));
    ps_schema_release(two);
    make_mix_schema(&arrow);
    ((char *)(uintptr_t)arrow.children[MIX_STRUCT]->children[0]->name)[0] = 'j'; /* does matter */
    CHECK_OK(ps_schema_import(mem, &arrow, &two, NULL));
    CHECK_EQ(ps_schema_same(one, two, &err), PS_INVALID);
    ps_schema_release(two);
    make_mix_schema(&arrow);
    ArrowSchema *last = arrow.children[MIX_NULL];
    last->release(last);
    free(last);
    arrow.n_children--;
    CHECK_OK(ps_schema_import(mem, &arrow, &two, NULL));
    CHECK_EQ(ps_schema_same(one, two, &err), PS_INVALID);
    CHECK_STR(err.text, "there were 15 columns, are 14 (column 'null' is missing)");
    CHECK_EQ(ps_schema_same(two, one, &err), PS_INVALID);
    CHECK_STR(err.text, "there were 14 columns, are 15 (column 'null' is new)");
    ps_schema_release(one);
    ps_schema_release(two);
    check_nothing_left(mem);
}

static ps_status decimal(ps_mem *mem, const char *format, ps_schema **out)
{
    ArrowSchema top;
    make_schema(&top, "+s", "", 1);
    make_schema(top.children[0], format, "d", 0);
    return ps_schema_import(mem, &top, out, NULL);
}

static void a_decimal_has_two_names(void)
{
    ps_mem *mem = make_account();
    ps_schema *brief = NULL, *full = NULL, *wide = NULL;
    CHECK_OK(decimal(mem, "d:18,3", &brief));
    CHECK_OK(decimal(mem, "d:18,3,128", &full));
    CHECK_OK(decimal(mem, "d:18,3,256", &wide));
    CHECK_OK(ps_schema_same(brief, full, NULL));
    CHECK_OK(ps_schema_same(full, brief, NULL));
    CHECK_EQ(ps_schema_same(full, wide, NULL), PS_INVALID);
    CHECK_EQ(ps_schema_same(brief, wide, NULL), PS_INVALID);
    ps_schema_release(brief);
    ps_schema_release(full);
    ps_schema_release(wide);
    check_nothing_left(mem);
}

static ps_status build(ps_mem *mem, const ps_schema *like, ps_schema **out)
{
    ps_schema_builder *builder = NULL;
    const ps_type plain = {.id = PS_TYPE_INT64, .width = 8};
    const ps_type time = {.id = PS_TYPE_TIMESTAMP, .unit = PS_UNIT_US, .width = 8};
    PS_TRY(ps_schema_builder_create(mem, 4, &builder, NULL));
    ps_status status = ps_schema_builder_copy(builder, &like->fields[MIX_DICT], "key", NULL);
    if (status == PS_OK) {
        status = ps_schema_builder_copy(builder, &like->fields[MIX_STRUCT], NULL, NULL);
    }
    if (status == PS_OK) {
        status = ps_schema_builder_add(builder, "n", &plain, NULL, false, NULL);
    }
    if (status == PS_OK) {
        status = ps_schema_builder_add(builder, "at", &time, "UTC", true, NULL);
    }
    if (status != PS_OK) {
        ps_schema_builder_destroy(builder);
        return status;
    }
    return ps_schema_builder_finish(builder, out, NULL);
}

static void builder_makes_fields(void)
{
    ps_mem *mem = make_account();
    ps_schema *like = import_mix(mem), *made = NULL;
    CHECK_OK(build(mem, like, &made));
    CHECK_STR(made->fields[0].name, "key");
    CHECK_EQ(made->fields[0].type.index, PS_TYPE_INT8);
    CHECK_STR(made->fields[1].name, "struct");
    CHECK_STR(made->fields[1].arrow.children[0]->name, "a");
    CHECK(!made->fields[2].nullable);
    CHECK(made->fields[3].nullable);
    CHECK_STR(made->fields[3].arrow.format, "tsu:UTC");
    CHECK(made->fields[3].type.has_zone);
    ps_schema_release(like);
    ps_schema_release(made);
    check_nothing_left(mem);
}

static void builder_wants_exactly_its_fields(void)
{
    ps_mem *mem = make_account();
    ps_schema_builder *builder = NULL;
    ps_schema *schema = NULL;
    const ps_type plain = {.id = PS_TYPE_INT64, .width = 8};
    CHECK_OK(ps_schema_builder_create(mem, 1, &builder, NULL));
    CHECK_EQ(ps_schema_builder_finish(builder, &schema, NULL), PS_INTERNAL);
    CHECK_OK(ps_schema_builder_add(builder, "x", &plain, NULL, true, NULL));
    CHECK_EQ(ps_schema_builder_add(builder, "y", &plain, NULL, true, NULL), PS_INTERNAL);
    ps_schema_builder_destroy(builder);
    ps_schema_builder_destroy(NULL);
    check_nothing_left(mem);
}

static void refused_memory_leaks_nothing(void)
{
    ps_mem *mem = make_account();
    ArrowSchema arrow, out;
    ps_schema *schema = NULL, *made = NULL;
    make_mix_schema(&arrow);
    int64_t n = 0;
    for (ps_status status = PS_NO_MEMORY; status != PS_OK;) {
        ps_mem_fail_at(mem, ++n);
        status = ps_schema_import(mem, &arrow, &schema, NULL);
        CHECK(status == PS_OK || (ps_mem_used(mem) == 0 && arrow.release != NULL));
    }
    CHECK(n > MIX_COUNT);
    const int64_t used = ps_mem_used(mem);
    n = 0;
    for (ps_status status = PS_NO_MEMORY; status != PS_OK;) {
        ps_mem_fail_at(mem, ++n);
        status = ps_schema_export(schema, &out, NULL);
        CHECK(status == PS_OK || (ps_mem_used(mem) == used && out.release == NULL));
    }
    out.release(&out);
    n = 0;
    for (ps_status status = PS_NO_MEMORY; status != PS_OK;) {
        ps_mem_fail_at(mem, ++n);
        status = build(mem, schema, &made);
        CHECK(status == PS_OK || ps_mem_used(mem) == used);
    }
    ps_mem_fail_at(mem, 0);
    ps_schema_release(made);
    ps_schema_release(schema);
    check_nothing_left(mem);
}

int main(void)
{
    RUN(fields_are_read);
    RUN(export_is_an_equal_and_independent_copy);
    RUN(copy_takes_another_name);
    RUN(bad_schemas_are_refused);
    RUN(nesting_is_bounded);
    RUN(differences_are_named);
    RUN(a_decimal_has_two_names);
    RUN(builder_makes_fields);
    RUN(builder_wants_exactly_its_fields);
    RUN(refused_memory_leaks_nothing);
    return 0;
}
