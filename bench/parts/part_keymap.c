/* part_keymap.c -- key interning alone: int64 keys to dense group numbers, in chunks.
 *
 * Linked with the engine's objects, because the keymap is hidden. Callers: bench/bench_keymap.py.
 */
#include "state/keymap.h"

typedef struct part_keymap {
    ps_mem *mem;
    ps_keymap *map;
} part_keymap;

int part_keymap_open(part_keymap *part);
void part_keymap_close(part_keymap *part);
int64_t part_keymap_intern(part_keymap *part, const int64_t *keys, int64_t count);
int64_t part_keymap_bytes(const part_keymap *part);
int64_t part_keymap_live(const part_keymap *part);

int part_keymap_open(part_keymap *part)
{
    ArrowSchema arrow = {.format = "l", .name = "key"};
    ps_type type;
    part->mem = NULL;
    part->map = NULL;
    if (ps_type_parse(&arrow, &type, NULL) != PS_OK ||
        ps_mem_create(0, &part->mem, NULL) != PS_OK) {
        return -1;
    }
    return ps_keymap_create(part->mem, &type, 1, &part->map, NULL) == PS_OK ? 0 : -1;
}

void part_keymap_close(part_keymap *part)
{
    ps_keymap_destroy(part->map);
    ps_mem_release(part->mem);
}

/* Interns every key, chunk by chunk; answers the sum of the group numbers, or -1. */
int64_t part_keymap_intern(part_keymap *part, const int64_t *keys, int64_t count)
{
    uint32_t gids[PS_CHUNK_ROWS];
    int64_t sum = 0;
    for (int64_t at = 0; at < count; at += PS_CHUNK_ROWS) {
        const int64_t rows = count - at < PS_CHUNK_ROWS ? count - at : PS_CHUNK_ROWS;
        const ps_vector vector = {.kind = PS_CLASS_I64, .values = keys + at};
        if (ps_keymap_intern(part->map, &vector, rows, gids, NULL) != PS_OK) {
            return -1;
        }
        for (int64_t i = 0; i < rows; i++) {
            sum += gids[i];
        }
    }
    return sum;
}

int64_t part_keymap_bytes(const part_keymap *part)
{
    return ps_keymap_bytes(part->map);
}

int64_t part_keymap_live(const part_keymap *part)
{
    return ps_keymap_live(part->map);
}
