/* test_agg_lanes.c -- lanes are called after what they hold, and found under that name. */
#include "state/agg.h"

#include <string.h>

#include "account.h"

static const ps_type INT = {.id = PS_TYPE_INT64, .width = 8};

#define OVER_X(f, own)                                                                             \
    {.function = f,                                                                                \
     .name = "a",                                                                                  \
     .input = 0,                                                                                   \
     .weight = -1,                                                                                 \
     .input_type = INT,                                                                            \
     .nullable = true,                                                                             \
     .input_text = "x",                                                                            \
     .own_count = own}

/* The names of all lanes. */
static const char *lanes_of(const ps_agg_layout *layout)
{
    static char text[400];
    text[0] = '\0';
    for (int32_t i = 0; i < ps_agg_lane_count(layout); i++) {
        ps_type type;
        const size_t used = strlen(text);
        ps_agg_lane_describe(layout, i, text + used, sizeof text - used, &type);
        strcat(text, i + 1 == ps_agg_lane_count(layout) ? "" : "|");
    }
    return text;
}

/* Adopts a state with these columns, in words with commas, and answers the lanes then. */
static const char *adopted(const ps_agg_arg *arg, const char *columns, bool *wants, bool *allowed)
{
    ps_mem *mem = make_account();
    ps_schema_builder *builder = NULL;
    ps_schema *schema = NULL;
    ps_agg_layout *layout = NULL;
    char names[200];
    bool present[8];
    int32_t count = 1;
    for (const char *c = columns; *c != '\0'; c++) {
        count += *c == '|';
    }
    CHECK_OK(ps_schema_builder_create(mem, count, &builder, NULL));
    (void)snprintf(names, sizeof names, "%s", columns);
    for (char *name = strtok(names, "|"); name != NULL; name = strtok(NULL, "|")) {
        CHECK_OK(ps_schema_builder_add(builder, name, &INT, NULL, true, NULL));
    }
    CHECK_OK(ps_schema_builder_finish(builder, &schema, NULL));
    CHECK_OK(ps_agg_layout_create(mem, arg, 1, &layout, NULL));
    *wants = ps_agg_wants_own_count(layout, 0, schema);
    ps_agg_adopt(layout, schema);
    for (int32_t i = 0; i < ps_agg_lane_count(layout); i++) {
        present[i] = ps_agg_lane_find(layout, i, schema) >= 0;
    }
    *allowed = ps_agg_check_lanes(layout, present, NULL) == PS_OK;
    const char *lanes = lanes_of(layout);
    ps_agg_layout_destroy(layout);
    ps_schema_release(schema);
    settle(mem);
    return lanes;
}

static void lanes_say_when_they_began(void)
{
    const struct {
        ps_agg_arg arg;
        const char *columns, *lanes;
        bool wants, allowed;
    } cases[] = {
        {OVER_X(PS_AGG_MEAN, false), ".rows|.sum_f64(x)|.valid(x)", ".rows|.sum_f64(x)|.valid(x)",
         false, true},
        {OVER_X(PS_AGG_MEAN, false), ".rows", ".rows|.sum_f64(x) since 1|.valid(x) since 1", false,
         true},
        {OVER_X(PS_AGG_MEAN, false), ".rows|.valid(x) since 3",
         ".rows|.sum_f64(x) since 4|.valid(x) since 3", true, true},
        {OVER_X(PS_AGG_MEAN, true), ".rows|.valid(x) since 3",
         ".rows|.sum_f64(x) since 4|.sum_f64_seen(x) since 4", true, true},
        {OVER_X(PS_AGG_MEAN, false), ".rows|.sum(x) since 3|.valid(x) since 3",
         ".rows|.sum_f64(x) since 3|.valid(x) since 3", false, true},
        {OVER_X(PS_AGG_MEAN, false), ".rows|.sum_f64(x)|.valid(x) since 1",
         ".rows|.sum_f64(x)|.valid(x) since 1", false, false},
        {OVER_X(PS_AGG_SUM, false), ".rows|.sum(x) since 2nd|.sum(x)s|x since 7",
         ".rows|.sum(x) since 1", false, true},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        bool wants = false, allowed = false;
        const char *lanes = adopted(&cases[i].arg, cases[i].columns, &wants, &allowed);
        CHECK(strcmp(lanes, cases[i].lanes) == 0);
        CHECK_EQ(wants, cases[i].wants);
        CHECK_EQ(allowed, cases[i].allowed);
    }
}

int main(void)
{
    RUN(lanes_say_when_they_began);
}
