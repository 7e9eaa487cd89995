/* Exits: compiled code calls `lean_exit` to have something done in Python, or at a poll to let others do something.
 *
 * In: the exit's number and its state as slots. Out: a status. Python code sees all lists of the state up to date; when
 * compiled code goes on afterwards, what Python may have changed has been read again. Where that is impossible (the
 * length changed, an element no longer fits) the result is kept pending, so that each compiled caller in turn goes on in
 * Python behind its call.
 */
#include "boundary.h"

#define SIGNAL_TICKS 25 /* 50 ms: how often a long call without the GIL takes it to look for signals, or at its guards */

/* For functions without a context: where a call has let the GIL go, it has it again from now on. */
int python_begin(void) {
    if (this_thread == NULL || this_thread->released == NULL) return (int)PyGILState_Ensure();
    gil_take(this_thread->released);
    return -1;
}

void python_end(int state) {
    if (state >= 0) PyGILState_Release((PyGILState_STATE)state);
}

void *set_memory_error(Context *ctx) {
    gil_take(ctx);
    PyErr_NoMemory();
    return NULL;
}

int64_t lean_recursion_error(Context *ctx) {
    gil_take(ctx);
    PyErr_SetString(PyExc_RecursionError, "maximum recursion depth exceeded in compiled code");
    return RAISED;
}

static PyObject *box_state(Context *ctx, const ExitPoint *point, const Slot *state) {
    PyObject *boxed = PyTuple_New(point->count);
    for (int k = 0; boxed != NULL && k < point->count; k++) {
        PyObject *value = box(ctx, point->state[k], state);
        if (value == NULL) Py_CLEAR(boxed);
        else PyTuple_SET_ITEM(boxed, k, value);
        state += point->state[k]->slots;
    }
    return boxed;
}

static PyObject *call_handler(Context *ctx, int64_t number, PyObject *state) {
    PyObject *index = PyLong_FromLongLong(number), *result = NULL;
    if (index == NULL || Py_EnterRecursiveCall(" in compiled code")) {
        Py_XDECREF(index);
        return NULL;
    }
    PyObject *arguments[] = {ctx->code->handler, index, state};
    result = PyObject_VectorcallMethod(name_on_exit, arguments, 3, NULL);
    Py_LeaveRecursiveCall();
    Py_DECREF(index);
    return result;
}

static int32_t keep_pending(Context *ctx, PyObject *result) {
    Py_XSETREF(ctx->pending, Py_NewRef(result));
    return PENDING;
}

/* The answer of Python as machine values; PENDING where it has none or where some list no longer fits. */
static int32_t take_result(Context *ctx, const ExitPoint *point, PyObject *result, Slot *out) {
    NativeList *newest = ctx->newest;
    int64_t origins = ctx->origins.count;
    ctx->keeps_arrays = 1;
    int answer = unbox(ctx, point->result, result, out);
    ctx->keeps_arrays = 0;
    if (answer == FAILED) return RAISED;
    if (answer == MISMATCH) lists_roll_back(ctx, newest, origins);
    int reloaded = context_reload(ctx);
    if (reloaded == FAILED) return RAISED;
    return answer == FITS && reloaded == FITS ? RETURNED : keep_pending(ctx, result);
}

/* After GO_ON there is no result that could be kept, so a list that no longer fits ends the call. */
static int32_t go_on(Context *ctx) {
    int reloaded = context_reload(ctx);
    ctx->code->upgrade = 0;
    if (reloaded == FITS) return GOES_ON;
    if (reloaded == MISMATCH)
        PyErr_Format(PyExc_RuntimeError, "a list was changed to another type or length while the compiled function %U ran: "
                     "leave a list alone while a compiled function works on it", ctx->code->name);
    return RAISED;
}

static int32_t take_answer(Context *ctx, const ExitPoint *point, PyObject *result, Slot *out) {
    if (result == NULL) {
        context_mark_stale(ctx);
        return RAISED;
    }
    if (result == GO_ON && point->mode == MODE_POLL) return go_on(ctx);
    if (!point->outermost || point->mode == MODE_ASK) return take_result(ctx, point, result, out);
    ctx->finished = 1;
    return keep_pending(ctx, result);
}

