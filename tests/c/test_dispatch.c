/* test_dispatch.c -- levels by name, forcing, and what is said about names that do not exist. */
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "check.h"
#include "simd/dispatch.h"
#include "simd/kernels.h"

static void test_levels_are_named_and_forced(void)
{
    CHECK(ps_simd_level_count() >= 1);
    CHECK_STR(ps_simd_level_name(0), "base");
    CHECK(ps_simd_level_name(-1) == NULL);
    CHECK(ps_simd_level_name(ps_simd_level_count()) == NULL);
    for (int32_t i = 0; i < ps_simd_level_count(); i++) {
        CHECK_OK(ps_simd_force(ps_simd_level_name(i), NULL));
        CHECK_STR(ps_simd_level(), ps_simd_level_name(i));
        CHECK_STR(ps_simd_kernels()->name, ps_simd_level_name(i));
    }
}

static void test_unknown_name_lists_those_that_exist(void)
{
    ps_error err = {0};
    const char *before = ps_simd_level();
    CHECK_EQ(ps_simd_force("sse9", &err), PS_INVALID);
    CHECK(strstr(err.text, "'sse9'") != NULL && strstr(err.text, "base") != NULL);
    CHECK_STR(ps_simd_level(), before);
}

/* Runs this program again with the variable set; its exit code says what it saw. */
static int child(const char *program, const char *wish)
{
    const pid_t pid = fork();
    if (pid == 0) {
        setenv("PYSTREAM_FORCE_ISA", wish, 1);
        execl(program, program, "--report", (char *)NULL);
        _exit(99);
    }
    int status;
    CHECK(waitpid(pid, &status, 0) == pid && WIFEXITED(status));
    return WEXITSTATUS(status);
}

static void test_environment(const char *program)
{
    CHECK_EQ(child(program, "base"), 10);
    CHECK_EQ(child(program, ""), 10 + ps_simd_level_count() - 1);
    CHECK_EQ(child(program, "sse9"), 20 + ps_simd_level_count() - 1);
    CHECK_EQ(child(program, ps_simd_level_name(ps_simd_level_count() - 1)),
             10 + ps_simd_level_count() - 1);
}

/* 10 + the level in force; 20 + it when the wish was refused with its name. */
static int report(void)
{
    ps_error err = {0};
    const bool honoured = ps_simd_status(&err) == PS_OK;
    if (!honoured && (strstr(err.text, "PYSTREAM_FORCE_ISA is 'sse9', must be base") == NULL ||
                      strstr(err.text, " on this machine") == NULL)) {
        return 98;
    }
    for (int32_t i = 0; i < ps_simd_level_count(); i++) {
        if (strcmp(ps_simd_level(), ps_simd_level_name(i)) == 0) {
            return (honoured ? 10 : 20) + i;
        }
    }
    return 97;
}

int main(int count, char **arguments)
{
    if (count > 1 && strcmp(arguments[1], "--report") == 0) {
        return report();
    }
    RUN(test_levels_are_named_and_forced);
    RUN(test_unknown_name_lists_those_that_exist);
    test_environment(arguments[0]);
    return 0;
}
