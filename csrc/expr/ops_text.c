/* ops_text.c -- string functions on chunks. Case is changed for ASCII letters only. */
#include <string.h>

#include "expr/ops.h"

static bool found(ps_string x, ps_string y, int64_t search)
{
    const size_t size = (size_t)y.size_bytes;
    if (y.size_bytes > x.size_bytes) {
        return false;
    }
    if (size == 0) {
        return true;
    }
    switch ((ps_search)search) {
    case PS_STARTS: return memcmp(x.data, y.data, size) == 0;
    case PS_ENDS: return memcmp(x.data + x.size_bytes - y.size_bytes, y.data, size) == 0;
    case PS_CONTAINS: return memmem(x.data, (size_t)x.size_bytes, y.data, size) != NULL;
    }
    return false;
}

static ps_status run_search(ps_call *call, ps_error *err)
{
    (void)err;
    const ps_string *a = call->a->values, *b = call->b->values;
    uint8_t *out = call->values;
    ps_call_strict(call);
    for (int64_t i = 0; i < call->n; i++) {
        out[i] = found(a[i], b[i * call->b_step], call->i);
    }
    return PS_OK;
}

/* Bytes of a word that continue a character, that is 10xxxxxx. */
static int64_t continuations(uint64_t word)
{
    const uint64_t ones = (word >> 7) & ~(word >> 6) & 0x0101010101010101u;
    return (int64_t)((ones * 0x0101010101010101u) >> 56);
}

/* Every byte that does not continue a character begins one. */
static int64_t characters(ps_string s)
{
    int64_t count = s.size_bytes, i = 0;
    uint64_t word;
    for (; i + 8 <= s.size_bytes; i += 8) {
        memcpy(&word, s.data + i, 8);
        count -= continuations(word);
    }
    if (i == s.size_bytes) {
        return count;
    }
    if (s.size_bytes >= 8) { /* the last eight bytes, without those already seen */
        memcpy(&word, s.data + s.size_bytes - 8, 8);
        return count - continuations(word >> (8 * (i + 8 - s.size_bytes)));
    }
    for (; i < s.size_bytes; i++) {
        count -= ((unsigned char)s.data[i] & 0xc0) == 0x80;
    }
    return count;
}

static ps_status run_characters(ps_call *call, ps_error *err)
{
    (void)err;
    const ps_string *a = call->a->values;
    int64_t *out = call->values;
    ps_call_strict(call);
    for (int64_t i = 0; i < call->n; i++) {
        out[i] = call->i != 0 ? a[i].size_bytes : characters(a[i]);
    }
    return PS_OK;
}

/* All strings of a chunk lie side by side, so that one loop does them. first: 'a' or 'A' */
static void change_letters(char *text, int64_t size, unsigned char first)
{
    for (int64_t i = 0; i < size; i++) {
        const unsigned char c = (unsigned char)text[i];
        text[i] = (char)(c ^ ((unsigned char)(c - first) < 26 ? 32 : 0));
    }
}

static ps_status run_change_case(ps_call *call, ps_error *err)
{
    const ps_string *a = call->a->values;
    ps_string *out = call->values;
    ps_call_strict(call);
    size_t total = 0;
    for (int64_t i = 0; i < call->n; i++) {
        total += (size_t)a[i].size_bytes;
    }
    char *at = ps_arena_alloc(call->arena, total);
    if (at == NULL) {
        return ps_mem_refused(call->arena->mem, total, call->name, err);
    }
    for (int64_t i = 0; i < call->n; i++) {
        const int64_t size = a[i].size_bytes;
        out[i] = (ps_string){.data = at, .size_bytes = size};
        if (size > 0) {
            memcpy(at, a[i].data, (size_t)size);
        }
        at += size;
    }
    change_letters(at - total, (int64_t)total, call->i != 0 ? 'a' : 'A');
    return PS_OK;
}

#define STRICT (PS_OP_STRICT | PS_OP_PURE)
const ps_op ps_op_search = {run_search, STRICT, PS_CLASS_BOOL};
const ps_op ps_op_characters = {run_characters, STRICT, PS_CLASS_I64};
const ps_op ps_op_change_case = {run_change_case, STRICT, PS_CLASS_STR};
