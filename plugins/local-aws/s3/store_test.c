/* store_test.c - what is left of S3's objects when the process ends in the middle of a change.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "plugins/local-aws/s3/store.h"
#include "plugins/local-aws/s3/uploads.h"
#include "tests/kptest.h"

static sqlite3 *db;
static struct s3_store store;
static const char *dir;

static void start(void)
{
    char path[4400], why[300] = "";

    snprintf(path, sizeof(path), "%s/state.db", dir);
    REQUIRE(sqlite3_open(path, &db) == SQLITE_OK);
    snprintf(path, sizeof(path), "%s/s3", dir);
    REQUIRE(s3_store_open(&store, db, path, why, sizeof(why)));
}

static void stop(void)
{
    s3_store_close(&store);
    sqlite3_close(db);
}

static void restart(void)
{
    stop();
    start();
}

static struct s3_key key_of(const char *key)
{
    return (struct s3_key){"bucket", key, strlen(key)};
}

static struct s3_temp write_temp(const char *text)
{
    struct s3_temp temp = {-1, ""};

    REQUIRE(s3_temp_open(&store, &temp));
    REQUIRE(s3_temp_write(&temp, text, strlen(text)));
    return temp;
}

static void put(const char *key, const char *text)
{
    struct s3_temp temp = write_temp(text);
    struct s3_key k = key_of(key);
    struct s3_meta meta = {.size = strlen(text), .headers = json_object()};

    snprintf(meta.etag, sizeof(meta.etag), "etag of %s", text);
    REQUIRE(s3_object_publish(&store, &k, &temp, &meta));
    s3_temp_drop(&store, &temp);
    s3_meta_fini(&meta);
}

/* The object's content, "" when there is none; it must fit its ETag. [static buffer] */
static const char *content(const char *key)
{
    static char out[100];
    char etag[120];
    struct s3_key k = key_of(key);
    struct s3_object object;
    ssize_t n;
    int fd;

    out[0] = '\0';
    if (!s3_object_find(&store, &k, &object))
        return out;
    fd = s3_object_open(&store, &object);
    REQUIRE(fd >= 0);
    n = read(fd, out, sizeof(out) - 1);
    out[n > 0 ? n : 0] = '\0';
    snprintf(etag, sizeof(etag), "etag of %s", out);
    EQ_STR(object.meta.etag, etag);
    EQ_INT(object.meta.size, n);
    close(fd);
    s3_object_fini(&object);
    return out;
}

/* The row that s3_object_publish() writes before it renames. */
static void begin_change(const struct s3_temp *temp, const char *key, const char *text)
{
    char *sql;
    struct stat info = {0};

    if (temp)
        REQUIRE(fstat(temp->fd, &info) == 0);
    sql = sqlite3_mprintf("INSERT INTO s3_pending(temp, inode, bucket, key, path, size, etag,"
                          " modified, headers, algorithm, checksum, composite, parts) VALUES("
                          "%Q, %lld, 'bucket', CAST(%Q AS BLOB), 'bucket/%q', %lld, 'etag of %q',"
                          " 0, '{}', 0, '', 0, 0)",
                          temp ? temp->name : NULL, (long long)info.st_ino, key, key,
                          (long long)strlen(text), text);
    REQUIRE(sqlite3_exec(db, sql, NULL, NULL, NULL) == SQLITE_OK);
    sqlite3_free(sql);
}

static size_t files_in(const char *folder)
{
    char command[4500];
    FILE *list;
    size_t n = 0;
    int c;

    snprintf(command, sizeof(command), "ls -A '%s/s3/%s'", dir, folder);
    list = popen(command, "re");
    REQUIRE(list != NULL);
    while ((c = fgetc(list)) != EOF)
        n += c == '\n';
    pclose(list);
    return n;
}

static void begin_test(void)
{
    dir = kptest_dir();
    start();
    REQUIRE(s3_bucket_add(&store, "bucket", "us-east-1", 0));
}

