/* fifo.c -- see fifo.h. */
#include "queue/fifo.h"

#include <string.h>

enum { FIRST_CAPACITY = 16 };

void ps_fifo_init(ps_fifo *fifo, ps_mem *mem)
{
    *fifo = (ps_fifo){.mem = mem};
}

void ps_fifo_fini(ps_fifo *fifo)
{
    ps_message message;
    while (ps_fifo_take(fifo, &message)) {
        ps_message_clear(&message);
    }
    if (fifo->items != NULL) {
        ps_free(fifo->mem, fifo->items, (size_t)fifo->capacity * sizeof(ps_message));
    }
    *fifo = (ps_fifo){.mem = fifo->mem};
}

static ps_message *slot(const ps_fifo *fifo, int64_t index)
{
    return &fifo->items[(fifo->head + index) & (fifo->capacity - 1)];
}

/* Counts a message in (1) or out (-1). */
static void note(ps_fifo *fifo, const ps_message *message, int64_t sign)
{
    fifo->rows += sign * ps_message_rows(message);
    fifo->kib += sign * (int64_t)message->size_kib;
    fifo->barriers += message->kind == PS_MESSAGE_BARRIER ? sign : 0;
    fifo->ends += message->kind == PS_MESSAGE_END ? sign : 0;
}

/* Doubles the buffer and lays the messages out from slot 0. */
static ps_status grow(ps_fifo *fifo, ps_error *err)
{
    const int64_t capacity = fifo->capacity == 0 ? FIRST_CAPACITY : fifo->capacity * 2;
    const size_t size_bytes = (size_t)capacity * sizeof(ps_message);
    ps_message *const items = ps_alloc(fifo->mem, size_bytes);
    if (items == NULL) {
        return ps_mem_refused(fifo->mem, size_bytes, "waiting messages", err);
    }
    const int64_t until_end = ps_min_i64(fifo->count, fifo->capacity - fifo->head);
    if (fifo->items != NULL) {
        memcpy(items, fifo->items + fifo->head, (size_t)until_end * sizeof(ps_message));
        memcpy(items + until_end, fifo->items,
               (size_t)(fifo->count - until_end) * sizeof(ps_message));
        ps_free(fifo->mem, fifo->items, (size_t)fifo->capacity * sizeof(ps_message));
    }
    fifo->items = items;
    fifo->capacity = capacity;
    fifo->head = 0;
    return PS_OK;
}

ps_status ps_fifo_reserve(ps_fifo *fifo, ps_error *err)
{
    return fifo->count == fifo->capacity ? grow(fifo, err) : PS_OK;
}

ps_status ps_fifo_put(ps_fifo *fifo, const ps_message *taken, ps_error *err)
{
    PS_ASSERT(taken->kind != PS_MESSAGE_NONE);
    if (taken->kind == PS_MESSAGE_WATERMARK && fifo->count > 0) {
        ps_message *const last = slot(fifo, fifo->count - 1);
        if (last->kind == PS_MESSAGE_WATERMARK) {
            PS_ASSERT(last->value <= taken->value);
            last->value = taken->value;
            return PS_OK;
        }
    }
    PS_TRY(ps_fifo_reserve(fifo, err));
    *slot(fifo, fifo->count) = *taken;
    fifo->count++;
    note(fifo, taken, 1);
    return PS_OK;
}

const ps_message *ps_fifo_first(const ps_fifo *fifo)
{
    return fifo->count > 0 ? slot(fifo, 0) : NULL;
}

bool ps_fifo_take(ps_fifo *fifo, ps_message *out)
{
    if (fifo->count == 0) {
        return false;
    }
    *out = *slot(fifo, 0);
    fifo->head = (fifo->head + 1) & (fifo->capacity - 1);
    fifo->count--;
    note(fifo, out, -1);
    return true;
}

bool ps_fifo_take_last(ps_fifo *fifo, ps_message *out)
{
    if (fifo->count == 0) {
        return false;
    }
    fifo->count--;
    *out = *slot(fifo, fifo->count);
    note(fifo, out, -1);
    return true;
}
