/* type.c -- Arrow format strings to ps_type and back. */
#include "arrow/schema.h"

#include <stdio.h>
#include <string.h>

typedef struct type_name {
    const char *name;
    char format[3]; /* of types that are nothing but their letters */
    int8_t width;
} type_name;

static const type_name type_names[] = {
    [PS_TYPE_NULL] = {"null", "n", 0},
    [PS_TYPE_BOOL] = {"bool", "b", 0},
    [PS_TYPE_INT8] = {"int8", "c", 1},
    [PS_TYPE_INT16] = {"int16", "s", 2},
    [PS_TYPE_INT32] = {"int32", "i", 4},
    [PS_TYPE_INT64] = {"int64", "l", 8},
    [PS_TYPE_UINT8] = {"uint8", "C", 1},
    [PS_TYPE_UINT16] = {"uint16", "S", 2},
    [PS_TYPE_UINT32] = {"uint32", "I", 4},
    [PS_TYPE_UINT64] = {"uint64", "L", 8},
    [PS_TYPE_FLOAT16] = {"float16", "e", 2},
    [PS_TYPE_FLOAT32] = {"float32", "f", 4},
    [PS_TYPE_FLOAT64] = {"float64", "g", 8},
    [PS_TYPE_DATE32] = {"date32", "", 4},
    [PS_TYPE_DATE64] = {"date64", "", 8},
    [PS_TYPE_TIME32] = {"time32", "", 4},
    [PS_TYPE_TIME64] = {"time64", "", 8},
    [PS_TYPE_TIMESTAMP] = {"timestamp", "", 8},
    [PS_TYPE_DURATION] = {"duration", "", 8},
    [PS_TYPE_DECIMAL128] = {"decimal128", "", 16},
    [PS_TYPE_UTF8] = {"utf8", "u", 0},
    [PS_TYPE_LARGE_UTF8] = {"large_utf8", "U", 0},
    [PS_TYPE_UTF8_VIEW] = {"utf8_view", "vu", 0},
    [PS_TYPE_BINARY] = {"binary", "z", 0},
    [PS_TYPE_LARGE_BINARY] = {"large_binary", "Z", 0},
    [PS_TYPE_BINARY_VIEW] = {"binary_view", "vz", 0},
    [PS_TYPE_FIXED_BINARY] = {"fixed_binary", "", 0},
    [PS_TYPE_OPAQUE] = {"nested", "", 0},
};
#define TYPE_COUNT ((int32_t)(sizeof(type_names) / sizeof(type_names[0])))

static ps_status unknown_format(const char *format, ps_error *err)
{
    return ps_fail(err, PS_UNSUPPORTED, "'%.60s' is not an Arrow format string known here", format);
}

static ps_unit unit_of(char letter)
{
    switch (letter) {
    case 's': return PS_UNIT_S;
    case 'm': return PS_UNIT_MS;
    case 'u': return PS_UNIT_US;
    case 'n': return PS_UNIT_NS;
    default: return PS_UNIT_NONE;
    }
}

/* Formats that begin with t: dates, times, timestamps, durations, intervals. */
static ps_status parse_temporal(const char *format, ps_type *out, ps_error *err)
{
    const char kind = format[1];
    const char unit = kind == '\0' ? '\0' : format[2];
    if (unit == '\0') {
        return unknown_format(format, err);
    }
    const char *rest = format + 3;
    if (kind == 'd' && *rest == '\0' && (unit == 'D' || unit == 'm')) {
        out->id = unit == 'D' ? PS_TYPE_DATE32 : PS_TYPE_DATE64;
        out->width = unit == 'D' ? 4 : 8;
        return PS_OK;
    }
    if (kind == 'i' && *rest == '\0' && (unit == 'M' || unit == 'D' || unit == 'n')) {
        out->id = PS_TYPE_OPAQUE;
        return PS_OK;
    }
    out->unit = (uint8_t)unit_of(unit);
    if (out->unit == PS_UNIT_NONE) {
        return unknown_format(format, err);
    }
    out->width = 8;
    if (kind == 't' && *rest == '\0') {
        const bool is_short = out->unit == PS_UNIT_S || out->unit == PS_UNIT_MS;
        out->id = is_short ? PS_TYPE_TIME32 : PS_TYPE_TIME64;
        out->width = is_short ? 4 : 8;
        return PS_OK;
    }
    if (kind == 'D' && *rest == '\0') {
        out->id = PS_TYPE_DURATION;
        return PS_OK;
    }
    if (kind == 's' && *rest == ':') {
        out->id = PS_TYPE_TIMESTAMP;
        out->has_zone = rest[1] != '\0';
        return PS_OK;
    }
    return unknown_format(format, err);
}

