/* test_size.c -- the bytes that rows span, against a sum over the rows. */
#include "arrow/size.h"
#include "arrow_make.h"

static int64_t bits(int64_t length)
{
    return (length + 7) / 8;
}

/* What row `row` of the producer's buffers spans in that column, in bits, without its validity. */
static int64_t row_bits(int column, int64_t row)
{
    char text[MIX_TEXT_MAX];
    const int64_t size = mix_text(row, text);
    switch (column) {
    case MIX_BOOL: return 1;
    case MIX_I16: return 16;
    case MIX_U32:
    case MIX_F32: return 32;
    case MIX_TEXT: return (4 + size) * 8;
    case MIX_LARGE: return (8 + size) * 8;
    case MIX_VIEW: return (16 + (size > 12 && row % 14 != 13 ? size : 0)) * 8; /* 13: null */
    case MIX_FIXED: return 24;
    case MIX_DICT: return 8;
    case MIX_LIST: return (4 + row % 4 * 4) * 8;
    case MIX_STRUCT: return (8 + 4 + size) * 8;
    case MIX_NULL: return 0;
    default: return 64;
    }
}

static void slices_span_their_own_rows(void)
{
    ps_mem *mem = make_account();
    for (int64_t offset = 0; offset <= 3; offset += 3) {
        ps_batch *mix = make_mix(mem, 200, offset);
        const int64_t first = offset > 0 ? offset + 1 : 0; /* see make_mix_array */
        for (int64_t start = 0; start <= 200; start += 40) {
            for (int64_t length = 0; start + length <= 200; length += 37) {
                for (int column = 0; column < MIX_COUNT; column++) {
                    int64_t want = 0;
                    for (int64_t i = 0; i < length; i++) {
                        want += row_bits(column, first + start + i);
                    }
                    want = bits(want) + (column < MIX_LIST ? bits(length) : 0);
                    ps_column slice;
                    ps_column_slice(&mix->columns[column], start, length, &slice);
                    CHECK_EQ(ps_column_size_bytes(&slice), want);
                }
            }
        }
        ps_batch_release(mix);
    }
    check_nothing_left(mem);
}

static void taken_rows_span_what_was_copied(void)
{
    ps_mem *mem = make_account();
    ps_batch *mix = make_mix(mem, 100, 0);
    uint32_t rows[50];
    for (uint32_t i = 0; i < 50; i++) {
        rows[i] = i * 2;
    }
    for (int column = MIX_LIST; column <= MIX_STRUCT; column++) {
        int64_t want = 0;
        for (uint32_t i = 0; i < 50; i++) {
            want += row_bits(column, rows[i]);
        }
        ps_column taken = {0};
        CHECK_OK(ps_column_take(mem, &mix->columns[column], rows, 50, &taken, NULL));
        CHECK_EQ(ps_column_size_bytes(&taken), bits(want));
        ps_owner_release(taken.owner);
    }
    ps_batch_release(mix);
    check_nothing_left(mem);
}

int main(void)
{
    RUN(slices_span_their_own_rows);
    RUN(taken_rows_span_what_was_copied);
    return 0;
}
