/* stream.c -- a list of batches as an ArrowArrayStream. Pulled by one thread at a time. */
#include "arrow/batch.h"

#include <errno.h>

typedef struct stream {
    ps_mem *mem;       /* retained */
    ps_schema *schema; /* retained */
    int64_t next;
    int64_t count;
    size_t size_bytes;
    ps_error last;
    ps_batch *batches[]; /* retained; those given out are NULL */
} stream;

static int answer(ps_status status)
{
    switch (status) {
    case PS_OK: return 0;
    case PS_NO_MEMORY:
    case PS_BUDGET: return ENOMEM;
    default: return EINVAL;
    }
}

static int stream_get_schema(ArrowArrayStream *self, ArrowSchema *out)
{
    stream *own = self->private_data;
    return answer(ps_schema_export(own->schema, out, &own->last));
}

/* A batch given out is released here: what keeps it alive then is the receiver. */
static int stream_get_next(ArrowArrayStream *self, ArrowArray *out)
{
    stream *own = self->private_data;
    *out = (ArrowArray){0};
    if (own->next == own->count) {
        return 0;
    }
    const ps_status status = ps_batch_export(own->batches[own->next], out, &own->last);
    if (status == PS_OK) {
        ps_batch_release(own->batches[own->next]);
        own->batches[own->next] = NULL;
        own->next++;
    }
    return answer(status);
}

static const char *stream_get_last_error(ArrowArrayStream *self)
{
    const stream *own = self->private_data;
    return own->last.status == PS_OK ? NULL : own->last.text;
}

static void stream_release(ArrowArrayStream *self)
{
    stream *own = self->private_data;
    ps_mem *mem = own->mem;
    for (int64_t i = own->next; i < own->count; i++) {
        ps_batch_release(own->batches[i]);
    }
    ps_schema_release(own->schema);
    self->release = NULL;
    ps_free(mem, own, own->size_bytes);
    ps_mem_release(mem);
}

ps_status ps_batch_stream_export(ps_mem *mem, ps_schema *schema, ps_batch *const *batches,
                                 int64_t count, ArrowArrayStream *out, ps_error *err)
{
    for (int64_t i = 0; i < count; i++) {
        PS_TRY(ps_schema_same(schema, batches[i]->schema, err));
    }
    const size_t size = sizeof(stream) + (size_t)count * sizeof(ps_batch *);
    stream *own = ps_alloc_zeroed(mem, size);
    if (own == NULL) {
        return ps_mem_refused(mem, size, "a stream of batches", err);
    }
    own->mem = mem;
    own->schema = schema;
    own->count = count;
    own->size_bytes = size;
    ps_mem_retain(mem);
    ps_schema_retain(schema);
    for (int64_t i = 0; i < count; i++) {
        own->batches[i] = batches[i];
        ps_batch_retain(batches[i]);
    }
    *out = (ArrowArrayStream){
        .get_schema = stream_get_schema,
        .get_next = stream_get_next,
        .get_last_error = stream_get_last_error,
        .release = stream_release,
        .private_data = own,
    };
    return PS_OK;
}
