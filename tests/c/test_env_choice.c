/* test_env_choice.c -- a word chosen by the environment, the default, and words that are none. */
#include "base/env_choice.h"

#include <string.h>

#include "check.h"

#define VARIABLE "PYSTREAM_TEST_CHOICE"

static const char *const WORDS[] = {"auto", "driver", "shards"};

static void a_word_is_its_number(void)
{
    for (int32_t i = 0; i < 3; i++) {
        int32_t choice = -1;
        CHECK_EQ(setenv(VARIABLE, WORDS[i], 1), 0);
        CHECK_OK(ps_env_choice(VARIABLE, WORDS, 3, &choice, NULL));
        CHECK_EQ(choice, i);
    }
}

static void nothing_chosen_is_the_default(void)
{
    int32_t choice = 2;
    CHECK_EQ(unsetenv(VARIABLE), 0);
    CHECK_OK(ps_env_choice(VARIABLE, WORDS, 3, &choice, NULL));
    CHECK_EQ(setenv(VARIABLE, "", 1), 0);
    CHECK_OK(ps_env_choice(VARIABLE, WORDS, 3, &choice, NULL));
    CHECK_EQ(choice, 2);
}

static void another_word_is_told_what_there_is(void)
{
    static const char *const WRONG[] = {"drive", "drivers", "Auto", " auto", "auto,driver"};
    for (int i = 0; i < 5; i++) {
        ps_error err = {0};
        int32_t choice = 1;
        char wanted[160];
        CHECK_EQ(setenv(VARIABLE, WRONG[i], 1), 0);
        CHECK_EQ(ps_env_choice(VARIABLE, WORDS, 3, &choice, &err), PS_INVALID);
        snprintf(wanted, sizeof wanted, VARIABLE " is '%s', must be auto, driver or shards",
                 WRONG[i]);
        CHECK_STR(err.text, wanted);
        CHECK_EQ(choice, 1);
    }
    ps_error err = {0};
    int32_t choice = 0;
    CHECK_EQ(ps_env_choice(VARIABLE, WORDS, 1, &choice, &err), PS_INVALID);
    CHECK(strstr(err.text, "must be auto") != NULL && strstr(err.text, "or") == NULL);
}

/* However long the word and the list are, the message ends. */
static void long_words_are_cut(void)
{
    static const char *many[100];
    char word[2000];
    ps_error err = {0};
    int32_t choice = 0;
    for (int i = 0; i < 100; i++) {
        many[i] = "another";
    }
    memset(word, 'x', sizeof word - 1);
    word[sizeof word - 1] = '\0';
    CHECK_EQ(setenv(VARIABLE, word, 1), 0);
    CHECK_EQ(ps_env_choice(VARIABLE, many, 100, &choice, &err), PS_INVALID);
    CHECK(strlen(err.text) < 300 && strstr(err.text, "xx', must be another, another") != NULL);
}

int main(void)
{
    RUN(a_word_is_its_number);
    RUN(nothing_chosen_is_the_default);
    RUN(another_word_is_told_what_there_is);
    RUN(long_words_are_cut);
    return 0;
}
