/* aggregate_oracle.h -- what an aggregate over windows has to answer, recomputed row by row.
 *
 * The oracle reads the rows once, in order: a row counts for each of its windows that the watermark
 * before it has not closed, and is late when there is none. An answer is lines of text, compared as
 * multisets.
 */
#ifndef PS_TESTS_AGGREGATE_ORACLE_H
#define PS_TESTS_AGGREGATE_ORACLE_H

#include "aggregate_events.h"
#include "window/edges.h"

typedef struct job {
    ps_window window; /* size 0: none */
    int64_t bound;    /* out of orderness */
    int32_t key_count;
    int32_t keys[3];
    int32_t aggregate_count;
    ps_agg_spec aggregates[12]; /* input, weight: columns of the input */
} job;

/* ---- lines ---- */

#define LINE_SIZE 240

typedef struct lines {
    int64_t count, room;
    char (*text)[LINE_SIZE];
    int64_t late;
} lines;

static inline char *lines_add(lines *l)
{
    if (l->count == l->room) {
        l->room = l->room == 0 ? 256 : l->room * 2;
        l->text = realloc(l->text, (size_t)l->room * LINE_SIZE);
        CHECK(l->text != NULL);
    }
    char *line = l->text[l->count++];
    memset(line, 0, LINE_SIZE);
    return line;
}

static inline void lines_free(lines *l)
{
    free(l->text);
    *l = (lines){0};
}

static inline int compare_lines(const void *a, const void *b)
{
    return strcmp(a, b);
}

static inline void lines_sort(lines *l)
{
    if (l->count > 0) {
        qsort(l->text, (size_t)l->count, LINE_SIZE, compare_lines);
    }
}

/* Both sorted. */
static inline void lines_check(const lines *got, const lines *want, const char *how)
{
    for (int64_t i = 0; i < got->count || i < want->count; i++) {
        const char *a = i < got->count ? got->text[i] : "nothing";
        const char *b = i < want->count ? want->text[i] : "nothing";
        if (strcmp(a, b) != 0) {
            CHECK_FAIL("%s: line %" PRId64 " is\n  %s\n, not\n  %s", how, i, a, b);
        }
    }
    if (got->late != want->late) {
        CHECK_FAIL("%s: %" PRId64 " late rows, not %" PRId64, how, got->late, want->late);
    }
}

__attribute__((format(printf, 2, 3))) static inline void line_append(char *line, const char *format,
                                                                     ...)
{
    const size_t used = strlen(line);
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(line + used, LINE_SIZE - used, format, arguments);
    va_end(arguments);
}

/* Nine digits agree with the oracle, whose variances are made another way. 17 tell every bit. */
static int number_digits = 9;

static inline void line_append_number(char *line, double number)
{
    if (isnan(number)) {
        line_append(line, "nan|");
    } else {
        line_append(line, "%.*g|", number_digits, number + 0.0);
    }
}

/* ---- the oracle ---- */

static inline void write_answer(char *line, const agg_answer *answer, ps_class kind)
{
    if (answer->null) {
        line_append(line, "-|");
    } else if (kind == PS_CLASS_STR) {
        const char *text = answer->text.data != NULL ? answer->text.data : "";
        line_append(line, "%.*s|", (int)answer->text.size_bytes, text);
    } else if (kind == PS_CLASS_F64) {
        line_append_number(line, answer->number);
    } else {
        line_append(line, "%" PRId64 "|", answer->word);
    }
}

static inline void write_cell(char *line, const event *e, int32_t column)
{
    const agg_row cell = as_agg_row(e, column);
    const agg_answer answer = {
        .null = !cell.valid, .word = cell.word, .number = cell.number, .text = cell.text};
    write_answer(line, &answer, column_class(column));
}

static inline ps_class result_class(const ps_agg_spec *spec)
{
    const ps_class kind = spec->input < 0 ? PS_CLASS_I64 : column_class(spec->input);
    switch (spec->function) {
    case PS_AGG_COUNT:
    case PS_AGG_COUNT_VALID: return PS_CLASS_I64;
    case PS_AGG_MEAN:
    case PS_AGG_VAR:
    case PS_AGG_STD:
    case PS_AGG_WEIGHTED_MEAN: return PS_CLASS_F64;
    default: return kind;
    }
}

static inline void write_results(char *line, const job *j, const event *const *members,
                                 int64_t count)
{
    agg_row *rows = calloc((size_t)count + 1, sizeof *rows);
    for (int32_t a = 0; a < j->aggregate_count; a++) {
        const ps_agg_spec *spec = &j->aggregates[a];
        for (int64_t m = 0; m < count; m++) {
            rows[m] = as_agg_row(members[m], spec->input);
        }
        const ps_class kind = spec->input < 0 ? PS_CLASS_I64 : column_class(spec->input);
        const agg_answer answer = agg_recompute(spec->function, spec->parameter, kind, rows, count);
        write_answer(line, &answer, result_class(spec));
    }
    free(rows);
}

/* One row of one window: its group as text, so that equal groups are neighbours when sorted. */
typedef struct membership {
    char group[96];
    int64_t order;
    const event *row;
} membership;

static inline int compare_memberships(const void *a, const void *b)
{
    const membership *x = a, *y = b;
    const int order = strcmp(x->group, y->group);
    return order != 0 ? order : (x->order > y->order) - (x->order < y->order);
}

typedef struct memberships {
    membership *items;
    int64_t count, room;
} memberships;

