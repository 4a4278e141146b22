/* text.c -- numbers and times from text and back. */
#include "expr/text.h"

#include <math.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "expr/calendar.h"

bool ps_text_to_u64(ps_string s, uint64_t *out)
{
    int64_t i = s.size_bytes > 0 && s.data[0] == '+';
    if (i == s.size_bytes) {
        return false;
    }
    uint64_t value = 0;
    for (; i < s.size_bytes; i++) {
        const unsigned digit = (unsigned)(unsigned char)s.data[i] - '0';
        if (digit > 9 || __builtin_mul_overflow(value, 10u, &value) ||
            __builtin_add_overflow(value, digit, &value)) {
            return false;
        }
    }
    *out = value;
    return true;
}

bool ps_text_to_i64(ps_string s, int64_t *out)
{
    const bool minus = s.size_bytes > 0 && s.data[0] == '-';
    if (minus) {
        s.data++;
        s.size_bytes--;
        if (s.size_bytes > 0 && s.data[0] == '+') {
            return false;
        }
    }
    uint64_t size;
    if (!ps_text_to_u64(s, &size) || size > (uint64_t)INT64_MAX + minus) {
        return false;
    }
    *out = (int64_t)(minus ? 0 - size : size);
    return true;
}

bool ps_text_to_f64(ps_string s, double *out)
{
    char text[512];
    if (s.size_bytes == 0 || s.size_bytes >= (int64_t)sizeof text) {
        return false;
    }
    memcpy(text, s.data, (size_t)s.size_bytes);
    text[s.size_bytes] = '\0';
    const char *unsigned_part = text + (text[0] == '+' || text[0] == '-');
    if (strcasecmp(unsigned_part, "inf") == 0 || strcasecmp(unsigned_part, "infinity") == 0) {
        *out = text[0] == '-' ? -(double)INFINITY : (double)INFINITY;
        return true;
    }
    if (strcasecmp(unsigned_part, "nan") == 0) {
        *out = (double)NAN;
        return true;
    }
    if (strspn(text, "0123456789+-.eE") != (size_t)s.size_bytes) {
        return false; /* strtod would take spaces and hexadecimal too */
    }
    char *end;
    *out = strtod(text, &end);
    return end == text + s.size_bytes;
}

bool ps_text_to_bool(ps_string s, bool *out)
{
    static const char *const words[] = {"false", "true", "0", "1"};
    for (int i = 0; i < 4; i++) {
        if ((size_t)s.size_bytes == strlen(words[i]) &&
            strncasecmp(s.data, words[i], (size_t)s.size_bytes) == 0) {
            *out = i % 2 != 0;
            return true;
        }
    }
    return false;
}

/* Exactly count digits; moves *s on. */
static bool digits(ps_string *s, int count, int32_t *out)
{
    if (s->size_bytes < count) {
        return false;
    }
    int32_t value = 0;
    for (int i = 0; i < count; i++) {
        const unsigned digit = (unsigned)(unsigned char)s->data[i] - '0';
        if (digit > 9) {
            return false;
        }
        value = value * 10 + (int32_t)digit;
    }
    s->data += count;
    s->size_bytes -= count;
    *out = value;
    return true;
}

static bool take(ps_string *s, char c)
{
    if (s->size_bytes == 0 || s->data[0] != c) {
        return false;
    }
    s->data++;
    s->size_bytes--;
    return true;
}

static bool fraction(ps_string *s, int32_t *nanoseconds)
{
    int32_t value = 0, scale = 1000000000;
    int count = 0;
    while (s->size_bytes > 0 && s->data[0] >= '0' && s->data[0] <= '9') {
        if (++count > 9) {
            return false;
        }
        scale /= 10;
        value += (s->data[0] - '0') * scale;
        s->data++;
        s->size_bytes--;
    }
    *nanoseconds = value;
    return count > 0;
}

