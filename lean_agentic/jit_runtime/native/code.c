/* Calls of compiled code.
 *
 * In: Python arguments by position. Out: what the function returns. A call checks the guards, unboxes the arguments by
 * exact type, runs the machine code and boxes the result; what does not fit is handed to the handler. Nothing is
 * allocated in a call whose values are all scalars.
 */
#include "boundary.h"

static PyObject *hand_over(CodeObject *self, PyObject *method, PyObject *const *args, Py_ssize_t count) {
    PyObject *arguments = PyTuple_New(count), *result = NULL;
    if (arguments == NULL) return NULL;
    for (Py_ssize_t k = 0; k < count; k++) PyTuple_SET_ITEM(arguments, k, Py_NewRef(args[k]));
    if (!Py_EnterRecursiveCall(" in compiled code")) {
        result = PyObject_CallMethodOneArg(self->handler, method, arguments);
        Py_LeaveRecursiveCall();
    }
    Py_DECREF(arguments);
    return result;
}

static inline int unbox_arguments(Context *ctx, PyObject *const *args, Slot *in) {
    CodeObject *self = ctx->code;
    for (int k = 0; k < self->parameter_count; k++) {
        const Layout *layout = self->parameters[k];
        int answer = FITS;
        if (layout->kind == K_INT && PyLong_CheckExact(args[k])) answer = unbox_long(args[k], &in->i);
        else if (layout->kind == K_FLOAT && PyFloat_CheckExact(args[k])) in->f = PyFloat_AS_DOUBLE(args[k]);
        else answer = unbox(ctx, layout, args[k], in);
        if (UNLIKELY(answer != FITS)) return answer;
        in += layout->slots;
    }
    return FITS;
}

static PyObject *result_of(Context *ctx, int32_t status, const Slot *out) {
    switch (status) {
    case RETURNED: return box(ctx, ctx->code->result, out);
    case RAISED:
        if (!PyErr_Occurred()) PyErr_SetString(PyExc_SystemError, "compiled code raised without an exception");
        return NULL;
    case PENDING:
        if (ctx->pending != NULL) return Py_NewRef(ctx->pending);
        PyErr_SetString(PyExc_SystemError, "compiled code returned a pending result where there is none");
        return NULL;
    default:
        PyErr_Format(PyExc_SystemError, "compiled code returned the unknown status %d", (int)status);
        return NULL;
    }
}

/* The result, and all lists written back, also when an exception is on its way. */
static PyObject *finish(Context *ctx, int32_t status, const Slot *out) {
    PyObject *type = NULL, *value, *traceback;
    ctx->epoch++;
    ctx->touched_count = 0;
    PyObject *result = result_of(ctx, status, out);
    if (ctx->origins.count == 0 || ctx->finished) return result;
    if (result == NULL) PyErr_Fetch(&type, &value, &traceback);
    if (context_write_back(ctx)) {
        Py_CLEAR(result);
        if (type != NULL) {
            Py_DECREF(type);
            Py_XDECREF(value);
            Py_XDECREF(traceback);
        }
    } else if (result == NULL) {
        PyErr_Restore(type, value, traceback);
    }
    return result;
}

static inline int32_t run(Context *ctx, const Slot *in, Slot *out) {
    CodeObject *self = ctx->code;
    ThreadRecord *thread = ctx->thread;
    self->calls++;
    if (self->polls) {
        if (thread->active++ == 0) thread->poll = 0;
        thread->entered++;
        if (UNLIKELY(ticker_parked)) ticker_wake();
    }
    /* Lists keep it: their Python sides must not change while the machine code works on copies. */
    if (UNLIKELY(self->release_gil) && !self->has_lists) gil_release(ctx);
    int32_t status = self->entry(ctx, in, out);
    gil_take(ctx);
    thread->active -= self->polls;
    return status;
}

/* How long a call took: measured where the clock is cheap beside the call, counted in ticks where it was long. */
static void account(Context *ctx, const int64_t at[4]) {
    CodeObject *self = ctx->code;
    if (self->has_lists) {
        long long *latest = self->recent[self->recent_count++ % RECENT];
        latest[0] = at[1] - at[0] + at[3] - at[2];
        latest[1] = at[2] - at[1];
        self->conversion_ns += latest[0];
        self->native_ns += latest[1];
    } else if (ticks != ctx->first_tick && self->polls) {
        self->native_ns += (ticks - ctx->first_tick) * TICK_NS;
    }
}

#define FIRST_REVIEW_NS 1000000

/* Lists take longer to come in and out than the work on them: whether that is worth it is for the handler to say. It is
 * asked again each time that the cost has doubled. */
