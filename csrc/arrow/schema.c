/* schema.c -- schemas: deep copies of ArrowSchema trees, import, export, comparison, building.
 *
 * A copied ArrowSchema node is one block: its strings and the structs of its children. Each child
 * owns a block of its own, so that a consumer may move it out and release the parent.
 * A hostile tree is bounded: DEPTH_MAX levels, CHILDREN_MAX children a node, METADATA_MAX bytes.
 */
#include "arrow/schema.h"

#include <inttypes.h>
#include <string.h>

#define DEPTH_MAX 64
#define CHILDREN_MAX 100000
#define METADATA_MAX ((int64_t)64 << 20)

/* --- deep copies ------------------------------------------------------------------------------ */

typedef struct node {
    ps_mem *mem; /* retained */
    size_t size_bytes;
    ArrowSchema dictionary; /* the structs of the children follow, pointers to them, text */
} node;

static void node_release(ArrowSchema *arrow)
{
    for (int64_t i = 0; i < arrow->n_children; i++) {
        if (arrow->children[i]->release != NULL) {
            arrow->children[i]->release(arrow->children[i]);
        }
    }
    if (arrow->dictionary != NULL && arrow->dictionary->release != NULL) {
        arrow->dictionary->release(arrow->dictionary);
    }
    node *own = arrow->private_data;
    ps_mem *mem = own->mem;
    arrow->release = NULL;
    ps_free(mem, own, own->size_bytes);
    ps_mem_release(mem);
}

/* Metadata: int32 pairs, then for each key and value an int32 size and its bytes. */
static ps_status metadata_size(const char *metadata, size_t *out, ps_error *err)
{
    *out = 0;
    if (metadata == NULL) {
        return PS_OK;
    }
    int32_t pairs;
    memcpy(&pairs, metadata, 4);
    int64_t at = 4;
    if (pairs < 0) {
        return ps_fail(err, PS_CORRUPT, "schema metadata of %" PRId32 " pairs", pairs);
    }
    for (int64_t i = 0; i < 2 * (int64_t)pairs; i++) {
        int32_t size;
        memcpy(&size, metadata + at, 4);
        if (size < 0 || at + 4 + size > METADATA_MAX) {
            return ps_fail(err, PS_CORRUPT, "schema metadata with an entry of %" PRId32 " bytes",
                           size);
        }
        at += 4 + size;
    }
    *out = (size_t)at;
    return PS_OK;
}

static char *text_put(char **at, const char *text, size_t size_bytes)
{
    char *start = *at;
    memcpy(start, text, size_bytes);
    *at += size_bytes;
    return start;
}

static ps_status node_check(const ArrowSchema *from, int32_t depth, ps_error *err)
{
    if (from->format == NULL) {
        return ps_fail(err, PS_CORRUPT, "an Arrow schema without a format string");
    }
    if (depth > DEPTH_MAX) {
        return ps_fail(err, PS_UNSUPPORTED, "an Arrow schema nested more than %d levels deep",
                       DEPTH_MAX);
    }
    if (from->n_children < 0 || from->n_children > CHILDREN_MAX) {
        return ps_fail(err, PS_CORRUPT,
                       "an Arrow schema with %" PRId64 " children, at most %d are taken",
                       from->n_children, CHILDREN_MAX);
    }
    if (from->n_children > 0 && from->children == NULL) {
        return ps_fail(err, PS_CORRUPT, "an Arrow schema with children but no pointer to them");
    }
    for (int64_t i = 0; i < from->n_children; i++) {
        if (from->children[i] == NULL || from->children[i]->release == NULL) {
            return ps_fail(err, PS_CORRUPT, "child %" PRId64 " of an Arrow schema is missing", i);
        }
    }
    return PS_OK;
}