TEST(an_end_before_the_rename_leaves_the_old_object)
{
    struct s3_temp temp;

    begin_test();
    put("k", "old");
    temp = write_temp("new!");
    begin_change(&temp, "k", "new!");
    close(temp.fd);
    restart();
    EQ_STR(content("k"), "old");
    EQ_INT(files_in(".tmp"), 0);
    stop();
}

TEST(an_end_after_the_rename_leaves_the_new_object)
{
    struct s3_temp temp;

    begin_test();
    put("k", "old");
    temp = write_temp("new!");
    begin_change(&temp, "k", "new!");
    close(temp.fd);
    REQUIRE(renameat(store.root, temp.name, store.root, "bucket/k") == 0);
    restart();
    EQ_STR(content("k"), "new!");
    restart();
    EQ_STR(content("k"), "new!");
    stop();
}

TEST(a_deletion_that_was_begun_is_finished)
{
    begin_test();
    put("k", "old");
    put("other", "stays");
    begin_change(NULL, "k", "");
    REQUIRE(sqlite3_exec(db, "DELETE FROM s3_object WHERE key = CAST('k' AS BLOB)", NULL, NULL,
                         NULL) == SQLITE_OK);
    restart();
    EQ_STR(content("k"), "");
    EQ_STR(content("other"), "stays");
    EQ_INT(files_in("bucket"), 1);
    stop();
}

TEST(a_deletion_whose_end_was_lost_does_not_take_the_next_object)
{
    begin_test();
    put("k", "old");
    begin_change(NULL, "k", "");
    put("k", "new"); /* the same path */
    restart();
    EQ_STR(content("k"), "new");
    restart();
    EQ_STR(content("k"), "new");
    stop();
}

TEST(what_could_not_be_ended_is_ended_later)
{
    struct s3_temp temp;

    begin_test();
    put("k", "old");
    temp = write_temp("new!");
    begin_change(&temp, "k", "new!");
    close(temp.fd);
    REQUIRE(renameat(store.root, temp.name, store.root, "bucket/k") == 0);
    store.is_unsettled = true;
    YES(s3_store_settle(&store));
    EQ_STR(content("k"), "new!");
    NO(store.is_unsettled);
    stop();
}

TEST(folders_of_a_synced_object_are_there)
{
    begin_test();
    store.sync = true;
    put("a/b/c/d", "deep");
    EQ_STR(content("a/b/c/d"), "deep");
    restart();
    EQ_STR(content("a/b/c/d"), "deep");
    stop();
}

TEST(many_objects_go_in_one_change)
{
    struct s3_key keys[3];

    begin_test();
    put("a/1", "one");
    put("a/2", "two");
    put("stays", "three");
    keys[0] = key_of("a/1");
    keys[1] = key_of("none");
    keys[2] = key_of("a/2");
    YES(s3_objects_delete(&store, keys, 3));
    EQ_STR(content("a/1"), "");
    EQ_STR(content("a/2"), "");
    EQ_STR(content("stays"), "three");
    EQ_INT(files_in("bucket"), 1); /* the folder went, too */
    stop();
}

TEST(parts_of_earlier_processes_of_the_same_number_stay)
{
    begin_test();
    for (uint32_t i = 1; i <= 3; i++) {
        struct s3_temp temp = write_temp("part");
        struct s3_part row = {.number = i, .size = 4};

        REQUIRE(s3_part_put(&store, "upload", &row, &temp));
        close(temp.fd);
        restart(); /* counts from the start again */
    }
    EQ_INT(files_in(".tmp"), 3);
    stop();
}

TEST(a_part_survives_and_other_leftovers_do_not)
{
    struct s3_temp part, left;
    struct s3_part row = {.number = 1, .size = 4};
    struct s3_part *parts;
    size_t n;

    begin_test();
    part = write_temp("part");
    REQUIRE(s3_part_put(&store, "upload", &row, &part));
    close(part.fd);
    left = write_temp("left");
    close(left.fd);
    EQ_INT(files_in(".tmp"), 2);
    restart();
    EQ_INT(files_in(".tmp"), 1);
    parts = s3_part_list(&store, "upload", &n);
    REQUIRE(n == 1);
    EQ_INT(faccessat(store.root, parts[0].file, R_OK, 0), 0);
    free(parts);
    stop();
}
