/* test_aws_config.c - what environment and shared files say: profiles, region, endpoints; and the
 * one sentence for what cannot be. */
#include "tests/unit/aws_world.h"

#include <stdlib.h>

#include "core/aws/aws_config.h"
#include "core/aws/aws_fetch.h"

static struct aws_config *config;
static struct error err;

static bool load(void)
{
    aws_config_free(config);
    err = (struct error)ERROR_INIT;
    config = aws_config_new(NULL, &err);
    return config != NULL;
}

static void end(void)
{
    aws_config_free(config);
    config = NULL;
    world_end();
}

/* ---- shared files */

static struct aws_profiles profiles;

static bool parse(const char *text, enum aws_file file)
{
    err = (struct error)ERROR_INIT;
    return aws_profiles_parse(&profiles, text, "config", file, &err);
}

static const char *value(const char *profile, const char *key)
{
    const char *found = aws_profiles_get(&profiles, profile, key);

    return found ? found : "(none)";
}

TEST(profiles_have_comments_nested_keys_and_quoted_names)
{
    YES(parse("# a comment\n"
              "[default]\n"
              "region = eu-west-1 ; behind a blank\n"
              "Output=json#not a comment\r\n"
              "s3 =\n"
              "  addressing_style = path\n"
              "\n"
              "[profile \"two words\"]\n"
              "region=us-west-2\n"
              "long = a\n"
              "   b = c\n"
              "[services local]\n"
              "kinesis =\n"
              "   endpoint_url = http://127.0.0.1:1\n"
              "[foo]\n"
              "region = not-a-profile\n",
              AWS_FILE_CONFIG));
    EQ_STR(value("default", "region"), "eu-west-1");
    EQ_STR(value("default", "output"), "json#not a comment");
    EQ_STR(value("default", "s3.addressing_style"), "path");
    EQ_STR(value("two words", "region"), "us-west-2");
    EQ_STR(value("two words", "long"), "a\nb = c");
    EQ_STR(value("foo", "region"), "(none)");
    NO(aws_profiles_has(&profiles, "foo"));
    EQ_STR(aws_profiles_service(&profiles, "local", "kinesis.endpoint_url"), "http://127.0.0.1:1");
    YES(parse("[foo]\naws_access_key_id = A\n[default]\nregion = from-credentials\n",
              AWS_FILE_CREDENTIALS));
    EQ_STR(value("foo", "aws_access_key_id"), "A");
    EQ_STR(value("default", "region"), "from-credentials");
    aws_profiles_fini(&profiles);
}

TEST(broken_shared_files_are_refused_with_their_line)
{
    static const struct {
        const char *text, *error;
    } cases[] = {
        {"region = a\n", "config:1: a key in front of the first section"},
        {"[default\n", "config:1: a section has no ']'"},
        {"[default] x\n", "config:1: text behind a section's ']'"},
        {"[profile ]\n", "config:1: a section has no name"},
        {"[profile \"a]\n", "config:1: a section has no name"},
        {"[default]\nregion\n", "config:2: a line is not \"key = value\""},
        {"[default]\n= x\n", "config:2: a value has no key"},
        {"[default]\n  region = x\n", "config:2: an indented line without a key above it"},
        {"[default]\ns3 =\n  path\n", "config:3: an indented line is not \"key = value\""},
    };

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        NO(parse(cases[i].text, AWS_FILE_CONFIG));
        EQ_STR(err.text, cases[i].error);
        EQ_INT(err.kind, ERROR_CONFIG);
        aws_profiles_fini(&profiles);
    }
}

TEST(a_file_of_more_than_a_megabyte_is_refused)
{
    char *text = malloc((1 << 20) + 100);

    REQUIRE(text != NULL);
    world_begin();
    memset(text, '#', (1 << 20) + 99);
    text[(1 << 20) + 99] = '\0';
    world_env("AWS_CONFIG_FILE", world_file("big", text));
    NO(load());
    YES(strstr(err.text, "is longer than 1 MiB") != NULL);
    free(text);
    end();
}

/* ---- region */