static int32_t ask_python(Context *ctx, const ExitPoint *point, int64_t number, const Slot *state, Slot *out) {
    gil_take(ctx);
    PyErr_Clear(); /* a list function found no memory: Python does the statement again and says so itself */
    ctx->code->exits_taken++;
    ctx->epoch++;
    ctx->touched_count = 0;
    PyObject *boxed = box_state(ctx, point, state);
    if (boxed == NULL) return RAISED;
    if (point->outermost && point->mode != MODE_ASK && context_write_back(ctx)) {
        Py_DECREF(boxed);
        return RAISED;
    }
    PyObject *result = call_handler(ctx, number, boxed);
    Py_DECREF(boxed);
    int32_t status = take_answer(ctx, point, result, out);
    Py_XDECREF(result);
    return status;
}

/* Signals are looked for while the GIL is there anyway, else seldom: getting it can take as long as others keep it. */
static int32_t look_for_signals(Context *ctx) {
    if (ctx->released != NULL) {
        if (!ctx->thread->is_main || ticks - ctx->signal_tick < SIGNAL_TICKS) return GOES_ON;
        gil_take(ctx);
    }
    ctx->signal_tick = ticks;
    return PyErr_CheckSignals() ? RAISED : GOES_ON;
}

/* Was something outside that the code took for constant rebound while it ran? Without the GIL only versions are read. */
static int is_outdated(Context *ctx) {
    if (ctx->released != NULL) {
        if (ticks - ctx->guard_tick < SIGNAL_TICKS || !guards_may_fail(ctx->guards)) return 0;
        gil_take(ctx);
    }
    ctx->guard_tick = ticks;
    int holds = guards_hold(ctx->code->guards);
    PyErr_Clear(); /* a key that cannot be compared: CPython goes on and meets the same */
    return holds != 1;
}

static int32_t poll(Context *ctx, const ExitPoint *point, int64_t number, const Slot *state, Slot *out) {
    __atomic_store_n(&ctx->thread->poll, 0, __ATOMIC_RELAXED);
    int32_t status = look_for_signals(ctx);
    if (status == GOES_ON && (ctx->code->upgrade || is_outdated(ctx))) status = ask_python(ctx, point, number, state, out);
    /* A call that began in the middle of a tick is not long yet. */
    if (status == GOES_ON && ctx->released == NULL && ticks - ctx->first_tick >= 2) gil_release(ctx);
    return status;
}

/* The exception of a call goes on to the caller, whose line gets into the traceback. */
static int32_t pass_on(Context *ctx, int64_t number) {
    PyObject *type, *error, *traceback, *index = PyLong_FromLongLong(number);
    PyErr_Fetch(&type, &error, &traceback);
    PyErr_NormalizeException(&type, &error, &traceback);
    if (traceback != NULL) PyException_SetTraceback(error, traceback);
    PyObject *arguments[] = {ctx->code->handler, index, error};
    PyObject *answer = index == NULL ? NULL : PyObject_VectorcallMethod(name_passed, arguments, 3, NULL);
    if (answer != NULL) {
        Py_XSETREF(traceback, PyException_GetTraceback(error));
        PyErr_Restore(type, error, traceback);
    } else { /* Ctrl-C, for instance, arrived in the handler: as in an except clause */
        PyObject *later_type, *later, *later_traceback;
        PyErr_Fetch(&later_type, &later, &later_traceback);
        PyErr_NormalizeException(&later_type, &later, &later_traceback);
        PyException_SetContext(later, error); /* takes the reference */
        PyErr_Restore(later_type, later, later_traceback);
        Py_DECREF(type);
        Py_XDECREF(traceback);
    }
    Py_XDECREF(answer);
    Py_XDECREF(index);
    return RAISED;
}

static int32_t no_such_exit(Context *ctx, int64_t number) {
    gil_take(ctx);
    PyErr_Format(PyExc_SystemError, "compiled code took exit %lld, but it has %d exits", (long long)number,
                 ctx->code->exit_count);
    return RAISED;
}

/* 64 bits wide for callers that take every integer result as 64 bits. */
int64_t lean_exit(Context *ctx, int64_t number, Slot *state, Slot *out) {
    if (UNLIKELY(number < 0 || number >= ctx->code->exit_count)) return no_such_exit(ctx, number);
    const ExitPoint *point = &ctx->code->exits[number];
    if (point->behind && ctx->released == NULL && PyErr_Occurred()) return pass_on(ctx, number);
    return point->mode == MODE_POLL ? poll(ctx, point, number, state, out) : ask_python(ctx, point, number, state, out);
}
