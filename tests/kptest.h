/* kptest.h - CUnit with tests that register themselves.
 *
 * TEST(name) { ... } defines a test and adds it to the suite named after the
 * file, so no list of tests exists that one could forget to extend. A test's
 * name is a sentence: TEST(watermark_waits_for_the_slowest_record).
 */
#ifndef KPIPE_TESTS_KPTEST_H
#define KPIPE_TESTS_KPTEST_H

#include <CUnit/CUnit.h>

void kptest_register(const char *file, const char *name, void (*fn)(void));

#define TEST(name)                                                   \
    static void name(void);                                          \
    __attribute__((constructor)) static void kptest_add_##name(void) \
    {                                                                \
        kptest_register(__FILE__, #name, name);                      \
    }                                                                \
    static void name(void)

/* Stops the test when a pointer or condition that the rest relies on is missing. */
#define REQUIRE(cond) CU_ASSERT_FATAL(cond)
#define EQ_STR(a, b)  CU_ASSERT_STRING_EQUAL(a, b)
#define EQ_INT(a, b)  CU_ASSERT_EQUAL((long long)(a), (long long)(b))
#define YES(a)        CU_ASSERT_TRUE(a)
#define NO(a)         CU_ASSERT_FALSE(a)

/* Path of a file below the source tree; tests run from the top of the tree. [static buffer, 4 in
 * turn] */
const char *kptest_path(const char *relative);

/* A fresh empty directory, removed when the program ends. [owned by the test program] */
const char *kptest_dir(void);

#endif
