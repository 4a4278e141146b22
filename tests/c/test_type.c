/* test_type.c -- every format string of the Arrow specification, and what is none. */
#include "arrow/schema.h"
#include "check.h"

typedef struct {
    const char *format;
    int id, unit, width;
    const char *text;
} known;

static const known all[] = {
    {"n", PS_TYPE_NULL, 0, 0, "null"},
    {"b", PS_TYPE_BOOL, 0, 0, "bool"},
    {"c", PS_TYPE_INT8, 0, 1, "int8"},
    {"C", PS_TYPE_UINT8, 0, 1, "uint8"},
    {"s", PS_TYPE_INT16, 0, 2, "int16"},
    {"S", PS_TYPE_UINT16, 0, 2, "uint16"},
    {"i", PS_TYPE_INT32, 0, 4, "int32"},
    {"I", PS_TYPE_UINT32, 0, 4, "uint32"},
    {"l", PS_TYPE_INT64, 0, 8, "int64"},
    {"L", PS_TYPE_UINT64, 0, 8, "uint64"},
    {"e", PS_TYPE_FLOAT16, 0, 2, "float16"},
    {"f", PS_TYPE_FLOAT32, 0, 4, "float32"},
    {"g", PS_TYPE_FLOAT64, 0, 8, "float64"},
    {"z", PS_TYPE_BINARY, 0, 0, "binary"},
    {"Z", PS_TYPE_LARGE_BINARY, 0, 0, "large_binary"},
    {"vz", PS_TYPE_BINARY_VIEW, 0, 0, "binary_view"},
    {"u", PS_TYPE_UTF8, 0, 0, "utf8"},
    {"U", PS_TYPE_LARGE_UTF8, 0, 0, "large_utf8"},
    {"vu", PS_TYPE_UTF8_VIEW, 0, 0, "utf8_view"},
    {"w:42", PS_TYPE_FIXED_BINARY, 0, 42, "fixed_binary[42]"},
    {"d:19,10", PS_TYPE_DECIMAL128, 0, 16, "decimal128(19, 10)"},
    {"d:5,-2", PS_TYPE_DECIMAL128, 0, 16, "decimal128(5, -2)"},
    {"tdD", PS_TYPE_DATE32, 0, 4, "date32"},
    {"tdm", PS_TYPE_DATE64, 0, 8, "date64"},
    {"tts", PS_TYPE_TIME32, PS_UNIT_S, 4, "time32[s]"},
    {"ttm", PS_TYPE_TIME32, PS_UNIT_MS, 4, "time32[ms]"},
    {"ttu", PS_TYPE_TIME64, PS_UNIT_US, 8, "time64[us]"},
    {"ttn", PS_TYPE_TIME64, PS_UNIT_NS, 8, "time64[ns]"},
    {"tss:", PS_TYPE_TIMESTAMP, PS_UNIT_S, 8, "timestamp[s]"},
    {"tsm:UTC", PS_TYPE_TIMESTAMP, PS_UNIT_MS, 8, "timestamp[ms, UTC]"},
    {"tsu:UTC", PS_TYPE_TIMESTAMP, PS_UNIT_US, 8, "timestamp[us, UTC]"},
    {"tsn:", PS_TYPE_TIMESTAMP, PS_UNIT_NS, 8, "timestamp[ns]"},
    {"tDs", PS_TYPE_DURATION, PS_UNIT_S, 8, "duration[s]"},
    {"tDn", PS_TYPE_DURATION, PS_UNIT_NS, 8, "duration[ns]"},
};
#define ALL_COUNT (sizeof(all) / sizeof(all[0]))

static ps_status parse(const char *format, ps_type *out)
{
    const ArrowSchema arrow = {.format = format};
    return ps_type_parse(&arrow, out, NULL);
}

static void every_plain_format_goes_both_ways(void)
{
    for (size_t i = 0; i < ALL_COUNT; i++) {
        ps_type type;
        char text[64];
        CHECK_OK(parse(all[i].format, &type));
        CHECK_EQ(type.id, all[i].id);
        CHECK_EQ(type.unit, all[i].unit);
        CHECK_EQ(type.width, all[i].width);
        CHECK_EQ(type.index, 0);
        CHECK_EQ(type.has_zone, strstr(all[i].format, "UTC") != NULL);
        ps_type_describe(&type, text, sizeof(text));
        CHECK_STR(text, all[i].text);
        CHECK_OK(ps_type_format(&type, NULL, text, sizeof(text), NULL));
        CHECK_STR(text, all[i].format);
        for (size_t k = 0; k < ALL_COUNT; k++) {
            ps_type other;
            CHECK_OK(parse(all[k].format, &other));
            CHECK_EQ(ps_type_equal(&type, &other), i == k);
        }
    }
}