/* Allocates and fills one node without its children's content (their structs are zero). */
static ps_status node_create(ps_mem *mem, const ArrowSchema *from, const char *name,
                             ArrowSchema *out, ps_error *err)
{
    size_t metadata_bytes;
    PS_TRY(metadata_size(from->metadata, &metadata_bytes, err));
    const size_t format_bytes = strlen(from->format) + 1;
    const size_t name_bytes = name == NULL ? 0 : strlen(name) + 1;
    const size_t children = (size_t)from->n_children;
    const size_t size = sizeof(node) + children * (sizeof(ArrowSchema) + sizeof(ArrowSchema *)) +
                        format_bytes + name_bytes + metadata_bytes;
    node *own = ps_alloc_zeroed(mem, size);
    if (own == NULL) {
        return ps_mem_refused(mem, size, "an Arrow schema", err);
    }
    ps_mem_retain(mem);
    own->mem = mem;
    own->size_bytes = size;
    ArrowSchema *structs = (ArrowSchema *)(own + 1);
    ArrowSchema **pointers = (ArrowSchema **)(structs + children);
    char *text = (char *)(pointers + children);
    for (size_t i = 0; i < children; i++) {
        pointers[i] = &structs[i];
    }
    *out = (ArrowSchema){
        .format = text_put(&text, from->format, format_bytes),
        .name = name == NULL ? NULL : text_put(&text, name, name_bytes),
        .metadata = from->metadata == NULL ? NULL : text_put(&text, from->metadata, metadata_bytes),
        .flags = from->flags,
        .n_children = from->n_children,
        .children = children == 0 ? NULL : pointers,
        .dictionary = from->dictionary == NULL ? NULL : &own->dictionary,
        .release = node_release,
        .private_data = own,
    };
    return PS_OK;
}

static ps_status node_copy(ps_mem *mem, const ArrowSchema *from, const char *name, int32_t depth,
                           ArrowSchema *out, ps_error *err)
{
    PS_TRY(node_check(from, depth, err));
    PS_TRY(node_create(mem, from, name, out, err));
    ps_status status = PS_OK;
    for (int64_t i = 0; i < from->n_children && status == PS_OK; i++) {
        status = node_copy(mem, from->children[i], from->children[i]->name, depth + 1,
                           out->children[i], err);
    }
    if (from->dictionary != NULL && status == PS_OK) {
        status = node_copy(mem, from->dictionary, from->dictionary->name, depth + 1,
                           out->dictionary, err);
    }
    if (status != PS_OK) {
        node_release(out);
    }
    return status;
}

ps_status ps_arrow_schema_copy(ps_mem *mem, const ArrowSchema *from, const char *other_name,
                               ArrowSchema *out, ps_error *err)
{
    *out = (ArrowSchema){0};
    return node_copy(mem, from, other_name == NULL ? from->name : other_name, 0, out, err);
}

/* --- schemas ---------------------------------------------------------------------------------- */

static size_t schema_bytes(int32_t field_count)
{
    return sizeof(ps_schema) + (size_t)field_count * sizeof(ps_field);
}

static void schema_destroy(ps_owner *owner)
{
    ps_schema *schema = (ps_schema *)owner;
    ps_mem *mem = schema->mem;
    for (int32_t i = 0; i < schema->field_count; i++) {
        if (schema->fields[i].arrow.release != NULL) {
            schema->fields[i].arrow.release(&schema->fields[i].arrow);
        }
    }
    ps_free(mem, schema, schema_bytes(schema->field_count));
    ps_mem_release(mem);
}

static ps_status schema_create(ps_mem *mem, int32_t field_count, ps_schema **out, ps_error *err)
{
    ps_schema *schema = ps_alloc_zeroed(mem, schema_bytes(field_count));
    if (schema == NULL) {
        return ps_mem_refused(mem, schema_bytes(field_count), "a schema", err);
    }
    ps_owner_init(&schema->owner, schema_destroy);
    schema->mem = mem;
    schema->field_count = field_count;
    ps_mem_retain(mem);
    *out = schema;
    return PS_OK;
}

static ps_status field_set(ps_schema *schema, int32_t index, const ArrowSchema *like,
                           const char *name, ps_error *err)
{
    ps_field *field = &schema->fields[index];
    ps_error inner;
    ps_error_clear(&inner);
    ps_status status = ps_arrow_schema_copy(schema->mem, like, name, &field->arrow, &inner);
    if (status == PS_OK) {
        field->name = field->arrow.name == NULL ? "" : field->arrow.name;
        field->nullable = (field->arrow.flags & ARROW_FLAG_NULLABLE) != 0;
        status = ps_type_parse(&field->arrow, &field->type, &inner);
    }
    if (status != PS_OK) {
        const char *shown = name != NULL ? name : like->name != NULL ? like->name : "";
        return ps_fail(err, status, "column '%.100s': %.300s", shown, inner.text);
    }
    return PS_OK;
}