TEST(the_region_comes_from_two_variables_or_the_profile_and_never_from_nowhere)
{
    world_begin();
    NO(load());
    EQ_STR(err.text, "there is no AWS region: set AWS_REGION, or region in profile 'default'");
    EQ_INT(err.kind, ERROR_CONFIG);
    world_file(".aws/config", "[default]\nregion = eu-north-1\n[profile p]\nregion = eu-south-1\n");
    YES(load());
    EQ_STR(aws_config_region(config), "eu-north-1");
    world_env("AWS_PROFILE", "p");
    YES(load());
    EQ_STR(aws_config_region(config), "eu-south-1");
    world_env("AWS_DEFAULT_REGION", "us-east-2");
    YES(load());
    EQ_STR(aws_config_region(config), "us-east-2");
    world_env("AWS_REGION", "us-west-2");
    YES(load());
    EQ_STR(aws_config_region(config), "us-west-2");
    world_env("AWS_REGION", "evil.example.com/");
    NO(load());
    EQ_STR(err.text, "'evil.example.com/' is not the name of an AWS region");
    end();
}

TEST(a_profile_that_is_nowhere_is_refused_with_the_files)
{
    world_begin();
    world_env("AWS_CONFIG_FILE", "/nowhere/config");
    world_env("AWS_SHARED_CREDENTIALS_FILE", "/nowhere/credentials");
    world_env("AWS_PROFILE", "other");
    NO(load());
    EQ_STR(err.text, "profile 'other' (AWS_PROFILE) is neither in /nowhere/config nor in "
                     "/nowhere/credentials");
    end();
}

/* ---- endpoints */

static const char *endpoint(const char *region, const char *service)
{
    static char url[200];

    world_env("AWS_REGION", region);
    REQUIRE(load());
    snprintf(url, sizeof url, "%s", aws_config_endpoint(config, service));
    return url;
}

TEST(endpoints_follow_the_partition)
{
    world_begin();
    EQ_STR(endpoint("us-east-1", "kinesis"), "https://kinesis.us-east-1.amazonaws.com");
    EQ_STR(endpoint("cn-north-1", "sqs"), "https://sqs.cn-north-1.amazonaws.com.cn");
    EQ_STR(endpoint("us-gov-west-1", "s3"), "https://s3.us-gov-west-1.amazonaws.com");
    EQ_STR(endpoint("eusc-de-east-1", "sts"), "https://sts.eusc-de-east-1.amazonaws.eu");
    EQ_STR(endpoint("us-isob-east-1", "s3"), "https://s3.us-isob-east-1.sc2s.sgov.gov");
    EQ_STR(endpoint("eu-west-1", "cloudwatch"), "https://monitoring.eu-west-1.amazonaws.com");
    world_env("AWS_USE_FIPS_ENDPOINT", "true");
    EQ_STR(endpoint("us-east-1", "kinesis"), "https://kinesis-fips.us-east-1.amazonaws.com");
    world_env("AWS_USE_FIPS_ENDPOINT", NULL);
    world_env("AWS_USE_DUALSTACK_ENDPOINT", "true");
    EQ_STR(endpoint("eu-west-1", "lambda"), "https://lambda.eu-west-1.api.aws");
    EQ_STR(endpoint("eu-west-1", "s3"), "https://s3.dualstack.eu-west-1.amazonaws.com");
    EQ_STR(endpoint("cn-north-1", "sqs"), "https://sqs.cn-north-1.api.amazonwebservices.com.cn");
    end();
}

TEST(the_nearest_endpoint_setting_counts)
{
    world_begin();
    world_file(".aws/config", "[default]\n"
                              "endpoint_url = http://profile:1\n"
                              "services = mine\n"
                              "[services mine]\n"
                              "kinesis =\n"
                              "  endpoint_url = http://section:2/\n");
    EQ_STR(endpoint("us-east-1", "sqs"), "http://profile:1");
    EQ_STR(endpoint("us-east-1", "kinesis"), "http://section:2");
    world_env("AWS_ENDPOINT_URL", "http://env:3/base/");
    EQ_STR(endpoint("us-east-1", "kinesis"), "http://env:3/base");
    world_env("AWS_ENDPOINT_URL_KINESIS", "https://own:4");
    EQ_STR(endpoint("us-east-1", "kinesis"), "https://own:4");
    EQ_STR(endpoint("us-east-1", "sqs"), "http://env:3/base");
    world_env("AWS_ENDPOINT_URL_CLOUDWATCH_LOGS", "http://logs:5");
    EQ_STR(endpoint("us-east-1", "logs"), "http://logs:5");
    world_env("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS", "true");
    EQ_STR(endpoint("us-east-1", "kinesis"), "https://kinesis.us-east-1.amazonaws.com");
    end();
}

