/* lua.c - see shim.h: functions of the pipeline file. They run at once, on this thread. */
#include "plugins/lambda-shim/shim.h"
#include "sdk/wire/json.h"

static bool lua_open(struct shim *shim)
{
    shim->lua = kp->extension("lua/1");
    if (!shim->lua)
        kp->fail(shim->node, "this host has no lua/1");
    return shim->lua != NULL;
}

static bool lua_has_slot(struct shim *shim)
{
    (void)shim;
    return true;
}

static void put_context(const struct shim *shim, const struct job *job, struct kpw_buf *out)
{
    kpw_buf_puts(out, "{");
    kpw_json_put_member_cstr(out, "functionName", shim->function_name);
    kpw_json_put_member_cstr(out, "functionVersion", "$LATEST");
    kpw_json_put_member_cstr(out, "memoryLimitInMB", "128");
    kpw_json_put_member_cstr(out, "invokedFunctionArn", shim->function_arn);
    kpw_json_put_member_cstr(out, "awsRequestId", job->request_id);
    kpw_json_put_member_int(out, "deadlineMs", kp->wall_ms() + shim->config->timeout_ms);
    kpw_buf_puts(out, "}");
}

static void call(struct shim *shim, struct job *job, struct kpw_buf *error, struct answer *ret)
{
    struct kpw_buf *context = &shim->context;
    kp_slice text = {"", 0};
    kp_lua_result result;

    kpw_buf_clear(context);
    put_context(shim, job, context);
    if (context->failed)
        kpw_buf_fini(context); /* no memory: the function gets none this time */
    result = shim->lua->handler(
        shim->node, shim->config->handler, (kp_slice){job->event.ptr, job->event.len},
        (kp_slice){context->ptr, context->len}, shim->config->timeout_ms, &text);
    ret->failed = result == KP_LUA_ERROR;
    switch (result) {
    case KP_LUA_ERROR:
        event_error(error, "LuaError", text.ptr, text.len);
        ret->body = error->failed ? (kp_slice){"{}", 2} : (kp_slice){error->ptr, error->len};
        break;
    case KP_LUA_TEXT: ret->body = text; break;
    case KP_LUA_SAME: ret->body = (kp_slice){"true", 4}; break;
    case KP_LUA_NIL: ret->body = (kp_slice){"null", 4}; break;
    }
}

static void lua_invoke(struct shim *shim, struct job *job)
{
    struct kpw_buf error = KPW_BUF_INIT;
    struct answer answer;

    call(shim, job, &error, &answer);
    job_answered(job, &answer);
    kpw_buf_fini(&error);
}

static void lua_end(struct shim *shim)
{
    kpw_buf_fini(&shim->context);
}

const struct backend backend_lua = {lua_open, lua_has_slot, lua_invoke, lua_end};