/* "w:16" and "d:precision,scale[,bits]". */
static ps_status parse_sized(const char *format, ps_type *out, ps_error *err)
{
    int width, precision, scale, bits = 128;
    int used = 0;
    if (format[0] == 'w') {
        if (sscanf(format, "w:%9d%n", &width, &used) != 1 || format[used] != '\0' || width < 0) {
            return unknown_format(format, err);
        }
        out->id = PS_TYPE_FIXED_BINARY;
        out->width = width;
        return PS_OK;
    }
    if (sscanf(format, "d:%9d,%9d%n", &precision, &scale, &used) != 2) {
        return unknown_format(format, err);
    }
    if (format[used] == ',') {
        const char *rest = format + used;
        if (sscanf(rest, ",%9d%n", &bits, &used) != 1) {
            return unknown_format(format, err);
        }
        format = rest;
    }
    if (format[used] != '\0' || (bits != 32 && bits != 64 && bits != 128 && bits != 256)) {
        return unknown_format(format, err);
    }
    if (bits != 128) {
        out->id = PS_TYPE_OPAQUE;
        return PS_OK;
    }
    out->id = PS_TYPE_DECIMAL128;
    out->width = 16;
    out->precision = precision;
    out->scale = scale;
    return PS_OK;
}

static ps_status parse_nested(const char *format, ps_error *err)
{
    int size, used = 0;
    static const char *const plain[] = {"+l", "+L", "+vl", "+vL", "+s", "+m", "+r"};
    for (size_t i = 0; i < sizeof(plain) / sizeof(plain[0]); i++) {
        if (strcmp(format, plain[i]) == 0) {
            return PS_OK;
        }
    }
    if (strncmp(format, "+ud:", 4) == 0 || strncmp(format, "+us:", 4) == 0) {
        return PS_OK;
    }
    if (sscanf(format, "+w:%9d%n", &size, &used) == 1 && format[used] == '\0' && size >= 0) {
        return PS_OK;
    }
    return unknown_format(format, err);
}

static ps_status parse_format(const char *format, ps_type *out, ps_error *err)
{
    *out = (ps_type){0};
    switch (format[0]) {
    case 't': return parse_temporal(format, out, err);
    case 'w':
    case 'd': return parse_sized(format, out, err);
    case '+': out->id = PS_TYPE_OPAQUE; return parse_nested(format, err);
    case '\0': return unknown_format(format, err);
    default: break;
    }
    for (int32_t id = 0; id < TYPE_COUNT; id++) {
        if (strcmp(format, type_names[id].format) == 0) {
            out->id = (uint8_t)id;
            out->width = type_names[id].width;
            return PS_OK;
        }
    }
    return unknown_format(format, err);
}