TEST(settings_that_cannot_be_are_refused_at_the_start)
{
    static const struct {
        const char *name, *value, *error;
    } cases[] = {
        {"AWS_ENDPOINT_URL_SQS", "localhost:4566",
         "AWS_ENDPOINT_URL_SQS is not a URL of the form "},
        {"AWS_ENDPOINT_URL", "http://a b", "AWS_ENDPOINT_URL is not a URL of the form "},
        {"AWS_ENDPOINT_URL", "http://user:pw@host", "AWS_ENDPOINT_URL is not a URL of the form "},
        {"AWS_MAX_ATTEMPTS", "0", "AWS_MAX_ATTEMPTS is a number from 1 to 100, not '0'"},
        {"AWS_CA_BUNDLE", "/not/there.pem",
         "cannot read the certificates of AWS_CA_BUNDLE, /not/there.pem: No such file"},
        {"AWS_RETRY_MODE", "fast", "AWS_RETRY_MODE is legacy, standard or adaptive, not 'fast'"},
        {"AWS_ACCESS_KEY_ID", "A", "AWS_ACCESS_KEY_ID is set, but AWS_SECRET_ACCESS_KEY is not"},
        {"AWS_SECRET_ACCESS_KEY", "A",
         "AWS_SECRET_ACCESS_KEY is set, but AWS_ACCESS_KEY_ID is not"},
    };

    world_begin();
    world_env("AWS_REGION", "us-east-1");
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        world_env(cases[i].name, cases[i].value);
        NO(load());
        CU_ASSERT_NSTRING_EQUAL(err.text, cases[i].error, strlen(cases[i].error));
        world_env(cases[i].name, NULL);
    }
    world_env("AWS_ENDPOINT_URL", "http://127.0.0.1:1");
    world_env("AWS_USE_FIPS_ENDPOINT", "true");
    NO(load());
    YES(strstr(err.text, "exclude each other") != NULL);
    end();
}

TEST(certificates_are_checked_by_the_file_that_is_set)
{
    world_begin();
    world_env("AWS_REGION", "us-east-1");
    YES(load());
    CU_ASSERT_PTR_NULL(config->ca_bundle);
    world_env("AWS_CA_BUNDLE", "/dev/null");
    YES(load());
    EQ_STR(config->ca_bundle, "/dev/null");
    end();
}

TEST(the_retry_settings_are_read)
{
    world_begin();
    world_env("AWS_REGION", "us-east-1");
    YES(load());
    EQ_INT(config->max_attempts, 0);
    YES(config->retry == &aws_retry_2026);
    world_env("AWS_MAX_ATTEMPTS", "7");
    world_env("AWS_NEW_RETRIES_2026", "false");
    YES(load());
    EQ_INT(config->max_attempts, 7);
    YES(config->retry == &aws_retry_before_2026);
    end();
}

/* ---- the chain */

static enum aws_source source(void)
{
    return load() ? aws_source_choose(config) : AWS_SOURCE_NONE;
}

