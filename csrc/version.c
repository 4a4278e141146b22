/* version.c -- the version of the library, as the build read it from pyproject.toml. */
#include "pystream.h"

const char *ps_version(void)
{
    return PS_VERSION;
}
