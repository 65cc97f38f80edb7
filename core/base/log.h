/* log.h - log lines: a fixed event name and key=value, as logfmt or JSON.
 *
 *   log_warn("sink.retried", "attempt=%u wait_ms=%u", n, wait_ms);
 *
 * Never per record, never a payload, never a secret. Equal event + text in a row
 * are folded into one line with repeated=N, at most one line a second each.
 * Threads: any. Lines go to standard error in one write each.
 */
#ifndef KPIPE_BASE_LOG_H
#define KPIPE_BASE_LOG_H

#include <stdarg.h>
#include <stdbool.h>

enum log_level { LOG_ERROR, LOG_WARN, LOG_INFO, LOG_DEBUG };

void log_setup(enum log_level level, bool json);
bool log_level_from(const char *name, enum log_level *ret_level);
bool log_enabled(enum log_level level);

/* `who` (may be NULL) names the stage: "pattern4/enrich/kinesis". */
void log_vwrite(enum log_level level, const char *who, const char *event, const char *fmt,
                va_list args);
__attribute__((format(printf, 4, 5))) void log_write(enum log_level level, const char *who,
                                                     const char *event, const char *fmt, ...);

/* Called before every line and after it, so that a live table can clear and redraw itself. */
void log_hook(void (*around)(bool before));

#define log_error(event, ...) log_write(LOG_ERROR, NULL, event, __VA_ARGS__)
#define log_warn(event, ...)  log_write(LOG_WARN, NULL, event, __VA_ARGS__)
#define log_info(event, ...)  log_write(LOG_INFO, NULL, event, __VA_ARGS__)
#define log_debug(event, ...) log_write(LOG_DEBUG, NULL, event, __VA_ARGS__)

#endif