TEST(the_first_configured_source_of_credentials_counts)
{
    world_begin();
    world_env("AWS_REGION", "us-east-1");
    EQ_INT(source(), AWS_SOURCE_NONE);
    world_env("AWS_EC2_METADATA_DISABLED", NULL);
    EQ_INT(source(), AWS_SOURCE_INSTANCE);
    world_env("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "/v2/x");
    EQ_INT(source(), AWS_SOURCE_CONTAINER);
    world_file(".aws/config", "[default]\naws_access_key_id=A\naws_secret_access_key=B\n");
    EQ_INT(source(), AWS_SOURCE_CONFIG_FILE);
    world_file(".aws/config", "[default]\naws_access_key_id=A\naws_secret_access_key=B\n"
                              "credential_process = /bin/true\n");
    EQ_INT(source(), AWS_SOURCE_PROCESS);
    world_file(".aws/credentials", "[default]\naws_access_key_id=A\naws_secret_access_key=B\n");
    EQ_INT(source(), AWS_SOURCE_CREDENTIALS_FILE);
    world_env("AWS_WEB_IDENTITY_TOKEN_FILE", "/token");
    world_env("AWS_ROLE_ARN", "arn:aws:iam::1:role/r");
    EQ_INT(source(), AWS_SOURCE_WEB_IDENTITY);
    world_env("AWS_ACCESS_KEY_ID", "A");
    world_env("AWS_SECRET_ACCESS_KEY", "B");
    EQ_INT(source(), AWS_SOURCE_ENVIRONMENT);
    end();
}

TEST(what_kpipe_does_not_do_itself_is_said_with_the_way_out)
{
    world_begin();
    world_env("AWS_REGION", "us-east-1");
    world_file(".aws/config", "[default]\nsso_session = corp\n");
    NO(load());
    EQ_STR(err.text, "profile 'default' has sso_session, which kpipe does not do itself; give it a "
                     "profile with credential_process = aws configure export-credentials --profile "
                     "default");
    end();
}

TEST(a_role_needs_exactly_one_source_with_keys)
{
    static const struct {
        const char *more, *error;
    } cases[] = {
        {"", "profile 'job' has role_arn, but no source_profile"},
        {"source_profile = base\ncredential_source = EcsContainer\n",
         "profile 'job' has both source_profile and credential_source"},
        {"credential_source = EcsContainer\n",
         "profile 'job' has credential_source, which kpipe does not do itself; give it a profile "
         "with credential_process = aws configure export-credentials --profile job"},
        {"source_profile = base\nmfa_serial = m\n",
         "profile 'job' has mfa_serial, which kpipe does not do itself; give it a profile with "
         "credential_process = aws configure export-credentials --profile job"},
        {"source_profile = other\n",
         "source_profile 'other' of profile 'job' has no keys of its own; give kpipe a profile "
         "with credential_process = aws configure export-credentials --profile job"},
        {"source_profile = base\n", NULL},
    };
    char text[500];

    world_begin();
    world_env("AWS_REGION", "us-east-1");
    world_env("AWS_PROFILE", "job");
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        snprintf(text, sizeof text,
                 "[profile base]\naws_access_key_id = A\naws_secret_access_key = B\n"
                 "[profile job]\nrole_arn = r\n%s",
                 cases[i].more);
        world_file(".aws/config", text);
        EQ_INT(load(), cases[i].error == NULL);
        EQ_STR(err.text, cases[i].error ? cases[i].error : "");
    }
    EQ_INT(aws_source_choose(config), AWS_SOURCE_ROLE);
    end();
}

TEST(a_command_is_split_like_a_shell_does)
{
    char **words = aws_words_split("  /bin/a 'one two' \"th\\\"ree\"\\ x '' ");

    REQUIRE(words != NULL);
    EQ_STR(words[0], "/bin/a");
    EQ_STR(words[1], "one two");
    EQ_STR(words[2], "th\"ree x");
    EQ_STR(words[3], "");
    YES(words[4] == NULL);
    aws_words_free(words);
    YES(aws_words_split("a 'b") == NULL);
    YES(aws_words_split("  ") == NULL);
}

TEST(plain_http_to_a_container_agent_is_for_near_hosts_only)
{
    YES(aws_container_host_is_allowed("http://169.254.170.2/v2/x"));
    YES(aws_container_host_is_allowed("http://169.254.170.23/v1/credentials"));
    YES(aws_container_host_is_allowed("http://[fd00:ec2::23]/v1"));
    YES(aws_container_host_is_allowed("http://127.0.0.7:80/x"));
    YES(aws_container_host_is_allowed("http://localhost:80/x"));
    YES(aws_container_host_is_allowed("https://example.com/x"));
    NO(aws_container_host_is_allowed("http://example.com/x"));
    NO(aws_container_host_is_allowed("http://127.0.0.1.example.com/x"));
    NO(aws_container_host_is_allowed("http://localhost@example.com/x"));
    NO(aws_container_host_is_allowed("ftp://127.0.0.1/x"));
    NO(aws_container_host_is_allowed("http://[::1"));
}
