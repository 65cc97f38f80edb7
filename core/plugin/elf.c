/* elf.c - see elf.h: the file is mapped and its section headers are walked; every offset is
 * checked, since the file may be anything. */
#include "core/plugin/elf.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <link.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/base/error.h"

struct image {
    const char *base;
    size_t size;
};

static const void *at(const struct image *image, uint64_t offset, uint64_t bytes)
{
    if (offset > image->size || bytes > image->size - offset)
        return NULL;
    return image->base + offset;
}

static bool walk_symbols(const struct image *image, const ElfW(Shdr) * symbols,
                         const ElfW(Shdr) * strings,
                         void (*fn)(void *arg, const char *name, bool is_undefined), void *arg)
{
    const char *names = at(image, strings->sh_offset, strings->sh_size);
    const ElfW(Sym) *symbol = at(image, symbols->sh_offset, symbols->sh_size);
    size_t n = symbols->sh_size / sizeof *symbol;

    if (!names || !symbol || !strings->sh_size || names[strings->sh_size - 1])
        return false;
    for (size_t i = 1; i < n; i++) {
        int binding = ELF64_ST_BIND(symbol[i].st_info);

        if (symbol[i].st_name >= strings->sh_size)
            return false;
        if ((binding == STB_GLOBAL || binding == STB_WEAK) && names[symbol[i].st_name] != '_')
            fn(arg, names + symbol[i].st_name, symbol[i].st_shndx == SHN_UNDEF);
    }
    return true;
}

static bool walk(const struct image *image,
                 void (*fn)(void *arg, const char *name, bool is_undefined), void *arg)
{
    const ElfW(Ehdr) *head = at(image, 0, sizeof *head);
    const ElfW(Shdr) * sections;

    if (!head || memcmp(head->e_ident, ELFMAG, SELFMAG) || head->e_type != ET_DYN ||
        head->e_ident[EI_CLASS] != (sizeof(void *) == 8 ? ELFCLASS64 : ELFCLASS32) ||
        head->e_shentsize != sizeof *sections)
        return false;
    sections = at(image, head->e_shoff, (uint64_t)head->e_shnum * sizeof *sections);
    if (!sections || head->e_shoff % _Alignof(ElfW(Shdr)))
        return false;
    for (unsigned i = 0; i < head->e_shnum; i++)
        if (sections[i].sh_type == SHT_DYNSYM && sections[i].sh_link < head->e_shnum)
            return walk_symbols(image, &sections[i], &sections[sections[i].sh_link], fn, arg);
    return false;
}

bool elf_symbols(const char *path, void (*fn)(void *arg, const char *name, bool is_undefined),
                 void *arg, struct error *err)
{
    struct image image = {MAP_FAILED, 0};
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    struct stat st;
    bool ok = false;

    if (fd < 0 || fstat(fd, &st)) {
        error_sys(err, errno, "cannot be opened");
        goto out;
    }
    image.size = (size_t)st.st_size;
    if (image.size)
        image.base = mmap(NULL, image.size, PROT_READ, MAP_PRIVATE, fd, 0);
    ok = image.base != MAP_FAILED && walk(&image, fn, arg);
    if (!ok)
        error_set(err, ERROR_CORRUPT, "is not a shared object of this machine");
out:
    if (image.base != MAP_FAILED)
        munmap((void *)(uintptr_t)image.base, image.size);
    if (fd >= 0)
        close(fd);
    return ok;
}
