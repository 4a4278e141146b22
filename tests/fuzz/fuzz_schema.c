/* fuzz_schema.c -- any tree of ArrowSchema structs: it is read and leaves as it came, or is refused
 * with a text, and nothing is left behind either way. */
#include "arrow/schema.h"
#include "bytes.h"

static int64_t live;

static void release(ArrowSchema *schema)
{
    for (int64_t i = 0; i < schema->n_children && schema->children != NULL; i++) {
        if (schema->children[i] != NULL) {
            if (schema->children[i]->release != NULL) {
                schema->children[i]->release(schema->children[i]);
            }
            free(schema->children[i]);
        }
    }
    if (schema->dictionary != NULL) {
        if (schema->dictionary->release != NULL) {
            schema->dictionary->release(schema->dictionary);
        }
        free(schema->dictionary);
    }
    free(schema->children);
    free((void *)(uintptr_t)schema->format);
    free((void *)(uintptr_t)schema->name);
    free((void *)(uintptr_t)schema->metadata);
    schema->release = NULL;
    live--;
}

static char *text(bytes *in, uint64_t limit)
{
    const uint64_t size = bytes_below(in, limit);
    char *made = calloc(size + 1, 1);
    for (uint64_t i = 0; i < size; i++) {
        made[i] = (char)bytes_u8(in);
    }
    return made;
}

static char *format(bytes *in)
{
    static const char *const known[] = {
        "n",   "b",   "c",   "C",   "s",       "S",       "i",    "I",        "l",
        "L",   "e",   "f",   "g",   "z",       "Z",       "vz",   "u",        "U",
        "vu",  "w:3", "tdD", "tdm", "tts",     "ttn",     "tss:", "tsu:UTC",  "tDm",
        "+s",  "+l",  "+L",  "+m",  "+w:2",    "+ud:0,1", "+r",   "d:38,10",  "d:40,2,256",
        "tiM", "+vl", "+s",  "+s",  "+us:0,1", "+l",      "+s",   "d:9,2,32", "+vL"};
    if (bytes_chance(in, 8)) {
        return text(in, 16);
    }
    const char *picked = known[bytes_below(in, sizeof(known) / sizeof(known[0]))];
    char *made = calloc(strlen(picked) + 1, 1);
    memcpy(made, picked, strlen(picked));
    return made;
}

/* Consistent up to the first entry that lies about its size; what follows must not be read. */
static char *metadata(bytes *in)
{
    char *made = calloc(64, 1);
    int32_t pairs = bytes_chance(in, 6) ? (int32_t)bytes_hostile(in) : (int32_t)bytes_below(in, 3);
    size_t at = 4;
    memcpy(made, &pairs, 4);
    for (int32_t i = 0; i < 2 * (pairs < 0 ? 0 : pairs % 1000); i++) {
        int32_t size = (int32_t)bytes_below(in, 8);
        if (bytes_chance(in, 10) || at + 4 + 8 > 60) {
            size = -1 - (int32_t)bytes_below(in, 100);
        }
        memcpy(made + at, &size, 4);
        if (size < 0) {
            break;
        }
        at += 4 + (size_t)size;
    }
    if (pairs > 1000) { /* there is no room for that many: say so at once */
        pairs = -pairs;
        memcpy(made, &pairs, 4);
    }
    return made;
}

static void make(bytes *in, int depth, ArrowSchema *out)
{
    *out = (ArrowSchema){.format = format(in), .release = release};
    live++;
    out->name = bytes_chance(in, 10) ? NULL : text(in, 6);
    out->flags = bytes_u8(in);
    out->metadata = bytes_chance(in, 5) ? metadata(in) : NULL;
    out->n_children = depth < 80 && in->next != in->end ? (int64_t)bytes_below(in, 4) : 0;
    out->children = calloc((size_t)out->n_children + 1, sizeof(ArrowSchema *));
    for (int64_t i = 0; i < out->n_children; i++) {
        out->children[i] = calloc(1, sizeof(ArrowSchema));
        make(in, depth + 1, out->children[i]);
    }
    if (depth < 80 && bytes_chance(in, 6)) {
        out->dictionary = calloc(1, sizeof(ArrowSchema));
        make(in, depth + 1, out->dictionary);
    }
    if (out->n_children > 0 && bytes_chance(in, 20)) {
        ArrowSchema *child = out->children[0];
        if (child->release != NULL) {
            child->release(child);
        }
        if (bytes_chance(in, 2)) {
            free(child);
            out->children[0] = NULL;
        }
    }
    if (bytes_chance(in, 30)) {
        free((void *)(uintptr_t)out->format);
        out->format = NULL;
    }
    if (out->n_children == 0 && bytes_chance(in, 30)) {
        out->n_children = bytes_chance(in, 2) ? -1 : INT64_MIN;
    }
}

static void use(ps_mem *mem, const ps_schema *schema)
{
    ArrowSchema out;
    ps_schema *again = NULL;
    for (int32_t i = 0; i < schema->field_count; i++) {
        char described[8];
        ps_type_describe(&schema->fields[i].type, described, sizeof(described));
        (void)ps_schema_find(schema, schema->fields[i].name);
    }
    PS_CHECK(ps_schema_export(schema, &out, NULL) == PS_OK);
    PS_CHECK(ps_schema_import(mem, &out, &again, NULL) == PS_OK);
    PS_CHECK(ps_schema_same(schema, again, NULL) == PS_OK);
    ps_schema_release(again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    bytes in = {data, data + size};
    ps_mem *mem = NULL;
    ps_schema *schema = NULL;
    ps_error err;
    ArrowSchema arrow;
    ps_error_clear(&err);
    PS_CHECK(ps_mem_create(0, &mem, NULL) == PS_OK);
    if (bytes_chance(&in, 4)) {
        ps_mem_fail_at(mem, (int64_t)bytes_below(&in, 30));
    }
    make(&in, 0, &arrow);
    if (!bytes_chance(&in, 8) && arrow.format != NULL) {
        free((void *)(uintptr_t)arrow.format);
        char *top = calloc(3, 1);
        memcpy(top, "+s", 2);
        arrow.format = top;
    }
    const ps_status status = ps_schema_import(mem, &arrow, &schema, &err);
    ps_mem_fail_at(mem, 0);
    if (status == PS_OK) {
        PS_CHECK(arrow.release == NULL);
        use(mem, schema);
        ps_schema_release(schema);
    } else {
        PS_CHECK(err.text[0] != '\0' && err.status == status);
        PS_CHECK(arrow.release != NULL);
        arrow.release(&arrow);
    }
    PS_CHECK(live == 0);
    PS_CHECK(ps_mem_used(mem) == 0);
    ps_mem_release(mem);
    return 0;
}