static void decimals_keep_their_numbers(void)
{
    ps_type type;
    CHECK_OK(parse("d:19,10", &type));
    CHECK_EQ(type.precision, 19);
    CHECK_EQ(type.scale, 10);
    CHECK_OK(parse("d:19,10,128", &type));
    CHECK_EQ(type.id, PS_TYPE_DECIMAL128);
}

static void other_zones_are_timestamps_too(void)
{
    ps_type type;
    CHECK_OK(parse("tsn:Europe/Zurich", &type));
    CHECK_EQ(type.id, PS_TYPE_TIMESTAMP);
    CHECK(type.has_zone);
    char text[64];
    CHECK_OK(ps_type_format(&type, "Europe/Zurich", text, sizeof(text), NULL));
    CHECK_STR(text, "tsn:Europe/Zurich");
}

static void what_is_carried_through_is_opaque(void)
{
    static const char *const formats[] = {"+l",  "+L",         "+vl",      "+vL",     "+w:3", "+s",
                                          "+m",  "+r",         "+ud:0,1",  "+us:0,1", "tiM",  "tiD",
                                          "tin", "d:40,2,256", "d:7,2,32", "d:9,2,64"};
    for (size_t i = 0; i < sizeof(formats) / sizeof(formats[0]); i++) {
        ps_type type;
        char text[64];
        CHECK_OK(parse(formats[i], &type));
        CHECK_EQ(type.id, PS_TYPE_OPAQUE);
        ps_error err;
        CHECK_EQ(ps_type_format(&type, NULL, text, sizeof(text), &err), PS_TYPE);
    }
}

static void dictionaries_have_the_type_of_their_values(void)
{
    ArrowSchema values = {.format = "u"}, arrow = {.format = "c", .dictionary = &values};
    ps_type type;
    char text[64];
    CHECK_OK(ps_type_parse(&arrow, &type, NULL));
    CHECK_EQ(type.id, PS_TYPE_UTF8);
    CHECK_EQ(type.index, PS_TYPE_INT8);
    ps_type_describe(&type, text, sizeof(text));
    CHECK_STR(text, "dictionary<utf8>");
    values.format = "+s";
    CHECK_OK(ps_type_parse(&arrow, &type, NULL));
    CHECK_EQ(type.id, PS_TYPE_OPAQUE);
    CHECK_EQ(type.index, 0);
    values.format = "u";
    arrow.format = "f";
    ps_error err;
    CHECK_EQ(ps_type_parse(&arrow, &type, &err), PS_CORRUPT);
    CHECK_STR(err.text, "dictionary indices are 'f', must be an integer type");
}

static void nonsense_is_refused(void)
{
    static const char *const formats[] = {"",
                                          "x",
                                          "bb",
                                          "t",
                                          "td",
                                          "tdx",
                                          "tdDx",
                                          "tt",
                                          "ttx",
                                          "ts",
                                          "tsu",
                                          "tsx:",
                                          "tD",
                                          "tDx",
                                          "ti",
                                          "tix",
                                          "w",
                                          "w:",
                                          "w:-1",
                                          "w:3x",
                                          "d",
                                          "d:",
                                          "d:1",
                                          "d:1,",
                                          "+",
                                          "+x",
                                          "+w:",
                                          "+w:-2",
                                          "+lx",
                                          "v",
                                          "vx",
                                          "+u:0",
                                          "d:1,2,3",
                                          "d:1,2,128x",
                                          "tDsx",
                                          "ttsx",
                                          "w:99999999999",
                                          "+w:99999999999"};
    for (size_t i = 0; i < sizeof(formats) / sizeof(formats[0]); i++) {
        ps_type type;
        if (parse(formats[i], &type) != PS_UNSUPPORTED) {
            CHECK_FAIL("'%s' was taken", formats[i]);
        }
    }
    ps_type type;
    CHECK_EQ(parse(NULL, &type), PS_CORRUPT);
}

static void short_text_is_cut_or_refused(void)
{
    ps_type type;
    char text[4];
    CHECK_OK(parse("tsu:UTC", &type));
    ps_type_describe(&type, text, sizeof(text));
    CHECK_STR(text, "tim");
    CHECK_EQ(ps_type_format(&type, NULL, text, sizeof(text), NULL), PS_TYPE);
}

int main(void)
{
    RUN(every_plain_format_goes_both_ways);
    RUN(decimals_keep_their_numbers);
    RUN(other_zones_are_timestamps_too);
    RUN(what_is_carried_through_is_opaque);
    RUN(dictionaries_have_the_type_of_their_values);
    RUN(nonsense_is_refused);
    RUN(short_text_is_cut_or_refused);
    return 0;
}