static inline void add_membership(memberships *list, const job *j, const event *row, int64_t start)
{
    if (list->count == list->room) {
        list->room = list->room == 0 ? 1024 : list->room * 2;
        list->items = realloc(list->items, (size_t)list->room * sizeof *list->items);
        CHECK(list->items != NULL);
    }
    membership *m = &list->items[list->count];
    char line[LINE_SIZE] = {0};
    for (int32_t k = 0; k < j->key_count; k++) {
        write_cell(line, row, j->keys[k]);
    }
    if (j->window.size > 0) {
        line_append(line, "%" PRId64 "|%" PRId64 "|", start, start + j->window.size);
    }
    *m = (membership){.order = list->count++, .row = row};
    CHECK(strlen(line) < sizeof m->group);
    memcpy(m->group, line, strlen(line) + 1);
}

static inline int64_t floor_to(int64_t value, int64_t step)
{
    int64_t down = value / step * step;
    return down > value ? down - step : down;
}

/* Every window of the row that `mark` has not closed; answers whether there was one. */
static inline bool add_windows(memberships *list, const job *j, const event *row, int64_t mark)
{
    const int64_t slide = j->window.kind == PS_WINDOW_HOPPING ? j->window.slide : j->window.size;
    bool any = false;
    for (int64_t start = floor_to(row->t - j->window.offset, slide) + j->window.offset;
         start + j->window.size > row->t; start -= slide) {
        if (start + j->window.size > mark) {
            add_membership(list, j, row, start);
            any = true;
        }
    }
    return any;
}

static inline lines oracle(const job *j, const event *rows, int64_t count)
{
    lines out = {0};
    memberships all = {0};
    int64_t mark = INT64_MIN;
    for (int64_t i = 0; i < count; i++) {
        if (j->window.size == 0) {
            add_membership(&all, j, &rows[i], 0);
        } else {
            out.late += !add_windows(&all, j, &rows[i], mark);
        }
        mark = ps_max_i64(mark, rows[i].t - j->bound);
    }
    membership *const list = all.items;
    const int64_t members = all.count;
    if (members > 0) {
        qsort(list, (size_t)members, sizeof *list, compare_memberships);
    }
    const event **picked = calloc((size_t)members + 1, sizeof *picked);
    for (int64_t at = 0, end; at < members; at = end) {
        for (end = at; end < members && strcmp(list[end].group, list[at].group) == 0; end++) {
            picked[end - at] = list[end].row;
        }
        char *line = lines_add(&out);
        line_append(line, "%s", list[at].group);
        write_results(line, j, picked, end - at);
    }
    if (members == 0 && j->window.size == 0 && j->key_count == 0) {
        write_results(lines_add(&out), j, picked, 0);
    }
    free(picked);
    free(list);
    lines_sort(&out);
    return out;
}

/* ---- jobs ---- */

#define AGG(f, column)                                                                             \
    {.function = PS_AGG_##f, .name = #f #column, .input = column, .weight = -1, .parameter = 1}
#define COUNT_ROWS {.function = PS_AGG_COUNT, .name = "n", .input = -1, .weight = -1}

static const ps_agg_spec COUNTS[] = {COUNT_ROWS};
static const ps_agg_spec EXACT[] = {COUNT_ROWS, AGG(SUM, I), AGG(COUNT_VALID, K), AGG(SUM, B)};
static const ps_agg_spec STATS[] = {COUNT_ROWS, AGG(SUM, V), AGG(MIN, V), AGG(MAX, V)};
static const ps_agg_spec WIDE[] = {
    AGG(MEAN, V),  AGG(VAR, I),
    AGG(FIRST, V), AGG(LAST, I),
    AGG(MIN, I),   AGG(ANY, B),
    AGG(ALL, B),   AGG(MAX, T),
    AGG(LAST, B),  {.function = PS_AGG_WEIGHTED_MEAN, .name = "w", .input = V, .weight = I}};
static const ps_agg_spec TEXTS[] = {COUNT_ROWS, AGG(MIN, S), AGG(MAX, S), AGG(FIRST, S),
                                    AGG(LAST, S)};

typedef struct agg_set {
    const ps_agg_spec *specs;
    int32_t count;
} agg_set;

#define SET(list) {list, sizeof(list) / sizeof((list)[0])}
static const agg_set SETS[] = {SET(COUNTS), SET(EXACT), SET(STATS), SET(WIDE), SET(TEXTS)};
#define SET_COUNT (sizeof SETS / sizeof SETS[0])

static const ps_window NO_WINDOW = {.kind = PS_WINDOW_NONE};
static const ps_window SOME_WINDOWS[] = {
    {.kind = PS_WINDOW_TUMBLING, .size = 10},
    {.kind = PS_WINDOW_TUMBLING, .size = 7, .offset = -3},
    {.kind = PS_WINDOW_HOPPING, .size = 12, .slide = 3},
    {.kind = PS_WINDOW_HOPPING, .size = 10, .slide = 4, .offset = 5},
    {.kind = PS_WINDOW_HOPPING, .size = 30, .slide = 1},
};
#define WINDOW_COUNT (sizeof SOME_WINDOWS / sizeof SOME_WINDOWS[0])

static inline job make_job(const ps_window *window, int64_t bound, int32_t key_count,
                           const agg_set *set)
{
    job j = {.window = *window, .bound = bound, .key_count = key_count, .keys = {K, S, B}};
    j.aggregate_count = set->count;
    memcpy(j.aggregates, set->specs, (size_t)set->count * sizeof *set->specs);
    return j;
}

#endif
