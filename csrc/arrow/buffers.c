/* buffers.c -- see buffers.h. */
#include "arrow/buffers.h"

static void buffers_destroy(ps_owner *owner)
{
    ps_buffers *buffers = (ps_buffers *)owner;
    ps_mem *mem = buffers->mem;
    for (int32_t i = 0; i < PS_BUFFERS_MAX; i++) {
        ps_free(mem, buffers->blocks[i].data, buffers->blocks[i].size_bytes);
    }
    ps_owner_release(buffers->leans_on[0]);
    ps_owner_release(buffers->leans_on[1]);
    ps_free(mem, buffers, sizeof(*buffers));
    ps_mem_release(mem);
}

ps_status ps_buffers_create(ps_mem *mem, ps_buffers **out, ps_error *err)
{
    ps_buffers *buffers = ps_alloc_zeroed(mem, sizeof(*buffers));
    if (buffers == NULL) {
        return ps_mem_refused(mem, sizeof(*buffers), "a column", err);
    }
    ps_owner_init(&buffers->owner, buffers_destroy);
    buffers->mem = mem;
    ps_mem_retain(mem);
    *out = buffers;
    return PS_OK;
}

ps_status ps_buffers_alloc(ps_buffers *buffers, int32_t index, size_t size_bytes, const char *what,
                           ps_error *err)
{
    PS_ASSERT(buffers->blocks[index].data == NULL);
    void *data = ps_alloc(buffers->mem, size_bytes);
    if (data == NULL) {
        return ps_mem_refused(buffers->mem, size_bytes, what, err);
    }
    buffers->blocks[index].data = data;
    buffers->blocks[index].size_bytes = size_bytes;
    return PS_OK;
}

ps_status ps_buffers_grow(ps_buffers *buffers, int32_t index, size_t size_bytes, const char *what,
                          ps_error *err)
{
    void *old = buffers->blocks[index].data;
    const size_t old_size = buffers->blocks[index].size_bytes;
    if (old != NULL && size_bytes <= old_size) {
        return PS_OK;
    }
    const size_t doubled = old_size * 2;
    const size_t size = size_bytes > doubled ? size_bytes : doubled;
    void *data = ps_realloc(buffers->mem, old, old_size, size);
    if (data == NULL) {
        return ps_mem_refused(buffers->mem, size, what, err);
    }
    buffers->blocks[index].data = data;
    buffers->blocks[index].size_bytes = size;
    return PS_OK;
}

void ps_buffers_lean(ps_buffers *buffers, ps_owner *owner)
{
    if (owner == NULL) {
        return;
    }
    const int32_t slot = buffers->leans_on[0] == NULL ? 0 : 1;
    PS_ASSERT(buffers->leans_on[slot] == NULL);
    ps_owner_retain(owner);
    buffers->leans_on[slot] = owner;
}
