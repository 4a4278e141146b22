/* driver.c -- runs one fuzz target where libFuzzer is not at hand (gcc).
 *
 *     fuzz_x [-max_total_time=S] [-seed=N] [file or directory ...]
 *
 * Feeds every given file, then mutated ones for S seconds. gcc's trace-pc instrumentation of the
 * core calls back for every basic block; an input that reaches a new one joins the pool, and is
 * written to the first directory. The input that crashes is left in ./crash-<target>.
 */
#include <dirent.h>
#include <inttypes.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#define INPUT_BYTES_MAX 4096
#define POOL_MAX 8192
#define BLOCKS (1u << 16)

typedef struct {
    uint8_t *bytes;
    size_t size_bytes;
} input;

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
void __sanitizer_cov_trace_pc(void);
void __sanitizer_set_death_callback(void (*callback)(void)) __attribute__((weak));

static input pool[POOL_MAX];
static size_t pool_count;
static uint8_t seen[BLOCKS];
static size_t seen_count;
static uint64_t random_state = 1;
static const uint8_t *current;
static size_t current_bytes;
static char crash_path[256];
static const char *corpus_directory;

void __sanitizer_cov_trace_pc(void)
{
    const uintptr_t pc = (uintptr_t)__builtin_return_address(0);
    const size_t block = (size_t)((pc * UINT64_C(0x9E3779B97F4A7C15)) >> 48);
    if (seen[block] == 0) {
        seen[block] = 1;
        seen_count++;
    }
}

static uint64_t random_next(void)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return random_state;
}

static size_t random_below(size_t bound)
{
    return (size_t)(random_next() % bound);
}

static void write_file(const char *path, const uint8_t *bytes, size_t size_bytes)
{
    FILE *file = fopen(path, "wb");
    if (file != NULL) {
        (void)fwrite(bytes, 1, size_bytes, file);
        fclose(file);
    }
}

static void on_death(void)
{
    if (current != NULL) {
        write_file(crash_path, current, current_bytes);
        fprintf(stderr, "the failing input is in %s\n", crash_path);
        current = NULL;
    }
}

static void on_signal(int number)
{
    on_death();
    signal(number, SIG_DFL);
    raise(number);
}

/* Runs one input from memory of exactly its size, so that reading past its end is seen. */
static bool run_one(const uint8_t *bytes, size_t size_bytes)
{
    uint8_t *exact = malloc(size_bytes > 0 ? size_bytes : 1);
    if (exact == NULL) {
        abort();
    }
    memcpy(exact, bytes, size_bytes);
    current = bytes;
    current_bytes = size_bytes;
    const size_t before = seen_count;
    (void)LLVMFuzzerTestOneInput(exact, size_bytes);
    current = NULL;
    free(exact);
    return seen_count > before;
}

static void pool_add(const uint8_t *bytes, size_t size_bytes)
{
    if (pool_count == POOL_MAX) {
        return;
    }
    uint8_t *copy = malloc(size_bytes > 0 ? size_bytes : 1);
    if (copy == NULL) {
        abort();
    }
    memcpy(copy, bytes, size_bytes);
    pool[pool_count++] = (input){copy, size_bytes};
}

static void save_new(const uint8_t *bytes, size_t size_bytes)
{
    if (corpus_directory != NULL) {
        uint64_t hash = UINT64_C(0xCBF29CE484222325);
        for (size_t i = 0; i < size_bytes; i++) {
            hash = (hash ^ bytes[i]) * UINT64_C(0x100000001B3);
        }
        char path[1024];
        snprintf(path, sizeof path, "%s/%016" PRIx64, corpus_directory, hash);
        write_file(path, bytes, size_bytes);
    }
}

static void load_file(const char *path)
{
    static uint8_t bytes[INPUT_BYTES_MAX];
    FILE *file = fopen(path, "rb");
    if (file == NULL) {
        fprintf(stderr, "cannot read %s\n", path);
        exit(2);
    }
    const size_t size_bytes = fread(bytes, 1, sizeof bytes, file);
    fclose(file);
    (void)run_one(bytes, size_bytes);
    pool_add(bytes, size_bytes);
}

static void load_path(const char *path)
{
    struct stat status;
    if (stat(path, &status) != 0 || !S_ISDIR(status.st_mode)) {
        load_file(path);
        return;
    }
    if (corpus_directory == NULL) {
        corpus_directory = path;
    }
    DIR *directory = opendir(path);
    if (directory == NULL) {
        fprintf(stderr, "cannot list %s\n", path);
        exit(2);
    }
    for (const struct dirent *entry; (entry = readdir(directory)) != NULL;) {
        if (entry->d_name[0] != '.') {
            char file[1024];
            snprintf(file, sizeof file, "%s/%s", path, entry->d_name);
            load_file(file);
        }
    }
    closedir(directory);
}

