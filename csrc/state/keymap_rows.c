/* keymap_rows.c -- a row of several key columns as bytes, equal where the keys are.
 *
 * A column is a byte for null, then 8 bytes: its word, or the length of a text whose bytes follow.
 */
#include "state/keymap_inside.h"

#include <string.h>

#include "state/key_bits.h"

enum { HEAD = 1 + sizeof(uint64_t) }; /* of a column */

static size_t encoded_size(const ps_vector *key, int64_t row)
{
    if (key->kind == PS_CLASS_STR && (key->valid == NULL || key->valid[row])) {
        return HEAD + (size_t)((const ps_string *)key->values)[row].size_bytes;
    }
    return HEAD;
}

static uint8_t *encode_value(uint8_t *out, const ps_vector *key, int64_t row)
{
    const bool valid = key->valid == NULL || key->valid[row];
    uint64_t word = 0;
    size_t tail = 0;
    if (valid && key->kind == PS_CLASS_STR) {
        tail = (size_t)((const ps_string *)key->values)[row].size_bytes;
        word = tail;
    } else if (valid && key->kind == PS_CLASS_F64) {
        word = ps_key_bits_f64(((const double *)key->values)[row]);
    } else if (valid && key->kind == PS_CLASS_BOOL) {
        word = ((const uint8_t *)key->values)[row] != 0;
    } else if (valid) {
        word = ((const uint64_t *)key->values)[row];
    }
    *out = valid;
    memcpy(out + 1, &word, sizeof word);
    if (tail > 0) {
        memcpy(out + HEAD, ((const ps_string *)key->values)[row].data, tail);
    }
    return out + HEAD + tail;
}

ps_status ps_keymap_rows_encode(ps_keymap *map, const ps_vector *keys, int64_t count,
                                ps_string *rows, ps_error *err)
{
    size_t total = 0;
    for (int32_t k = 0; k < map->key_count; k++) {
        for (int64_t i = 0; i < count; i++) {
            total += encoded_size(&keys[k], i);
        }
    }
    if (total > map->encoded_room) {
        const size_t room = ps_align_up(total * 2, 4096);
        uint8_t *bytes = ps_alloc(map->mem, room);
        if (bytes == NULL) {
            return ps_mem_refused(map->mem, room, "encoded keys", err);
        }
        if (map->encoded != NULL) {
            ps_free(map->mem, map->encoded, map->encoded_room);
        }
        map->encoded = bytes;
        map->encoded_room = room;
    }
    uint8_t *end = map->encoded;
    for (int64_t i = 0; i < count; i++) {
        uint8_t *start = end;
        for (int32_t k = 0; k < map->key_count; k++) {
            end = encode_value(end, &keys[k], i);
        }
        rows[i] = (ps_string){.data = (const char *)start, .size_bytes = end - start};
    }
    return PS_OK;
}

static const uint8_t *encoded_column(const uint8_t *row, const ps_keymap *map, int32_t key)
{
    for (int32_t k = 0; k < key; k++) {
        uint64_t word;
        memcpy(&word, row + 1, sizeof word);
        row += HEAD + (map->kinds[k] == PS_CLASS_STR ? word : 0);
    }
    return row;
}

void ps_keymap_rows_load(const ps_keymap *map, const uint32_t *gids, int64_t count, int32_t key,
                         ps_vector_scratch *scratch, bool *nulls)
{
    for (int64_t i = 0; i < count; i++) {
        const uint8_t *column = encoded_column(bytes_at(map, gids[i])->data, map, key);
        uint64_t word;
        memcpy(&word, column + 1, sizeof word);
        scratch->valid[i] = column[0];
        *nulls |= column[0] == 0;
        if (map->kinds[key] == PS_CLASS_STR) {
            ((ps_string *)(void *)scratch->values)[i] =
                (ps_string){.data = (const char *)column + HEAD, .size_bytes = (int64_t)word};
        } else if (map->kinds[key] == PS_CLASS_BOOL) {
            scratch->values[i] = (uint8_t)word;
        } else {
            ((uint64_t *)(void *)scratch->values)[i] = word;
        }
    }
}