ps_status ps_schema_read(ps_mem *mem, const ArrowSchema *arrow, ps_schema **out, ps_error *err)
{
    if (arrow->release == NULL) {
        return ps_fail(err, PS_INVALID, "the Arrow schema has already been released");
    }
    PS_TRY(node_check(arrow, 0, err));
    if (strcmp(arrow->format, "+s") != 0) {
        return ps_fail(err, PS_TYPE,
                       "the Arrow schema is of format '%.60s', must be a struct of columns ('+s')",
                       arrow->format);
    }
    ps_schema *schema;
    PS_TRY(schema_create(mem, (int32_t)arrow->n_children, &schema, err));
    for (int32_t i = 0; i < schema->field_count; i++) {
        const ps_status status = field_set(schema, i, arrow->children[i], NULL, err);
        if (status != PS_OK) {
            ps_schema_release(schema);
            return status;
        }
    }
    *out = schema;
    return PS_OK;
}

ps_status ps_schema_import(ps_mem *mem, ArrowSchema *arrow, ps_schema **out, ps_error *err)
{
    PS_TRY(ps_schema_read(mem, arrow, out, err));
    arrow->release(arrow);
    arrow->release = NULL;
    return PS_OK;
}

ps_status ps_schema_export(const ps_schema *schema, ArrowSchema *out, ps_error *err)
{
    const ArrowSchema top = {.format = "+s", .name = "", .n_children = schema->field_count};
    *out = (ArrowSchema){0};
    PS_TRY(node_create(schema->mem, &top, top.name, out, err));
    for (int32_t i = 0; i < schema->field_count; i++) {
        const ps_status status = ps_arrow_schema_copy(schema->mem, &schema->fields[i].arrow, NULL,
                                                      out->children[i], err);
        if (status != PS_OK) {
            node_release(out);
            return status;
        }
    }
    return PS_OK;
}

void ps_schema_retain(ps_schema *schema)
{
    ps_owner_retain(&schema->owner);
}

void ps_schema_release(ps_schema *schema)
{
    ps_owner_release(schema == NULL ? NULL : &schema->owner);
}

int32_t ps_schema_find(const ps_schema *schema, const char *name)
{
    for (int32_t i = 0; i < schema->field_count; i++) {
        if (strcmp(schema->fields[i].name, name) == 0) {
            return i;
        }
    }
    return -1;
}

/* The same letters; "d:18,3,128" is the long way to write "d:18,3". */
static bool format_same(const char *a, const char *b)
{
    while (*a != '\0' && *a == *b) {
        a++;
        b++;
    }
    static const char bits[] = ",128";
    return strcmp(a, b) == 0 || (*a == '\0' && strcmp(b, bits) == 0) ||
           (*b == '\0' && strcmp(a, bits) == 0);
}

/* Formats all the way down; the names of a struct's children count, those of a list's do not. */
static bool arrow_same(const ArrowSchema *a, const ArrowSchema *b)
{
    if (!format_same(a->format, b->format) || a->n_children != b->n_children ||
        (a->dictionary == NULL) != (b->dictionary == NULL)) {
        return false;
    }
    const bool names_count = strcmp(a->format, "+s") == 0 || strncmp(a->format, "+u", 2) == 0;
    for (int64_t i = 0; i < a->n_children; i++) {
        const ArrowSchema *x = a->children[i], *y = b->children[i];
        const char *x_name = x->name == NULL ? "" : x->name;
        const char *y_name = y->name == NULL ? "" : y->name;
        if ((names_count && strcmp(x_name, y_name) != 0) || !arrow_same(x, y)) {
            return false;
        }
    }
    return a->dictionary == NULL || arrow_same(a->dictionary, b->dictionary);
}

