/* test_log_head.c -- two mappings of one file see each other; processes sleep and are woken; what
 * cannot be trusted is not. */
#include "check.h"
#include "queue/log_head.h"

#include <errno.h>
#include <signal.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { PARTITIONS = 3, BOOT = 77 };
static const int64_t FOREVER_NS = 60 * INT64_C(1000000000);

static int make_file(void)
{
    char name[] = "/tmp/test_log_head_XXXXXX";
    const int fd = mkstemp(name);
    CHECK(fd >= 0);
    CHECK(unlink(name) == 0);
    uint8_t start[PS_LOG_HEAD_START];
    ps_log_head_start(PARTITIONS, start);
    CHECK(ftruncate(fd, ps_log_head_bytes(PARTITIONS)) == 0);
    CHECK(pwrite(fd, start, sizeof start, 0) == sizeof start);
    return fd;
}

static ps_log_head *map(int fd)
{
    ps_log_head *head;
    CHECK_OK(ps_log_head_map(fd, "head", PARTITIONS, &head, NULL));
    return head;
}

static void publish(ps_log_head *head, int32_t partition, int64_t end)
{
    const ps_log_tail tail = {.segment = 5,
                              .size_bytes = 64 * end,
                              .end = end,
                              .append_ns = 9,
                              .event_max = 8,
                              .boot = BOOT};
    ps_log_head_publish(head, partition, &tail);
}

static void two_mappings_agree(void)
{
    const int fd = make_file();
    ps_log_head *const a = map(fd), *const b = map(fd);
    ps_log_tail tail;
    CHECK(!ps_log_head_tail(a, 1, BOOT, &tail)); /* nothing was ever published */
    publish(a, 1, 42);
    CHECK_EQ(ps_log_head_end(b, 1), 42);
    CHECK_EQ(ps_log_head_end(b, 0), 0);
    CHECK(ps_log_head_tail(b, 1, BOOT, &tail));
    CHECK_EQ(tail.segment, 5);
    CHECK_EQ(tail.size_bytes, 64 * 42);
    CHECK_EQ(tail.append_ns, 9);
    CHECK_EQ(tail.event_max, 8);
    CHECK(!ps_log_head_tail(b, 1, BOOT + 1, &tail)); /* from before the machine started */
    ps_log_head_unmap(a);
    ps_log_head_unmap(b);
    ps_log_head_unmap(NULL);
    CHECK(close(fd) == 0);
}

/* Any byte of the tail that changed, also half a publish, makes it untrusted. */
static void a_torn_tail_is_seen(void)
{
    const int fd = make_file();
    ps_log_head *const head = map(fd);
    publish(head, 0, 1000);
    const int64_t first = 128, size = 128 /* one partition */;
    for (int64_t at = first; at < first + size; at++) {
        const bool counted = at < first + 8 || (at >= first + 64 && at < first + 64 + 52);
        uint8_t byte, flipped;
        CHECK(pread(fd, &byte, 1, at) == 1);
        flipped = (uint8_t)(byte ^ 0x10);
        CHECK(pwrite(fd, &flipped, 1, at) == 1);
        ps_log_tail tail;
        CHECK_EQ(ps_log_head_tail(head, 0, BOOT, &tail), !counted);
        CHECK(pwrite(fd, &byte, 1, at) == 1);
    }
    ps_log_head_unmap(head);
    CHECK(close(fd) == 0);
}

static void other_files_are_refused(void)
{
    const int fd = make_file();
    ps_log_head *head;
    ps_error err;
    CHECK_EQ(ps_log_head_map(fd, "head", PARTITIONS + 1, &head, &err), PS_CORRUPT);
    CHECK_STR(err.text, "head is not the head of a log of 4 partitions");
    CHECK(ftruncate(fd, 100) == 0);
    CHECK_EQ(ps_log_head_map(fd, "head", PARTITIONS, &head, &err), PS_CORRUPT);
    CHECK_STR(err.text, "head is shorter than the 4096 bytes of 3 partitions");
    CHECK(close(fd) == 0);
    CHECK_EQ(ps_log_head_map(-1, "head", PARTITIONS, &head, NULL), PS_CORRUPT);
}

static void waiting_ends(void)
{
    const int fd = make_file();
    ps_log_head *const head = map(fd);
    const int64_t seen[PARTITIONS] = {0, 0, 0};
    const int32_t two = 2;
    CHECK_EQ(ps_log_head_wait(head, NULL, seen, PARTITIONS, 1000000), -1);
    CHECK_EQ(ps_log_head_wait(head, &two, seen, 1, 0), -1);
    publish(head, 2, 1);
    CHECK_EQ(ps_log_head_wait(head, NULL, seen, PARTITIONS, FOREVER_NS), 2);
    CHECK_EQ(ps_log_head_wait(head, &two, seen, 1, FOREVER_NS), 0);
    CHECK_EQ(ps_log_head_wait(head, NULL, seen, 2, 1000000), -1); /* 0 and 1 have no news */
    ps_log_head_unmap(head);
    CHECK(close(fd) == 0);
}

/* Ping-pong between two processes, one waiting on one partition, the other on all. */
static void processes_wake_each_other(void)
{
    enum { TURNS = 2000 };
    const int fd = make_file();
    const pid_t child = fork();
    CHECK(child >= 0);
    ps_log_head *const head = map(fd);
    if (child == 0) {
        const int32_t zero = 0;
        for (int64_t turn = 0; turn < TURNS; turn++) {
            while (ps_log_head_wait(head, &zero, &turn, 1, FOREVER_NS) < 0) {
            }
            publish(head, 1, turn + 1);
        }
        _exit(0);
    }
    int64_t seen[PARTITIONS] = {0, 0, 0};
    for (int64_t turn = 1; turn <= TURNS; turn++) {
        publish(head, 0, turn);
        seen[0] = turn;
        while (ps_log_head_wait(head, NULL, seen, PARTITIONS, FOREVER_NS) != 1) {
        }
        seen[1] = turn;
        CHECK_EQ(ps_log_head_end(head, 1), turn);
    }
    int status;
    CHECK_EQ(waitpid(child, &status, 0), child);
    CHECK_EQ(status, 0);
    ps_log_head_unmap(head);
    CHECK(close(fd) == 0);
}

static void a_killed_sleeper_does_no_harm(void)
{
    const int fd = make_file();
    ps_log_head *const head = map(fd);
    int ready[2];
    CHECK(pipe(ready) == 0);
    const pid_t child = fork();
    if (child == 0) {
        const int64_t seen = 0;
        CHECK(write(ready[1], "x", 1) == 1);
        ps_log_head_wait(head, NULL, &seen, 1, FOREVER_NS);
        _exit(0);
    }
    char byte;
    CHECK(read(ready[0], &byte, 1) == 1);
    CHECK(kill(child, SIGKILL) == 0);
    CHECK_EQ(waitpid(child, NULL, 0), child);
    publish(head, 0, 3);
    const int64_t seen = 0;
    CHECK_EQ(ps_log_head_wait(head, NULL, &seen, 1, FOREVER_NS), 0);
    ps_log_head_unmap(head);
    CHECK(close(ready[0]) == 0 && close(ready[1]) == 0 && close(fd) == 0);
}

int main(void)
{
    RUN(two_mappings_agree);
    RUN(a_torn_tail_is_seen);
    RUN(other_files_are_refused);
    RUN(waiting_ends);
    RUN(processes_wake_each_other);
    RUN(a_killed_sleeper_does_no_harm);
    return 0;
}