/* Moves the bytes from `at` on by `length` to the right; what does not fit falls off. */
static size_t open_gap(uint8_t *bytes, size_t size_bytes, size_t at, size_t length)
{
    const size_t room = INPUT_BYTES_MAX - at;
    length = length < room ? length : room;
    const size_t tail = size_bytes - at;
    const size_t kept = tail < room - length ? tail : room - length;
    memmove(bytes + at + length, bytes + at, kept);
    for (size_t i = 0; i < length; i++) {
        bytes[at + i] = (uint8_t)random_next();
    }
    return at + length + kept;
}

static size_t mutate(uint8_t *bytes, size_t size_bytes)
{
    static const uint64_t edges[] = {0,          1,          127,       128,       255,
                                     256,        32767,      32768,     65535,     0x7FFFFFFF,
                                     0x80000000, 0xFFFFFFFF, INT64_MAX, UINT64_MAX};
    const size_t at = size_bytes > 0 ? random_below(size_bytes) : 0;
    if (size_bytes == 0) {
        return open_gap(bytes, 0, 0, 1 + random_below(64));
    }
    switch (random_below(7)) {
    case 0: bytes[at] ^= (uint8_t)(1u << random_below(8)); return size_bytes;
    case 1: bytes[at] = (uint8_t)random_next(); return size_bytes;
    case 2: return open_gap(bytes, size_bytes, at, 1 + random_below(8));
    case 3: {
        const size_t length = 1 + random_below(size_bytes - at);
        memmove(bytes + at, bytes + at + length, size_bytes - at - length);
        return size_bytes - length;
    }
    case 4: {
        const uint64_t edge = edges[random_below(sizeof edges / sizeof edges[0])];
        const size_t width = (size_t)1 << random_below(4);
        memcpy(bytes + at, &edge, width < size_bytes - at ? width : size_bytes - at);
        return size_bytes;
    }
    case 5: {
        const input other = pool[random_below(pool_count)];
        const size_t from = random_below(other.size_bytes + 1);
        const size_t length = other.size_bytes - from;
        const size_t room = INPUT_BYTES_MAX - at;
        memcpy(bytes + at, other.bytes + from, length < room ? length : room);
        return at + (length < room ? length : room);
    }
    default: {
        const size_t length = 1 + random_below(size_bytes - at);
        const size_t to = random_below(size_bytes - length + 1);
        memmove(bytes + to, bytes + at, length);
        return size_bytes;
    }
    }
}

static double now_seconds(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + (double)time.tv_nsec * 1e-9;
}

static uint64_t fuzz_until(double end)
{
    static uint8_t bytes[INPUT_BYTES_MAX];
    uint64_t run_count = 0;
    while (now_seconds() < end) {
        for (int i = 0; i < 64; i++, run_count++) {
            const input start = pool[random_below(pool_count)];
            size_t size_bytes = start.size_bytes;
            memcpy(bytes, start.bytes, size_bytes);
            for (size_t n = 1 + random_below(6); n > 0; n--) {
                size_bytes = mutate(bytes, size_bytes);
            }
            if (run_one(bytes, size_bytes)) {
                pool_add(bytes, size_bytes);
                save_new(bytes, size_bytes);
            }
        }
    }
    return run_count;
}

int main(int argc, char **argv)
{
    double seconds = 0;
    bool timed = false;
    const char *slash = strrchr(argv[0], '/');
    snprintf(crash_path, sizeof crash_path, "crash-%s", slash != NULL ? slash + 1 : argv[0]);
    if (__sanitizer_set_death_callback != NULL) {
        __sanitizer_set_death_callback(on_death);
    }
    signal(SIGABRT, on_signal);
    for (int i = 1; i < argc; i++) {
        if (strncmp(argv[i], "-max_total_time=", 16) == 0) {
            seconds = strtod(argv[i] + 16, NULL);
            timed = true;
        } else if (strncmp(argv[i], "-seed=", 6) == 0) {
            random_state = strtoull(argv[i] + 6, NULL, 10) * 2 + 1;
        } else {
            load_path(argv[i]);
        }
    }
    pool_add((const uint8_t *)"", 0);
    (void)run_one((const uint8_t *)"", 0);
    const uint64_t run_count = timed ? fuzz_until(now_seconds() + seconds) : pool_count;
    printf("%s: %" PRIu64 " runs, %zu blocks reached, %zu inputs kept\n", argv[0], run_count,
           seen_count, pool_count);
    return 0;
}