ps_status ps_schema_same(const ps_schema *expected, const ps_schema *found, ps_error *err)
{
    if (expected == found) {
        return PS_OK;
    }
    const int32_t count = expected->field_count;
    for (int32_t i = 0; i < count && i < found->field_count; i++) {
        const ps_field *was = &expected->fields[i], *is = &found->fields[i];
        if (strcmp(was->name, is->name) != 0) {
            return ps_fail(err, PS_INVALID, "column %" PRId32 " was '%.100s', is '%.100s'", i,
                           was->name, is->name);
        }
        char was_type[96], is_type[96];
        ps_type_describe(&was->type, was_type, sizeof(was_type));
        ps_type_describe(&is->type, is_type, sizeof(is_type));
        if (!ps_type_equal(&was->type, &is->type)) {
            return ps_fail(err, PS_INVALID, "column '%.100s' was %s, is %s", was->name, was_type,
                           is_type);
        }
        if (!arrow_same(&was->arrow, &is->arrow)) {
            return ps_fail(err, PS_INVALID,
                           "column '%.100s' was %s of Arrow format '%.60s', is of '%.60s'",
                           was->name, was_type, was->arrow.format, is->arrow.format);
        }
    }
    if (count != found->field_count) {
        const ps_schema *longer = count > found->field_count ? expected : found;
        const int32_t first = count < found->field_count ? count : found->field_count;
        return ps_fail(err, PS_INVALID,
                       "there were %" PRId32 " columns, are %" PRId32 " (column '%.100s' is %s)",
                       count, found->field_count, longer->fields[first].name,
                       longer == found ? "new" : "missing");
    }
    return PS_OK;
}

/* --- building --------------------------------------------------------------------------------- */

struct ps_schema_builder {
    ps_mem *mem;
    ps_schema *schema; /* field_count is its room */
    int32_t filled;
};

ps_status ps_schema_builder_create(ps_mem *mem, int32_t field_count, ps_schema_builder **out,
                                   ps_error *err)
{
    PS_ASSERT(field_count >= 0);
    ps_schema_builder *builder = ps_alloc(mem, sizeof(*builder));
    if (builder == NULL) {
        return ps_mem_refused(mem, sizeof(*builder), "a schema builder", err);
    }
    builder->mem = mem;
    builder->filled = 0;
    const ps_status status = schema_create(mem, field_count, &builder->schema, err);
    if (status != PS_OK) {
        ps_free(mem, builder, sizeof(*builder));
        return status;
    }
    *out = builder;
    return PS_OK;
}

static ps_status builder_add(ps_schema_builder *builder, const ArrowSchema *like, const char *name,
                             ps_error *err)
{
    if (builder->filled == builder->schema->field_count) {
        return ps_fail(err, PS_INTERNAL, "a schema of %" PRId32 " columns is given one more",
                       builder->filled);
    }
    PS_TRY(field_set(builder->schema, builder->filled, like, name, err));
    builder->filled++;
    return PS_OK;
}

ps_status ps_schema_builder_copy(ps_schema_builder *builder, const ps_field *like, const char *name,
                                 ps_error *err)
{
    return builder_add(builder, &like->arrow, name, err);
}

ps_status ps_schema_builder_add(ps_schema_builder *builder, const char *name, const ps_type *type,
                                const char *zone, bool nullable, ps_error *err)
{
    char format[128];
    PS_TRY(ps_type_format(type, zone, format, sizeof(format), err));
    const ArrowSchema like = {
        .format = format, .name = name, .flags = nullable ? ARROW_FLAG_NULLABLE : 0};
    return builder_add(builder, &like, name, err);
}

ps_status ps_schema_builder_finish(ps_schema_builder *taken, ps_schema **out, ps_error *err)
{
    if (taken->filled != taken->schema->field_count) {
        return ps_fail(err, PS_INTERNAL, "a schema of %" PRId32 " columns has only %" PRId32,
                       taken->schema->field_count, taken->filled);
    }
    *out = taken->schema;
    ps_free(taken->mem, taken, sizeof(*taken));
    return PS_OK;
}

void ps_schema_builder_destroy(ps_schema_builder *builder)
{
    if (builder != NULL) {
        ps_mem *mem = builder->mem;
        ps_mem_retain(mem);
        ps_schema_release(builder->schema);
        ps_free(mem, builder, sizeof(*builder));
        ps_mem_release(mem);
    }
}
