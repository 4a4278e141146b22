/* fuzz_import.c -- arrays that lie: what import takes can be read, sliced, gathered, written and
 * exported without leaving its buffers; what it refuses stays the caller's.
 *
 * Buffers are as long as the array was made with. Lies are of the kind that can be found out:
 * counts, lengths and offsets that are impossible or too small, missing pointers, falling offsets,
 * views and indices out of range. (How long a buffer is nobody can find out.)
 */
#include "arrow/vector.h"
#include "bytes.h"

static int64_t live;

typedef struct counts {
    int64_t buffers, children;
    const void *first[8];
    ArrowArray *child[8], *dictionary;
} counts;

static void release(ArrowArray *array)
{
    counts *made = array->private_data;
    for (int64_t i = 0; i < made->buffers; i++) {
        free((void *)(uintptr_t)made->first[i]);
    }
    for (int64_t i = 0; i < made->children; i++) {
        if (made->child[i]->release != NULL) {
            made->child[i]->release(made->child[i]);
        }
        free(made->child[i]);
    }
    if (made->dictionary != NULL) {
        if (made->dictionary->release != NULL) {
            made->dictionary->release(made->dictionary);
        }
        free(made->dictionary);
    }
    free(array->buffers);
    free(array->children);
    free(made);
    array->release = NULL;
    live--;
}

static void *buffer(bytes *in, ArrowArray *array, int64_t index, size_t size)
{
    uint8_t *made = malloc(size);
    for (size_t i = 0; i < size; i++) {
        made[i] = (uint8_t)(in->next == in->end ? i * 37 : *in->next++);
    }
    array->buffers[index] = made;
    return made;
}

/* Mostly ascending up to `most`; the last never past it, since that could not be found out. */
static void offsets(bytes *in, ArrowArray *array, int64_t rows, bool large, int64_t most)
{
    void *made = malloc((size_t)(rows + 1) * (large ? 8 : 4));
    int64_t value = 0;
    for (int64_t i = 0; i <= rows; i++) {
        value += (int64_t)bytes_below(in, 4);
        value = value > most ? most : value;
        int64_t shown = bytes_chance(in, 200) ? bytes_hostile(in) : value;
        if (i == rows && shown > most) {
            shown = most;
        }
        if (large) {
            ((int64_t *)made)[i] = shown;
        } else {
            ((int32_t *)made)[i] = i == rows && (int32_t)shown > most ? 0 : (int32_t)shown;
        }
    }
    array->buffers[1] = made;
}

static void views(bytes *in, ArrowArray *array, int64_t rows)
{
    int32_t *made = malloc((size_t)rows * 16 + 1);
    for (int64_t i = 0; i < rows; i++) {
        made[i * 4] = (int32_t)bytes_below(in, 20);
        made[i * 4 + 1] = bytes_u8(in);
        made[i * 4 + 2] = bytes_chance(in, 200) ? (int32_t)bytes_hostile(in) : 0;
        made[i * 4 + 3] = bytes_chance(in, 200) ? (int32_t)bytes_hostile(in) : bytes_u8(in) % 12;
        if (bytes_chance(in, 200)) {
            made[i * 4] = (int32_t)bytes_hostile(in);
        }
    }
    array->buffers[1] = made;
    buffer(in, array, 2, 32);
    *(int64_t *)buffer(in, array, 3, 8) = bytes_chance(in, 200) ? -3 : 32;
}

/* Mostly in range. */
static void indices(bytes *in, const ArrowArray *array, int64_t rows, char format, int64_t size)
{
    uint8_t *values = (uint8_t *)(uintptr_t)array->buffers[1];
    const size_t width = format == 'c' ? 1 : format == 'I' ? 4 : 8;
    for (int64_t i = 0; i < rows; i++) {
        const int64_t hostile = bytes_chance(in, 200) ? bytes_hostile(in) : 0;
        const int64_t index = hostile != 0 ? hostile : (int64_t)bytes_below(in, (uint64_t)size);
        memcpy(values + (size_t)i * width, &index, width);
    }
}

static void lie(bytes *in, ArrowArray *array)
{
    if (bytes_chance(in, 90)) {
        array->length = bytes_chance(in, 2) ? INT64_MAX : array->length - bytes_u8(in);
    }
    if (bytes_chance(in, 120)) {
        array->offset = bytes_chance(in, 2) ? INT64_MAX : -1 - (int64_t)bytes_u8(in);
    }
    if (bytes_chance(in, 90)) {
        array->null_count = bytes_hostile(in);
    }
    if (bytes_chance(in, 120)) {
        array->n_buffers = bytes_chance(in, 2) ? -1 : (int64_t)bytes_below(in, 3);
    }
    if (bytes_chance(in, 120)) {
        array->n_children = bytes_chance(in, 2) ? -1 : 0;
    }
    if (array->n_buffers > 0 && bytes_chance(in, 90)) {
        array->buffers[bytes_below(in, (uint64_t)array->n_buffers)] = NULL;
    }
    if (array->n_children > 0 && bytes_chance(in, 120)) {
        array->children[0] = NULL;
    }
    if (bytes_chance(in, 150)) {
        array->dictionary = NULL;
    }
}