static void review(CodeObject *self) {
    self->review_at = 2 * self->conversion_ns;
    PyObject *answer = PyObject_CallMethodNoArgs(self->handler, name_costly);
    /* Ctrl-C that arrives there is the caller's. */
    if (answer == NULL && PyErr_ExceptionMatches(PyExc_Exception)) PyErr_WriteUnraisable(self->handler);
    Py_XDECREF(answer);
}

static inline void context_begin(Context *ctx, CodeObject *self, ThreadRecord *thread) {
    ctx->poll_word = &thread->poll;
    ctx->stack_limit = thread->stack_limit;
    ctx->runtime_table = runtime_table;
    ctx->code = self;
    ctx->thread = thread;
    ctx->released = NULL;
    ctx->pending = NULL;
    ctx->first_tick = ctx->signal_tick = ctx->guard_tick = ticks;
    ctx->stack_base = __builtin_frame_address(0);
    ctx->finished = ctx->keeps_arrays = 0;
    ctx->epoch = ctx->stale = 0;
    ctx->newest = NULL;
    ctx->arena = NULL;
    ctx->list_bytes = 0;
    ctx->collect_at = COLLECT_BYTES;
    ctx->touched = NULL;
    ctx->touched_count = ctx->touched_capacity = 0;
    ctx->kept = NULL;
    ctx->kept_count = ctx->kept_capacity = ctx->kept_bytes = 0;
    ctx->collect_arrays_at = COLLECT_BYTES;
    ctx->origins.items = ctx->origins.hash = NULL;
    ctx->origins.count = ctx->origins.capacity = 0;
}

static __attribute__((noinline)) PyObject *call(CodeObject *self, ThreadRecord *thread, PyObject *const *args) {
    Context ctx;
    Slot *in = alloca((size_t)(self->in_slots + self->out_slots + 1) * sizeof(Slot)), *out = in + self->in_slots;
    int64_t at[4] = {0};
    PyObject *result = NULL;
    Py_INCREF(self); /* it may be replaced while it runs */
    context_begin(&ctx, self, thread);
    if (self->has_lists) at[0] = now_ns();
    int answer = unbox_arguments(&ctx, args, in);
    if (LIKELY(answer == FITS)) {
        if (self->has_lists) at[1] = now_ns();
        int32_t status = run(&ctx, in, out);
        if (self->has_lists) at[2] = now_ns();
        if (LIKELY(status == RETURNED && ctx.origins.count == 0)) {
            ctx.epoch++;
            result = box(&ctx, self->result, out);
        } else {
            result = finish(&ctx, status, out);
        }
    }
    if (ctx.newest != NULL || ctx.arena != NULL || ctx.kept != NULL) context_clear(&ctx);
    Py_XDECREF(ctx.pending);
    if (answer == FITS) {
        if (self->has_lists) at[3] = now_ns();
        account(&ctx, at);
        if (UNLIKELY(self->conversion_ns > 2 * self->native_ns && self->conversion_ns > FIRST_REVIEW_NS) &&
            self->conversion_ns > self->review_at && result != NULL)
            review(self);
        if (UNLIKELY(PyErr_Occurred() != NULL)) Py_CLEAR(result);
    } else if (answer == MISMATCH) {
        PyObject *next = self->next;
        result = next == NULL ? hand_over(self, name_mismatch, args, self->parameter_count)
                              : code_vectorcall(next, args, self->parameter_count, NULL);
    }
    Py_DECREF(self);
    return result;
}

static PyObject *refuse(CodeObject *self, ThreadRecord *thread, Py_ssize_t count, PyObject *keywords) {
    if (keywords != NULL && PyTuple_GET_SIZE(keywords)) PyErr_Format(
        PyExc_TypeError, "%U takes its arguments by position: call the Python function it belongs to", self->name);
    else if (count != self->parameter_count) PyErr_Format(
        PyExc_TypeError, "%U takes %d arguments, %zd were given", self->name, self->parameter_count, count);
    else if (thread != NULL) PyErr_Format(
        PyExc_RecursionError, "maximum recursion depth exceeded: no stack is left to call %U", self->name);
    return NULL;
}

PyObject *code_vectorcall(PyObject *callable, PyObject *const *args, size_t flags, PyObject *keywords) {
    CodeObject *self = (CodeObject *)callable;
    Py_ssize_t count = PyVectorcall_NARGS(flags);
    ThreadRecord *thread = this_thread;
    char here;
    if (UNLIKELY(thread == NULL)) thread = thread_record_make();
    if (UNLIKELY(count != self->parameter_count || (keywords != NULL && PyTuple_GET_SIZE(keywords)) || thread == NULL ||
                 &here < thread->stack_limit))
        return refuse(self, thread, count, keywords);
    int held = guards_hold(self->guards);
    if (UNLIKELY(held != 1)) return held < 0 ? NULL : hand_over(self, name_stale, args, count);
    return call(self, thread, args);
}
