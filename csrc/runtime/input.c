/* input.c -- see input.h. */
#include "runtime/input.h"

#include <inttypes.h>
#include <string.h>

void ps_input_init(ps_input *input, ps_mem *mem, const char *name, ps_schema *schema,
                   const bool *wanted)
{
    *input = (ps_input){
        .mem = mem, .name = name, .schema = schema, .wanted = wanted, .watermark = PS_TIME_MIN};
    ps_schema_retain(schema);
    ps_fifo_init(&input->waiting, mem);
}

void ps_input_fini(ps_input *input)
{
    if (input->schema != NULL) {
        ps_fifo_fini(&input->waiting);
        ps_schema_release(input->schema);
        input->schema = NULL;
    }
}

/* Names the input in an error, unless something closer has been named. */
static ps_status stamp(const ps_input *input, ps_status status, ps_error *err)
{
    return ps_error_place(err, status, input->name);
}

static ps_status check_open(const ps_input *input, ps_error *err)
{
    if (input->finished) {
        return stamp(input,
                     ps_fail(err, PS_INVALID, "input '%s' is finished: nothing can be added to it",
                             input->name),
                     err);
    }
    return PS_OK;
}

ps_status ps_input_set_idle(ps_input *input, bool idle, ps_error *err)
{
    if (input->finished || input->idle == idle) {
        return PS_OK;
    }
    const ps_message message = {.kind = PS_MESSAGE_IDLE, .value = idle};
    PS_TRY(ps_fifo_put(&input->waiting, &message, err));
    input->idle = idle;
    return PS_OK;
}

static ps_status wait_batch(ps_input *input, ps_batch *batch, ps_error *err)
{
    const ps_message message = ps_message_of(batch, NULL, ps_batch_size_bytes(batch));
    ps_batch_retain(batch);
    const ps_status status = ps_fifo_put(&input->waiting, &message, err);
    if (status != PS_OK) {
        ps_batch_release(batch);
    }
    return status;
}

/* Takes back what was put after the first `count` messages. */
static void take_back(ps_fifo *fifo, int64_t count)
{
    ps_message message;
    while (fifo->count > count && ps_fifo_take_last(fifo, &message)) {
        ps_message_clear(&message);
    }
}

static ps_status cut(ps_input *input, ps_batch *batch, ps_error *err)
{
    if (batch->length == 0) {
        return PS_OK;
    }
    PS_TRY(ps_input_set_idle(input, false, err)); /* a row wakes it */
    if (batch->length <= PS_INPUT_ROWS) {
        return wait_batch(input, batch, err);
    }
    const int64_t before = input->waiting.count;
    for (int64_t start = 0; start < batch->length; start += PS_INPUT_ROWS) {
        ps_batch *part = NULL;
        const int64_t length = ps_min_i64(batch->length - start, PS_INPUT_ROWS);
        ps_status status = ps_batch_slice(batch, start, length, &part, err);
        if (status == PS_OK) {
            status = wait_batch(input, part, err);
            ps_batch_release(part);
        }
        if (status != PS_OK) {
            take_back(&input->waiting, before);
            return status;
        }
    }
    return PS_OK;
}

static ps_status offer(ps_input *input, ps_batch *batch, ps_error *err)
{
    PS_TRY(cut(input, batch, err));
    const int64_t offered = atomic_load_explicit(&input->offered, memory_order_relaxed); /* ours */
    atomic_store_explicit(&input->offered, offered + batch->length, memory_order_relaxed);
    return PS_OK;
}

ps_status ps_input_push(ps_input *input, ArrowArray *array, ps_error *err)
{
    PS_TRY(check_open(input, err));
    ps_batch *batch = NULL;
    ps_status status =
        ps_batch_import(input->mem, input->schema, array, input->wanted, &batch, err);
    if (status == PS_OK) {
        status = offer(input, batch, err);
        ps_batch_release(batch);
    }
    return stamp(input, status, err);
}

ps_status ps_input_push_batch(ps_input *input, ps_batch *batch, ps_error *err)
{
    PS_TRY(check_open(input, err));
    ps_status status = PS_OK;
    if (batch->schema != input->schema) {
        status = ps_schema_same(input->schema, batch->schema, err);
    }
    if (status == PS_OK) {
        status = offer(input, batch, err);
    }
    return stamp(input, status, err);
}

ps_status ps_input_push_watermark(ps_input *input, int64_t watermark, ps_error *err)
{
    PS_TRY(check_open(input, err));
    if (watermark <= input->watermark) {
        return PS_OK;
    }
    const ps_message message = {.kind = PS_MESSAGE_WATERMARK, .value = watermark};
    PS_TRY(ps_fifo_put(&input->waiting, &message, err));
    input->watermark = watermark;
    return PS_OK;
}

ps_status ps_input_finish(ps_input *input, ps_error *err)
{
    PS_TRY(check_open(input, err));
    PS_TRY(ps_input_push_watermark(input, PS_TIME_MAX, err));
    PS_TRY(ps_fifo_put(&input->waiting, &(ps_message){.kind = PS_MESSAGE_END}, err));
    input->finished = true;
    return PS_OK;
}

ps_status ps_input_push_barrier(ps_input *input, int64_t epoch, ps_error *err)
{
    PS_TRY(check_open(input, err));
    const ps_message message = {.kind = PS_MESSAGE_BARRIER, .value = epoch};
    return ps_fifo_put(&input->waiting, &message, err);
}

static ps_status stream_failed(const ps_input *input, ArrowArrayStream *stream, int code,
                               ps_error *err)
{
    const char *text = stream->get_last_error(stream);
    if (text == NULL || text[0] == '\0') {
        text = strerror(code);
    }
    return ps_fail(err, PS_SOURCE, "source '%s' failed: %s", input->name, text);
}

/* A stream seen for the first time must have the input's schema. */
static ps_status check_stream(ps_input *input, ArrowArrayStream *stream, ps_error *err)
{
    if (input->stream == stream && input->stream_data == stream->private_data) {
        return PS_OK;
    }
    ArrowSchema arrow;
    const int code = stream->get_schema(stream, &arrow);
    if (code != 0) {
        return stream_failed(input, stream, code, err);
    }
    ps_schema *schema = NULL;
    ps_status status = ps_schema_import(input->mem, &arrow, &schema, err);
    if (status == PS_OK) {
        status = ps_schema_same(input->schema, schema, err);
        ps_schema_release(schema);
    } else if (arrow.release != NULL) {
        arrow.release(&arrow);
    }
    if (status == PS_OK) {
        input->stream = stream;
        input->stream_data = stream->private_data;
    }
    return status;
}

ps_status ps_input_next(ps_input *input, ArrowArrayStream *stream, ArrowArray *array, bool *end,
                        ps_error *err)
{
    *end = false;
    PS_TRY(check_open(input, err));
    PS_TRY(stamp(input, check_stream(input, stream, err), err));
    array->release = NULL;
    const int code = stream->get_next(stream, array);
    if (code != 0) {
        input->stream = NULL;
        return stamp(input, stream_failed(input, stream, code, err), err);
    }
    if (array->release == NULL) {
        input->stream = NULL;
        *end = true;
    }
    return PS_OK;
}
