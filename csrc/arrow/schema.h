/* schema.h -- Arrow format strings as types, and reference-counted schemas.
 *
 * ps_type says how a column is read; a field keeps a deep copy of its ArrowSchema, so that names,
 * metadata, time zones and nested types leave the engine exactly as they came in.
 * A ps_schema is immutable once made; retain and release from any thread.
 */
#ifndef PS_ARROW_SCHEMA_H
#define PS_ARROW_SCHEMA_H

#include "arrow/abi.h"
#include "base/mem.h"

typedef enum ps_type_id {
    PS_TYPE_NULL = 0,
    PS_TYPE_BOOL,
    PS_TYPE_INT8,
    PS_TYPE_INT16,
    PS_TYPE_INT32,
    PS_TYPE_INT64,
    PS_TYPE_UINT8,
    PS_TYPE_UINT16,
    PS_TYPE_UINT32,
    PS_TYPE_UINT64,
    PS_TYPE_FLOAT16, /* carried through only */
    PS_TYPE_FLOAT32,
    PS_TYPE_FLOAT64,
    PS_TYPE_DATE32,    /* days */
    PS_TYPE_DATE64,    /* milliseconds */
    PS_TYPE_TIME32,    /* unit s or ms */
    PS_TYPE_TIME64,    /* unit us or ns */
    PS_TYPE_TIMESTAMP, /* int64 of unit since the epoch, UTC */
    PS_TYPE_DURATION,  /* int64 of unit */
    PS_TYPE_DECIMAL128,
    PS_TYPE_UTF8,         /* int32 offsets */
    PS_TYPE_LARGE_UTF8,   /* int64 offsets */
    PS_TYPE_UTF8_VIEW,    /* 16-byte views */
    PS_TYPE_BINARY,       /* int32 offsets */
    PS_TYPE_LARGE_BINARY, /* int64 offsets */
    PS_TYPE_BINARY_VIEW,  /* 16-byte views */
    PS_TYPE_FIXED_BINARY, /* width bytes each */
    PS_TYPE_OPAQUE,       /* nested, decimal256, interval, union, run-end: carried through */
} ps_type_id;

typedef enum ps_unit { PS_UNIT_NONE = 0, PS_UNIT_S, PS_UNIT_MS, PS_UNIT_US, PS_UNIT_NS } ps_unit;

typedef struct ps_type {
    uint8_t id;        /* ps_type_id of the values (for a dictionary: of its values) */
    uint8_t index;     /* ps_type_id of the indices when dictionary-encoded, else 0 */
    uint8_t unit;      /* ps_unit */
    uint8_t has_zone;  /* timestamp with a time zone (its name stays in the field's ArrowSchema) */
    int32_t width;     /* bytes of one value when fixed: 1..16 or fixed_binary's; 0 for bool, var */
    int32_t precision; /* decimal128 */
    int32_t scale;
} ps_type;

typedef struct ps_field {
    const char *name; /* inside arrow */
    ps_type type;
    bool nullable;
    ArrowSchema arrow; /* owned deep copy */
} ps_field;

typedef struct ps_schema {
    ps_owner owner;
    ps_mem *mem;
    int32_t field_count;
    ps_field fields[];
} ps_schema;

/* Reads one ArrowSchema (its format, dictionary, flags) into a type. */
PS_MUST_CHECK ps_status ps_type_parse(const ArrowSchema *arrow, ps_type *out, ps_error *err);
/* "int64", "timestamp[us, UTC]", "dictionary<utf8>": into text, always terminated. */
void ps_type_describe(const ps_type *type, char *text, size_t size_bytes);
bool ps_type_equal(const ps_type *a, const ps_type *b);
/* A canonical Arrow format string for a plain (not dictionary, not opaque) type. zone NULL or
 * "UTC". */
PS_MUST_CHECK ps_status ps_type_format(const ps_type *type, const char *zone, char *text,
                                       size_t size_bytes, ps_error *err);

static inline bool ps_type_is_integer(ps_type_id id)
{
    return id >= PS_TYPE_INT8 && id <= PS_TYPE_UINT64;
}
static inline bool ps_type_is_unsigned(ps_type_id id)
{
    return id >= PS_TYPE_UINT8 && id <= PS_TYPE_UINT64;
}
static inline bool ps_type_is_float(ps_type_id id)
{
    return id == PS_TYPE_FLOAT32 || id == PS_TYPE_FLOAT64;
}
static inline bool ps_type_is_string(ps_type_id id)
{
    return id >= PS_TYPE_UTF8 && id <= PS_TYPE_UTF8_VIEW;
}
static inline bool ps_type_is_var(ps_type_id id) /* variable length bytes of any kind */
{
    return id >= PS_TYPE_UTF8 && id <= PS_TYPE_BINARY_VIEW;
}
/* Types whose value is an integer number of something: dates, times, timestamps, durations. */
static inline bool ps_type_is_temporal(ps_type_id id)
{
    return id >= PS_TYPE_DATE32 && id <= PS_TYPE_DURATION;
}

/* Makes a schema from a struct type ("+s"), which stays the caller's. */
PS_MUST_CHECK ps_status ps_schema_read(ps_mem *mem, const ArrowSchema *arrow, ps_schema **out,
                                       ps_error *err);
/* The same, and moves *arrow on success: its release becomes NULL. */
PS_MUST_CHECK ps_status ps_schema_import(ps_mem *mem, ArrowSchema *arrow, ps_schema **out,
                                         ps_error *err);
/* Fills *out with an independent copy that the receiver releases. */
PS_MUST_CHECK ps_status ps_schema_export(const ps_schema *schema, ArrowSchema *out, ps_error *err);
/* Deep copy of one ArrowSchema; nested children and dictionary included; other_name may be NULL. */
PS_MUST_CHECK ps_status ps_arrow_schema_copy(ps_mem *mem, const ArrowSchema *from,
                                             const char *other_name, ArrowSchema *out,
                                             ps_error *err);
void ps_schema_retain(ps_schema *schema);
void ps_schema_release(ps_schema *schema); /* NULL allowed */
/* Index of the first field of that name, or -1. */
int32_t ps_schema_find(const ps_schema *schema, const char *name);
/* PS_INVALID with the first difference ("column 'x' was int64, is utf8") when types, names or
 * order differ. Nullability and metadata may differ. */
PS_MUST_CHECK ps_status ps_schema_same(const ps_schema *expected, const ps_schema *found,
                                       ps_error *err);

/* Makes a schema field by field: outputs of operators. finish hands over the only reference. */
typedef struct ps_schema_builder ps_schema_builder;
PS_MUST_CHECK ps_status ps_schema_builder_create(ps_mem *mem, int32_t field_count,
                                                 ps_schema_builder **out, ps_error *err);
/* A field like `like` under another name (NULL keeps it). */
PS_MUST_CHECK ps_status ps_schema_builder_copy(ps_schema_builder *builder, const ps_field *like,
                                               const char *name, ps_error *err);
/* A plain field; zone NULL or "UTC" (timestamps). */
PS_MUST_CHECK ps_status ps_schema_builder_add(ps_schema_builder *builder, const char *name,
                                              const ps_type *type, const char *zone, bool nullable,
                                              ps_error *err);
PS_MUST_CHECK ps_status ps_schema_builder_finish(ps_schema_builder *taken, ps_schema **out,
                                                 ps_error *err);
void ps_schema_builder_destroy(ps_schema_builder *builder); /* NULL allowed */

#endif