/* `rows` rows of a format behind a few that its offset skips; children and dictionary in turn. */
static void make(bytes *in, const ArrowSchema *schema, int64_t rows, ArrowArray *out)
{
    const char *format = schema->format;
    const bool nested = format[0] == '+';
    const bool is_view = format[0] == 'v',
               large = format[0] == 'U' || format[0] == 'Z' || format[1] == 'L';
    const bool var = is_view || large || format[0] == 'u' || format[0] == 'z';
    counts *made = calloc(1, sizeof(*made));
    made->children = schema->n_children;
    made->buffers = format[0] == 'n' ? 0 : is_view ? 4 : var && !nested ? 3 : 2;
    if (nested && (format[1] == 's' || format[1] == 'w' || format[1] == 'u')) {
        made->buffers = 1;
    }
    *out = (ArrowArray){.n_buffers = made->buffers,
                        .n_children = made->children,
                        .null_count = -1,
                        .release = release,
                        .private_data = made};
    live++;
    out->offset = (int64_t)bytes_below(in, 9);
    out->length = rows;
    const int64_t all = rows + out->offset;
    out->buffers = calloc(5, sizeof(void *));
    out->children = calloc(5, sizeof(ArrowArray *));
    if (made->buffers > 0 && (format[1] == 'u' || bytes_chance(in, 2))) {
        buffer(in, out, 0, (size_t)(format[1] == 'u' ? all : (all + 7) / 8) + 1);
    } else {
        out->null_count = 0;
    }
    if (is_view) {
        views(in, out, all);
    } else if (nested && (format[1] == 'l' || format[1] == 'L' || format[1] == 'm')) {
        offsets(in, out, all, large, bytes_chance(in, 9) ? INT32_MAX : rows);
    } else if (var) {
        offsets(in, out, all, large, 40);
        buffer(in, out, 2, 40);
    } else if (made->buffers == 2) {
        buffer(in, out, 1, (size_t)all * 32 + 1);
    }
    for (int64_t i = 0; i < made->children; i++) {
        made->child[i] = out->children[i] = calloc(1, sizeof(ArrowArray));
        const int64_t times = format[1] == 'w' ? 2 : 1;
        make(in, schema->children[i], all * times, out->children[i]);
    }
    if (schema->dictionary != NULL) {
        made->dictionary = out->dictionary = calloc(1, sizeof(ArrowArray));
        const int64_t size = bytes_chance(in, 4) ? 6000 : (int64_t)bytes_below(in, 20);
        make(in, schema->dictionary, size, out->dictionary);
        indices(in, out, all, format[0], size);
    }
    memcpy(made->first, out->buffers, sizeof(void *) * 4);
    lie(in, out);
}

/* --- what is done with a batch that came in ------------------------------------------------ */

static uint64_t sink; /* every byte of every string is read into it */

static void look(const ps_vector *vector, int64_t count)
{
    for (int64_t i = 0; vector->kind == PS_CLASS_STR && i < count; i++) {
        const ps_string *string = &((const ps_string *)vector->values)[i];
        for (int64_t k = 0; k < string->size_bytes; k++) {
            sink += (uint8_t)string->data[k];
        }
    }
}

static void rewrite(ps_mem *mem, const ps_column *column, const uint32_t *rows, int64_t count)
{
    static ps_vector_scratch scratch;
    ps_writer *writer = NULL;
    ps_type type = column->type;
    ps_column out;
    type.index = 0;
    ps_vector vector;
    ps_vector_load(column, rows, 0, count, &scratch, &vector);
    look(&vector, count);
    if (ps_writer_create(mem, &type, count, &writer, NULL) != PS_OK) {
        return;
    }
    PS_CHECK(ps_writer_append(writer, &vector, count, NULL) == PS_OK);
    PS_CHECK(ps_writer_finish(writer, &out, NULL) == PS_OK);
    PS_CHECK(out.length == count);
    ps_owner_release(out.owner);
}

