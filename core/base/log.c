/* log.c - see log.h.
 *
 * One static buffer under one lock: logging is rare by rule. The fold compares
 * with the last line only, which is enough for a retry loop that says the same.
 */
#include "core/base/log.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static const char *const level_names[] = {"error", "warn", "info", "debug"};
static struct {
    pthread_mutex_t lock;
    enum log_level level;
    bool json;
    void (*around)(bool before);
    char last[1200];
    unsigned repeated;
    time_t last_at;
} log_state = {.lock = PTHREAD_MUTEX_INITIALIZER, .level = LOG_INFO};

void log_setup(enum log_level level, bool json)
{
    log_state.level = level;
    log_state.json = json;
}

void log_hook(void (*around)(bool before))
{
    pthread_mutex_lock(&log_state.lock);
    log_state.around = around;
    pthread_mutex_unlock(&log_state.lock);
}

bool log_level_from(const char *name, enum log_level *ret_level)
{
    for (int i = 0; i < 4; i++) {
        if (strcmp(name, level_names[i]) == 0) {
            *ret_level = (enum log_level)i;
            return true;
        }
    }
    return false;
}

bool log_enabled(enum log_level level)
{
    return level <= log_state.level;
}

static void write_all(const char *line, size_t n)
{
    while (n) {
        ssize_t done = write(STDERR_FILENO, line, n);

        if (done <= 0)
            return; /* nowhere to say that the log is gone */
        line += done;
        n -= (size_t)done;
    }
}

/* JSON string content of `text`; control bytes become spaces, which is enough for our own texts. */
static size_t put_escaped(char *out, size_t cap, const char *text)
{
    size_t n = 0;

    for (; *text && n + 3 < cap; text++) {
        unsigned char c = (unsigned char)*text;

        if (c == '"' || c == '\\')
            out[n++] = '\\';
        out[n++] = c < 0x20 ? ' ' : (char)c;
    }
    out[n] = '\0';
    return n;
}

static void emit(enum log_level level, const char *who, const char *event, const char *text,
                 unsigned repeated)
{
    char line[3000], stamp[40], again[32] = "";
    struct timespec ts;
    struct tm tm;
    int n;

    clock_gettime(CLOCK_REALTIME, &ts);
    gmtime_r(&ts.tv_sec, &tm);
    n = (int)strftime(stamp, sizeof stamp, "%Y-%m-%dT%H:%M:%S", &tm);
    snprintf(stamp + n, sizeof stamp - (size_t)n, ".%03ldZ", ts.tv_nsec / 1000000);
    if (log_state.json) {
        char safe[2400];

        put_escaped(safe, sizeof safe, text);
        if (repeated)
            snprintf(again, sizeof again, ",\"repeated\":%u", repeated);
        n = snprintf(line, sizeof line,
                     "{\"time\":\"%s\",\"level\":\"%s\",\"event\":\"%s\",\"stage\":\"%s\","
                     "\"text\":\"%s\"%s}\n",
                     stamp, level_names[level], event, who ? who : "", safe, again);
    } else {
        if (repeated)
            snprintf(again, sizeof again, " repeated=%u", repeated);
        n = snprintf(line, sizeof line, "%s %-5s %s%s%s %s%s\n", stamp, level_names[level], event,
                     who ? " stage=" : "", who ? who : "", text, again);
    }
    if (n >= (int)sizeof line)
        line[(n = (int)sizeof line - 1) - 1] = '\n';
    if (log_state.around)
        log_state.around(true);
    write_all(line, (size_t)n);
    if (log_state.around)
        log_state.around(false);
}

/* One line stays one line, and nothing a record or a peer says moves the terminal's cursor. */
static void tame(char *text)
{
    for (; *text; text++)
        if ((unsigned char)*text < ' ' || *text == 127)
            *text = *text == '\n' || *text == '\t' ? ' ' : '?';
}

void log_vwrite(enum log_level level, const char *who, const char *event, const char *fmt,
                va_list args)
{
    char text[1100], key[sizeof log_state.last];
    struct timespec now;
    unsigned repeated = 0;

    if (!log_enabled(level))
        return;
    vsnprintf(text, sizeof text, fmt, args);
    tame(text);
    snprintf(key, sizeof key, "%s|%s|%.900s", event, who ? who : "", text);
    clock_gettime(CLOCK_MONOTONIC, &now);
    pthread_mutex_lock(&log_state.lock);
    if (strcmp(key, log_state.last) == 0 && now.tv_sec == log_state.last_at) {
        log_state.repeated++;
    } else {
        if (strcmp(key, log_state.last) == 0)
            repeated = log_state.repeated;
        log_state.repeated = 0;
        log_state.last_at = now.tv_sec;
        memcpy(log_state.last, key, sizeof key);
        emit(level, who, event, text, repeated);
    }
    pthread_mutex_unlock(&log_state.lock);
}

void log_write(enum log_level level, const char *who, const char *event, const char *fmt, ...)
{
    va_list args;

    va_start(args, fmt);
    log_vwrite(level, who, event, fmt, args);
    va_end(args);
}