static bool clock_part(ps_string *s, int64_t *seconds, int32_t *nanoseconds)
{
    int32_t hour, minute, second = 0;
    if (!digits(s, 2, &hour) || !take(s, ':') || !digits(s, 2, &minute)) {
        return false;
    }
    if (take(s, ':')) {
        if (!digits(s, 2, &second) || (take(s, '.') && !fraction(s, nanoseconds))) {
            return false;
        }
    }
    if (hour > 23 || minute > 59 || second > 59) {
        return false;
    }
    *seconds += hour * 3600 + minute * 60 + second;
    const bool west = s->size_bytes > 0 && s->data[0] == '-';
    if (take(s, 'Z') || s->size_bytes == 0) {
        return true;
    }
    if ((!take(s, '+') && !take(s, '-')) || !digits(s, 2, &hour)) {
        return false;
    }
    (void)take(s, ':');
    if (!digits(s, 2, &minute) || hour > 23 || minute > 59) {
        return false;
    }
    const int32_t offset = hour * 3600 + minute * 60;
    *seconds -= west ? -offset : offset;
    return true;
}

bool ps_text_to_time(ps_string s, int64_t *seconds, int32_t *nanoseconds)
{
    static const int8_t month_days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    int32_t year, month, day;
    if (!digits(&s, 4, &year) || !take(&s, '-') || !digits(&s, 2, &month) || !take(&s, '-') ||
        !digits(&s, 2, &day) || month < 1 || month > 12 || day < 1 ||
        day > month_days[month - 1] + (month == 2 && ps_is_leap_year(year))) {
        return false;
    }
    *seconds = ps_days_from_civil(year, month, day) * 86400;
    *nanoseconds = 0;
    if (s.size_bytes == 0) {
        return true;
    }
    return (take(&s, 'T') || take(&s, ' ')) && clock_part(&s, seconds, nanoseconds) &&
           s.size_bytes == 0;
}

int64_t ps_text_from_u64(uint64_t value, char *text)
{
    char reversed[20];
    int64_t size = 0;
    do {
        reversed[size++] = (char)('0' + value % 10);
        value /= 10;
    } while (value != 0);
    for (int64_t i = 0; i < size; i++) {
        text[i] = reversed[size - 1 - i];
    }
    text[size] = '\0';
    return size;
}

int64_t ps_text_from_i64(int64_t value, char *text)
{
    const bool minus = value < 0;
    text[0] = '-';
    return minus + ps_text_from_u64(minus ? 0 - (uint64_t)value : (uint64_t)value, text + minus);
}

int64_t ps_text_from_f64(double value, char *text)
{
    if (isnan(value)) {
        return snprintf(text, PS_TEXT_MAX, "nan");
    }
    if (isinf(value)) {
        return snprintf(text, PS_TEXT_MAX, value > 0 ? "inf" : "-inf");
    }
    int64_t size = 0;
    for (int precision = 15; precision <= 17; precision++) {
        size = snprintf(text, PS_TEXT_MAX, "%.*g", precision, value);
        if (strtod(text, NULL) == value) {
            break;
        }
    }
    if (strpbrk(text, ".e") == NULL) {
        memcpy(text + size, ".0", 3);
        size += 2;
    }
    return size;
}

int64_t ps_text_from_time(int64_t seconds, int64_t nanoseconds, int fraction_digits, char *text)
{
    const int64_t days = ps_floor_div(seconds, 86400);
    const int32_t second = (int32_t)(seconds % 86400), rest = second < 0 ? second + 86400 : second;
    const ps_civil civil = ps_civil_from_days(days);
    int64_t size = snprintf(text, PS_TEXT_MAX, "%04lld-%02d-%02d", (long long)civil.year,
                            (int)civil.month, (int)civil.day);
    if (fraction_digits < 0) {
        return size;
    }
    size += snprintf(text + size, (size_t)(PS_TEXT_MAX - size), " %02d:%02d:%02d", rest / 3600,
                     rest / 60 % 60, rest % 60);
    if (fraction_digits > 0) {
        int64_t shown = nanoseconds;
        for (int i = fraction_digits; i < 9; i++) {
            shown /= 10;
        }
        size += snprintf(text + size, (size_t)(PS_TEXT_MAX - size), ".%0*lld", fraction_digits,
                         (long long)shown);
    }
    return size;
}
