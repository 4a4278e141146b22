/* bind_text.c -- search, length and case of texts. */
#include "expr/bind.h"

static bool is_text(ps_type type)
{
    return ps_type_is_string((ps_type_id)type.id);
}

static int32_t bind_search(const ps_binding *b)
{
    int32_t x, y;
    if (!ps_adopt_arguments(b, &x, &y)) {
        return -1;
    }
    const ps_type left = b->c->values[x].type, right = b->c->values[y].type;
    if (left.id == PS_TYPE_NULL && right.id == PS_TYPE_NULL) {
        return ps_emit_null(b->c, ps_plain(PS_TYPE_BOOL));
    }
    if (!ps_type_is_bytes(left) || !ps_type_is_bytes(right) || is_text(left) != is_text(right)) {
        return ps_wrong_types(b, "two strings or two binaries");
    }
    return ps_emit2(b->c, &ps_op_search, ps_plain(PS_TYPE_BOOL), x, y, b->variant);
}

/* variant 0: characters, 1: bytes */
static int32_t bind_length(const ps_binding *b)
{
    const ps_type type = ps_argument_type(b, 0);
    if (type.id == PS_TYPE_NULL) {
        return ps_emit_null(b->c, ps_plain(PS_TYPE_INT64));
    }
    if (!(b->variant == 1 ? ps_type_is_bytes(type) : is_text(type))) {
        return ps_wrong_types(b, "a string");
    }
    return ps_emit1(b->c, &ps_op_characters, ps_plain(PS_TYPE_INT64), b->arguments[0], b->variant);
}

static int32_t bind_case(const ps_binding *b)
{
    ps_type type = ps_argument_type(b, 0);
    type.index = 0;
    if (type.id == PS_TYPE_NULL) {
        return ps_emit_null(b->c, ps_plain(PS_TYPE_UTF8));
    }
    if (!is_text(type)) {
        return ps_wrong_types(b, "a string");
    }
    return ps_emit1(b->c, &ps_op_change_case, type, b->arguments[0], b->variant);
}

const ps_function ps_text_functions[] = {
    {"starts_with", bind_search, PS_STARTS, 2, 2}, {"ends_with", bind_search, PS_ENDS, 2, 2},
    {"contains", bind_search, PS_CONTAINS, 2, 2},  {"str_length", bind_length, 0, 1, 1},
    {"str_bytes", bind_length, 1, 1, 1},           {"to_lowercase", bind_case, 0, 1, 1},
    {"to_uppercase", bind_case, 1, 1, 1},          {0},
};