static void use(ps_mem *mem, ps_batch *batch)
{
    uint32_t rows[256];
    ps_selection *selection = NULL;
    ps_batch *taken = NULL, *slice = NULL, *again = NULL;
    ArrowArray out;
    PS_CHECK(ps_selection_create(mem, 256, &selection, NULL) == PS_OK);
    for (int64_t i = 0; i < batch->length; i++) {
        rows[i] = (uint32_t)(batch->length - 1 - i);
        if (i % 2 == 0) {
            selection->rows[selection->count++] = (uint32_t)i;
        }
    }
    for (int32_t c = 0; c < batch->column_count; c++) {
        const ps_column *column = &batch->columns[c];
        sink += (uint64_t)ps_column_count_nulls(column);
        rewrite(mem, column, NULL, batch->length);
        rewrite(mem, column, rows, batch->length);
        for (int64_t i = 0; i < batch->length && column->type.index == 0; i++) {
            const ps_string string = ps_column_string(column, i);
            look(&(ps_vector){PS_CLASS_STR, &string, NULL}, 1);
        }
    }
    sink += (uint64_t)ps_batch_size_bytes(batch);
    if (ps_batch_take(batch, selection, &taken, NULL) == PS_OK) {
        PS_CHECK(ps_batch_export(taken, &out, NULL) == PS_OK);
        ps_batch_release(taken);
        out.release(&out);
    }
    PS_CHECK(ps_batch_slice(batch, batch->length / 3, batch->length / 2, &slice, NULL) == PS_OK);
    for (int32_t c = 0; c < slice->column_count; c++) {
        rewrite(mem, &slice->columns[c], NULL, slice->length);
    }
    PS_CHECK(ps_batch_export(slice, &out, NULL) == PS_OK);
    PS_CHECK(ps_batch_import(mem, slice->schema, &out, NULL, &again, NULL) == PS_OK);
    ps_batch_release(slice);
    ps_batch_release(again);
    ps_selection_release(selection);
}

/* --- schemas -------------------------------------------------------------------------------- */

static ArrowSchema nodes[64];
static ArrowSchema *pointers[64];
static int node_count;

static void no_release(ArrowSchema *schema)
{
    schema->release = NULL;
}

static ArrowSchema *schema_node(bytes *in, int depth)
{
    static const char *const known[] = {
        "n",   "b",  "c",  "s",   "l",   "L",    "f",    "g",      "u",
        "U",   "vu", "z",  "w:5", "w:0", "tdD",  "tsu:", "d:38,2", "d:60,2,256",
        "tin", "e",  "+s", "+l",  "+L",  "+w:2", "+m",   "+us:0",  "+w:0"};
    const int top = depth > 3 || node_count > 50 ? 20 : 27;
    ArrowSchema *node = &nodes[node_count];
    ArrowSchema **children = &pointers[node_count];
    node_count++;
    *node = (ArrowSchema){.format = known[bytes_below(in, (uint64_t)top)],
                          .name = "c",
                          .flags = ARROW_FLAG_NULLABLE,
                          .release = no_release};
    if (node->format[0] == '+') {
        node->n_children = 1;
        node->children = children;
        children[0] = schema_node(in, depth + 1);
    } else if (bytes_chance(in, 4)) {
        node->format = bytes_chance(in, 2) ? "c" : bytes_chance(in, 2) ? "I" : "l";
        node->dictionary = schema_node(in, depth + 3);
    }
    return node;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    bytes in = {data, data + size};
    ps_mem *mem = NULL;
    ps_schema *schema = NULL;
    ps_batch *batch = NULL;
    ps_error err;
    ArrowArray array;
    PS_CHECK(ps_mem_create(0, &mem, NULL) == PS_OK);
    node_count = 0;
    ArrowSchema *fields[3];
    const int64_t field_count = 1 + (int64_t)bytes_below(&in, 3);
    for (int64_t i = 0; i < field_count; i++) {
        fields[i] = schema_node(&in, 0);
    }
    const ArrowSchema top = {
        .format = "+s", .n_children = field_count, .children = fields, .release = no_release};
    PS_CHECK(ps_schema_read(mem, &top, &schema, NULL) == PS_OK);
    make(&in, &top, (int64_t)bytes_below(&in, 100), &array);
    ps_error_clear(&err);
    const ps_status status = ps_batch_import(mem, schema, &array, NULL, &batch, &err);
    if (status == PS_OK) {
        PS_CHECK(array.release == NULL);
        use(mem, batch);
        ps_batch_release(batch);
    } else {
        PS_CHECK(err.text[0] != '\0');
        PS_CHECK(array.release != NULL);
        array.release(&array);
    }
    ps_schema_release(schema);
    PS_CHECK(live == 0);
    PS_CHECK(ps_mem_used(mem) == 0);
    ps_mem_release(mem);
    return 0;
}
