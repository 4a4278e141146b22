/* canonical.c -- expressions as text; see canonical.h. */
#include "expr/canonical.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/hash.h"
#include "expr/forest.h"
#include "expr/text.h"

#define HASH_TEXT 17 /* a tilde and 16 digits */

typedef struct writer {
    char *text;
    size_t size; /* of the whole, fitting or not */
    uint64_t hash;
} writer;

static void put(writer *w, const void *data, size_t size)
{
    if (w->size < PS_CANONICAL_TEXT - 1) {
        const size_t room = PS_CANONICAL_TEXT - 1 - w->size;
        memcpy(w->text + w->size, data, size < room ? size : room);
    }
    w->size += size;
    w->hash = ps_hash_combine(w->hash, ps_hash_bytes(data, size));
}

static void put_text(writer *w, const char *text)
{
    put(w, text, strlen(text));
}

static bool is_word(const char *name)
{
    if (*name == '\0' || (*name >= '0' && *name <= '9')) {
        return false;
    }
    for (; *name != '\0'; name++) {
        const char c = *name;
        if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
              c == '_')) {
            return false;
        }
    }
    return true;
}

/* A name or a text between marks; a mark inside is doubled. */
static void put_marked(writer *w, const char *data, size_t size, char mark)
{
    put(w, &mark, 1);
    for (size_t i = 0, start = 0; i < size; i++) {
        if (data[i] == mark || i + 1 == size) {
            put(w, data + start, i + 1 - start);
            start = i + 1;
            if (data[i] == mark) {
                put(w, &mark, 1);
            }
        }
    }
    put(w, &mark, 1);
}

static void put_literal(writer *w, const ps_node *node)
{
    char text[PS_TEXT_MAX + 32];
    const ps_class kind =
        node->type.id == PS_TYPE_NULL ? PS_CLASS_NONE : ps_type_class(&node->type);
    switch (kind) {
    case PS_CLASS_BOOL: put_text(w, node->value.b != 0 ? "true" : "false"); return;
    case PS_CLASS_I64: (void)ps_text_from_i64(node->value.i, text); break;
    case PS_CLASS_U64: (void)ps_text_from_u64(node->value.u, text); break;
    case PS_CLASS_F64: (void)ps_text_from_f64(node->value.f, text); break;
    case PS_CLASS_STR:
        put_text(w, node->type.id == PS_TYPE_UTF8 ? "" : "b");
        put_marked(w, (const char *)node->value.s.data, (size_t)node->value.s.size_bytes, '\'');
        return;
    default: put_text(w, "null"); return;
    }
    put_text(w, text);
    if (node->type.id != PS_TYPE_INT64) { /* 1 and 1.0 and one second differ */
        ps_type_describe(&node->type, text, sizeof text);
        put_text(w, ":");
        put_text(w, text);
    }
}

static void put_node(writer *w, const ps_expr *expr, int32_t root)
{
    const ps_node *node = &expr->nodes[root];
    if (node->kind == PS_NODE_LITERAL) {
        put_literal(w, node);
        return;
    }
    if (node->kind == PS_NODE_COLUMN) {
        if (is_word(node->name)) {
            put_text(w, node->name);
        } else {
            put_marked(w, node->name, strlen(node->name), '`');
        }
        return;
    }
    put_text(w, node->name);
    put_text(w, "(");
    const char *between = "";
    for (int32_t i = 0; i < node->argument_count; i++, between = ", ") {
        put_text(w, between);
        put_node(w, expr, node->arguments[i]);
    }
    if (node->text != NULL) {
        put_text(w, between);
        put_text(w, "option ");
        put_marked(w, node->text, strlen(node->text), '\'');
    }
    if (node->integer != 0) {
        char text[PS_TEXT_MAX];
        (void)ps_text_from_i64(node->integer, text);
        put_text(w, " by ");
        put_text(w, text);
    }
    put_text(w, ")");
}

void ps_expr_canonical(const ps_expr *expr, int32_t root, char text[PS_CANONICAL_TEXT])
{
    writer w = {.text = text};
    put_node(&w, expr, root);
    if (w.size < PS_CANONICAL_TEXT) {
        text[w.size] = '\0';
        return;
    }
    size_t end = PS_CANONICAL_TEXT - 1 - HASH_TEXT;
    while (((unsigned char)text[end] & 0xC0) == 0x80) { /* whole characters */
        end--;
    }
    (void)snprintf(text + end, HASH_TEXT + 1, "~%016" PRIx64, w.hash);
}
