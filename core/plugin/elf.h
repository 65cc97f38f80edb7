/* elf.h - which symbols a shared object offers and wants, without opening it. */
#ifndef KPIPE_PLUGIN_ELF_H
#define KPIPE_PLUGIN_ELF_H

#include <stdbool.h>

struct error;

/* Calls fn for each dynamic symbol: exported ones and undefined ones. Names of the
 * implementation (leading _) are left out. False: no shared object of this machine. */
bool elf_symbols(const char *path, void (*fn)(void *arg, const char *name, bool is_undefined),
                 void *arg, struct error *err);

#endif