ps_status ps_type_parse(const ArrowSchema *arrow, ps_type *out, ps_error *err)
{
    if (arrow->format == NULL) {
        return ps_fail(err, PS_CORRUPT, "an Arrow schema without a format string");
    }
    PS_TRY(parse_format(arrow->format, out, err));
    if (arrow->dictionary == NULL) {
        return PS_OK;
    }
    const ps_type index = *out;
    if (!ps_type_is_integer(index.id)) {
        return ps_fail(err, PS_CORRUPT, "dictionary indices are '%.20s', must be an integer type",
                       arrow->format);
    }
    PS_TRY(ps_type_parse(arrow->dictionary, out, err));
    if (out->id == PS_TYPE_OPAQUE || out->id == PS_TYPE_NULL || out->index != 0) {
        *out = (ps_type){.id = PS_TYPE_OPAQUE};
        return PS_OK;
    }
    out->index = index.id;
    return PS_OK;
}

static const char *unit_name(uint8_t unit)
{
    static const char *const names[] = {"", "s", "ms", "us", "ns"};
    return unit <= PS_UNIT_NS ? names[unit] : "";
}

void ps_type_describe(const ps_type *type, char *text, size_t size_bytes)
{
    const char *name = type->id < TYPE_COUNT ? type_names[type->id].name : "unknown";
    char plain[64];
    switch (type->id) {
    case PS_TYPE_TIMESTAMP:
        (void)snprintf(plain, sizeof(plain), "timestamp[%s%s]", unit_name(type->unit),
                       type->has_zone ? ", UTC" : "");
        break;
    case PS_TYPE_TIME32:
    case PS_TYPE_TIME64:
    case PS_TYPE_DURATION:
        (void)snprintf(plain, sizeof(plain), "%s[%s]", name, unit_name(type->unit));
        break;
    case PS_TYPE_DECIMAL128:
        (void)snprintf(plain, sizeof(plain), "decimal128(%d, %d)", type->precision, type->scale);
        break;
    case PS_TYPE_FIXED_BINARY:
        (void)snprintf(plain, sizeof(plain), "fixed_binary[%d]", type->width);
        break;
    default: (void)snprintf(plain, sizeof(plain), "%s", name); break;
    }
    (void)snprintf(text, size_bytes, type->index != 0 ? "dictionary<%s>" : "%s", plain);
}

bool ps_type_equal(const ps_type *a, const ps_type *b)
{
    return a->id == b->id && a->index == b->index && a->unit == b->unit &&
           a->has_zone == b->has_zone && a->width == b->width && a->precision == b->precision &&
           a->scale == b->scale;
}

ps_status ps_type_format(const ps_type *type, const char *zone, char *text, size_t size_bytes,
                         ps_error *err)
{
    static const char units[] = {'?', 's', 'm', 'u', 'n'};
    const char unit = type->unit <= PS_UNIT_NS ? units[type->unit] : '?';
    int written = -1;
    if (type->index == 0) {
        switch (type->id) {
        case PS_TYPE_DATE32: written = snprintf(text, size_bytes, "tdD"); break;
        case PS_TYPE_DATE64: written = snprintf(text, size_bytes, "tdm"); break;
        case PS_TYPE_TIME32:
        case PS_TYPE_TIME64: written = snprintf(text, size_bytes, "tt%c", unit); break;
        case PS_TYPE_DURATION: written = snprintf(text, size_bytes, "tD%c", unit); break;
        case PS_TYPE_TIMESTAMP:
            if (zone == NULL) {
                zone = type->has_zone ? "UTC" : "";
            }
            written = snprintf(text, size_bytes, "ts%c:%s", unit, zone);
            break;
        case PS_TYPE_DECIMAL128:
            written = snprintf(text, size_bytes, "d:%d,%d", type->precision, type->scale);
            break;
        case PS_TYPE_FIXED_BINARY: written = snprintf(text, size_bytes, "w:%d", type->width); break;
        default:
            if (type->id < PS_TYPE_OPAQUE) {
                written = snprintf(text, size_bytes, "%s", type_names[type->id].format);
            }
        }
    }
    if (written < 0 || (size_t)written >= size_bytes) {
        char name[96];
        ps_type_describe(type, name, sizeof(name));
        return ps_fail(err, PS_TYPE, "%s has no plain Arrow format string", name);
    }
    return PS_OK;
}
