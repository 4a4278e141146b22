/* test_version.c -- the version is a dotted triple. */
#include "check.h"
#include "pystream.h"

static void version_is_a_dotted_triple(void)
{
    int major, minor, patch;
    char rest;
    CHECK_EQ(sscanf(ps_version(), "%d.%d.%d%c", &major, &minor, &patch, &rest), 3);
}

int main(void)
{
    RUN(version_is_a_dotted_triple);
    return 0;
}
