/* Looks at what the main thread runs, about once a millisecond, at no cost to what is running.

   A thread without the GIL asks for a pending call; CPython makes it at the next function entry, call or backward jump.
   When one of the innermost frames runs code that is marked (the last of its constants is of the marker type) the
   Python callback gets the innermost frame. What it raises is raised there, which is how a frame is made to leave its
   loop. `chase` waits, by the same means, until a certain frame is innermost and at a backward jump; CPython makes a
   pending call that asks for itself up to 32 times at each of its chances, about 100 ns each. */

#define PY_SSIZE_T_CLEAN
#define Py_BUILD_CORE 1
#include <Python.h>
#include <internal/pycore_frame.h>
#include <internal/pycore_interp.h>
#include <internal/pycore_pystate.h>
#include <internal/pycore_runtime.h>
#include <opcode.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#ifdef __linux__
#include <sys/prctl.h>
#endif
#include <time.h>

enum { DEPTH = 64, LONGEST_IDLE = 10, IDLE_WINDOW = 16, LIVELY_TICKS = 32, CALM_TICKS = 128 };

static PyObject *callback, *marker, *wanted;
static long looks_left;
static int insisting;
static atomic_int active, running, queued, ticked, missed, stop_request;
/* `look` is running. With a profiler or tracer installed, CPython 3.11 starts no Python function while a pending call
   is queued that cannot run, and none can within another one: so nothing is queued meanwhile. */
static int looking, look_again;
static pthread_mutex_t gate = PTHREAD_MUTEX_INITIALIZER; /* of `looking` together with `queued` */
static atomic_llong period_ns = 1000000, unseen_ns; /* unseen: time since the last look */
static atomic_int quiet_ticks; /* since the last news */
static atomic_int back_off = 1;
static pthread_t thread;
static PyThreadState *main_state;
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed, stalled;
static int stall_ticks;

static int64_t clock_now(clockid_t clock)
{
    struct timespec now;
    clock_gettime(clock, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

static int is_marked(PyCodeObject *code)
{
    Py_ssize_t count = PyTuple_GET_SIZE(code->co_consts);
    return count && (PyObject *)Py_TYPE(PyTuple_GET_ITEM(code->co_consts, count - 1)) == marker;
}

static int runs_marked_code(_PyInterpreterFrame *frame)
{
    for (int depth = 0; frame && depth < DEPTH; depth++, frame = frame->previous)
        if (is_marked(frame->f_code))
            return 1;
    return 0;
}

static int is_at_backward_jump(_PyInterpreterFrame *frame)
{
    switch (_Py_OPCODE(*frame->prev_instr)) {
    case JUMP_BACKWARD:
    case JUMP_BACKWARD_QUICK:
    case POP_JUMP_BACKWARD_IF_TRUE:
    case POP_JUMP_BACKWARD_IF_FALSE:
    case POP_JUMP_BACKWARD_IF_NONE:
    case POP_JUMP_BACKWARD_IF_NOT_NONE:
        return 1;
    }
    return 0;
}

static int call_back(PyObject *frame, int chased, int64_t nanoseconds)
{
    PyObject *answer = PyObject_CallFunction(callback, "Oid", frame, chased, nanoseconds / 1e6);
    atomic_store(&unseen_ns, 0); /* what the callback took is nobody's time */
    Py_XDECREF(answer);
    return answer ? 0 : -1;
}

static int look(void *unused);

static void ask(void)
{
    if (!atomic_exchange(&queued, 1) && Py_AddPendingCall(look, NULL))
        atomic_store(&queued, 0); /* the queue is full; the next tick asks again */
}

static int has_ended(PyObject *frame)
{
    return ((PyFrameObject *)frame)->f_frame->owner == FRAME_OWNED_BY_FRAME_OBJECT;
}

static int chase_on(_PyInterpreterFrame *innermost)
{
    if ((PyObject *)innermost->frame_obj == wanted && is_at_backward_jump(innermost)) {
        PyObject *frame = wanted;
        wanted = NULL;
        int status = call_back(frame, 1, 0);
        Py_DECREF(frame);
        return status;
    }
    if (--looks_left < 0 || has_ended(wanted))
        Py_CLEAR(wanted);
    else
        ask();
    return 0;
}

static int look_now(void)
{
    int is_tick = atomic_exchange(&ticked, 0);
    int64_t passed = is_tick ? atomic_exchange(&unseen_ns, 0) : 0;
    if (!callback)
        return 0;
    PyThreadState *state = PyThreadState_Get();
    if (state->cframe->use_tracing) { /* whoever traces or profiles wants to see the user's code run */
        Py_CLEAR(wanted);
        insisting = 0;
        return 0;
    }
    _PyInterpreterFrame *innermost = state->cframe->current_frame;
    if (!innermost)
        return 0;
    if (wanted && !insisting)
        return chase_on(innermost);
    if (!runs_marked_code(innermost)) {
        if (insisting)
            ask();
        return 0;
    }
    if (!is_tick && !insisting)
        return 0;
    insisting = 0;
    PyFrameObject *frame = PyThreadState_GetFrame(PyThreadState_Get());
    if (!frame)
        return 0;
    int status = call_back((PyObject *)frame, 0, passed);
    Py_DECREF(frame);
    return status;
}

static void set_looking(int now)
{
    pthread_mutex_lock(&gate);
    looking = now;
    if (now)
        atomic_store(&queued, 0);
    pthread_mutex_unlock(&gate);
}

/* Py_AddPendingCall queues first and signals afterwards, so a call may have begun before its signal came. */
static void forget_late_signal(void)
{
    struct _ceval_state *state = &main_state->interp->ceval;
    if (state->pending.first != state->pending.last)
        return;
    _Py_atomic_store_relaxed(&state->pending.calls_to_do, 0);
    if (!_Py_atomic_load_relaxed(&state->gil_drop_request) && !state->pending.async_exc &&
        !_Py_atomic_load_relaxed(&_PyRuntime.ceval.signals_pending))
        _Py_atomic_store_relaxed(&state->eval_breaker, 0);
}

/* Whether the chase goes on and there is nothing else to do now: the case that has to be quick. */
static int chases_on(void)
{
    if (!wanted || insisting || !callback)
        return 0;
    _PyInterpreterFrame *innermost = PyThreadState_Get()->cframe->current_frame;
    if (!innermost || (PyObject *)innermost->frame_obj == wanted || --looks_left < 0)
        return 0;
    atomic_store(&queued, 0);
    ask();
    return 1;
}

static int look(void *unused)
{
    if (chases_on())
        return 0;
    set_looking(1); /* waits until whoever queued this call has signalled it */
    forget_late_signal();
    int status = look_now();
    set_looking(0);
    if (look_again) {
        look_again = 0;
        ask();
    }
    return status;
}

/* For Python code, which may run within `look`. */
static void ask_afterwards(void)
{
    if (looking)
        look_again = 1;
    else
        ask();
}

/* Py_AddPendingCall sets the eval breaker only when the main thread calls it (bpo-40010). It is set here while the main
   thread has the GIL; another thread could not clear it. When the main thread takes the GIL it sees the call anyway. */
static void ask_for_look(void)
{
    pthread_mutex_lock(&gate);
    int may = !looking;
    if (may)
        ask();
    else
        atomic_store(&ticked, 0); /* the next tick asks */
    pthread_mutex_unlock(&gate);
    if (may && _PyRuntimeState_GetThreadState(&_PyRuntime) == main_state)
        _Py_atomic_store_relaxed(&main_state->interp->ceval.eval_breaker, 1);
}

static PyThreadState *find_main_state(void)
{
    PyThreadState *state = PyInterpreterState_ThreadHead(PyInterpreterState_Main());
    while (state && state->thread_id != _PyRuntime.main_thread)
        state = PyThreadState_Next(state);
    return state;
}

/* As long as nothing is new, looks get rarer: they cost 20 to 40 us each in a virtual machine. An idle process is woken
   less often still. */
static int64_t next_wait(void)
{
    int quiet = atomic_fetch_add(&quiet_ticks, 1);
    int pace = quiet < LIVELY_TICKS ? 1 : quiet < CALM_TICKS ? 2 : 4;
    return atomic_load(&period_ns) * pace * atomic_load(&back_off);
}

/* The processor time of the process over some ticks: its clock may be coarse. */
static void notice_idleness(void)
{
    static int64_t ticks, begun, used_before;
    if (++ticks % IDLE_WINDOW)
        return;
    int64_t now = clock_now(CLOCK_MONOTONIC), used = clock_now(CLOCK_PROCESS_CPUTIME_ID);
    int idle = (used - used_before) * 10 < now - begun, factor = atomic_load(&back_off);
    atomic_store(&back_off, !idle ? 1 : factor < LONGEST_IDLE ? factor + 1 : factor);
    begun = now;
    used_before = used;
}

static void sleep_once(void)
{
    int64_t begun = clock_now(CLOCK_MONOTONIC), until = begun + next_wait();
    struct timespec time = {until / 1000000000, until % 1000000000};
    pthread_mutex_lock(&mutex);
    pthread_cond_timedwait(&changed, &mutex, &time);
    pthread_mutex_unlock(&mutex);
    atomic_fetch_add(&unseen_ns, clock_now(CLOCK_MONOTONIC) - begun);
    notice_idleness();
}

static void init_conditions(void)
{
    pthread_condattr_t attributes;
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&changed, &attributes);
    pthread_cond_init(&stalled, NULL);
    pthread_condattr_destroy(&attributes);
}

static void *tick(void *unused)
{
#ifdef PR_SET_TIMERSLACK
    prctl(PR_SET_TIMERSLACK, 1000); /* ns; 50,000 by default */
#endif
    while (!atomic_load(&stop_request)) {
        pthread_mutex_lock(&mutex);
        while (!atomic_load(&active) && !atomic_load(&stop_request))
            pthread_cond_wait(&changed, &mutex);
        pthread_mutex_unlock(&mutex);
        sleep_once();
        if (!atomic_load(&active) || atomic_load(&stop_request))
            continue;
        if (atomic_exchange(&ticked, 1)) {
            int count = atomic_fetch_add(&missed, 1) + 1;
            if (count >= stall_ticks && atomic_load(&back_off) == 1) { /* something runs that is not seen */
                pthread_mutex_lock(&mutex);
                pthread_cond_broadcast(&stalled);
                pthread_mutex_unlock(&mutex);
            }
        } else {
            atomic_store(&missed, 0);
            ask_for_look();
        }
    }
    return NULL;
}

static void in_child(void)
{
    pthread_mutex_init(&mutex, NULL);
    pthread_mutex_init(&gate, NULL);
    looking = 0;
    init_conditions();
    atomic_store(&running, 0);
    atomic_store(&ticked, 0);
    atomic_store(&queued, 0);
}

static int ensure_thread(void)
{
    if (atomic_exchange(&running, 1))
        return 0;
    sigset_t all, before;
    sigfillset(&all);
    atomic_store(&stop_request, 0);
    pthread_sigmask(SIG_SETMASK, &all, &before); /* signals are for Python's threads */
    int failed = pthread_create(&thread, NULL, tick, NULL);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (failed) {
        atomic_store(&running, 0);
        PyErr_SetString(PyExc_OSError, "no thread could be started that samples running functions");
        return -1;
    }
    return 0;
}

static PyObject *sampling_configure(PyObject *module, PyObject *args)
{
    PyObject *function, *type;
    long long period;
    if (!PyArg_ParseTuple(args, "OOL", &function, &type, &period))
        return NULL;
    Py_XSETREF(callback, Py_NewRef(function));
    Py_XSETREF(marker, Py_NewRef(type));
    atomic_store(&period_ns, period);
    main_state = find_main_state();
    if (!main_state) {
        PyErr_SetString(PyExc_RuntimeError, "there is no main thread to sample");
        return NULL;
    }
    Py_RETURN_NONE;
}

static void wake(void)
{
    atomic_store(&back_off, 1);
    atomic_store(&quiet_ticks, 0);
    pthread_cond_signal(&changed);
}

static PyObject *sampling_activate(PyObject *module, PyObject *flag)
{
    int wanted_state = PyObject_IsTrue(flag);
    if (wanted_state < 0 || (wanted_state && ensure_thread() < 0))
        return NULL;
    pthread_mutex_lock(&mutex);
    atomic_store(&active, wanted_state);
    wake();
    pthread_mutex_unlock(&mutex);
    Py_RETURN_NONE;
}

static PyObject *sampling_news(PyObject *module, PyObject *unused)
{
    if (atomic_exchange(&quiet_ticks, 0) < LIVELY_TICKS && atomic_load(&back_off) == 1)
        Py_RETURN_NONE;
    pthread_mutex_lock(&mutex);
    wake();
    pthread_mutex_unlock(&mutex);
    Py_RETURN_NONE;
}

static PyObject *sampling_stop(PyObject *module, PyObject *unused)
{
    if (!atomic_load(&running))
        Py_RETURN_NONE;
    atomic_store(&stop_request, 1);
    pthread_mutex_lock(&mutex);
    pthread_cond_signal(&changed);
    pthread_cond_broadcast(&stalled);
    pthread_mutex_unlock(&mutex);
    Py_BEGIN_ALLOW_THREADS
    pthread_join(thread, NULL);
    Py_END_ALLOW_THREADS
    atomic_store(&running, 0);
    Py_RETURN_NONE;
}

static PyObject *sampling_look_soon(PyObject *module, PyObject *unused)
{
    insisting = 1;
    ask_afterwards();
    Py_RETURN_NONE;
}

static PyObject *sampling_chase(PyObject *module, PyObject *args)
{
    PyObject *frame;
    long looks;
    if (!PyArg_ParseTuple(args, "O!l", &PyFrame_Type, &frame, &looks))
        return NULL;
    Py_XSETREF(wanted, Py_NewRef(frame));
    looks_left = looks;
    ask_afterwards();
    Py_RETURN_NONE;
}

static PyObject *sampling_stack(PyObject *module, PyObject *args)
{
    PyFrameObject *frame;
    int count;
    if (!PyArg_ParseTuple(args, "O!i", &PyFrame_Type, &frame, &count))
        return NULL;
    _PyInterpreterFrame *inner = frame->f_frame;
    PyCodeObject *code = inner->f_code;
    if (count < 0 || count > code->co_stacksize) {
        PyErr_SetString(PyExc_ValueError, "the frame has no such stack");
        return NULL;
    }
    PyObject *list = PyList_New(count);
    for (int k = 0; list && k < count; k++) {
        PyObject *item = inner->localsplus[code->co_nlocalsplus + k];
        PyList_SET_ITEM(list, k, Py_NewRef(item ? item : Py_None));
    }
    return list;
}

/* set(map(type, values)), about ten times as fast for long lists of few classes. */
static PyObject *sampling_classes(PyObject *module, PyObject *values)
{
    if (!PyList_Check(values)) {
        PyErr_SetString(PyExc_TypeError, "classes takes a list");
        return NULL;
    }
    PyObject *found = PySet_New(NULL);
    PyTypeObject *last = NULL;
    for (Py_ssize_t k = 0; found && k < PyList_GET_SIZE(values); k++) {
        PyTypeObject *this = Py_TYPE(PyList_GET_ITEM(values, k));
        if (this != last && PySet_Add(found, (PyObject *)this) < 0)
            Py_CLEAR(found);
        last = this;
    }
    return found;
}

static PyObject *sampling_is_at_backward_jump(PyObject *module, PyObject *frame)
{
    if (!PyFrame_Check(frame)) {
        PyErr_SetString(PyExc_TypeError, "a frame is needed");
        return NULL;
    }
    return PyBool_FromLong(is_at_backward_jump(((PyFrameObject *)frame)->f_frame));
}

static PyObject *sampling_wait_stalled(PyObject *module, PyObject *limit)
{
    int wanted_ticks = (int)PyLong_AsLong(limit);
    int64_t passed = -1000000;
    if (PyErr_Occurred())
        return NULL;
    Py_BEGIN_ALLOW_THREADS
    pthread_mutex_lock(&mutex);
    stall_ticks = wanted_ticks;
    pthread_cond_wait(&stalled, &mutex);
    pthread_mutex_unlock(&mutex);
    if (!atomic_load(&stop_request)) {
        passed = atomic_exchange(&unseen_ns, 0);
        atomic_store(&missed, 0);
    }
    Py_END_ALLOW_THREADS
    return PyFloat_FromDouble(passed / 1e6);
}

static PyMethodDef methods[] = {
    {"configure", sampling_configure, METH_VARARGS, "configure(callback, marker_type, period_ns)"},
    {"activate", sampling_activate, METH_O, "activate(flag): tick, or rest"},
    {"stop", sampling_stop, METH_NOARGS, "End the thread."},
    {"look_soon", sampling_look_soon, METH_NOARGS, "Call back as soon as marked code runs, without waiting for a tick."},
    {"chase", sampling_chase, METH_VARARGS, "chase(frame, looks): call back when it is innermost and jumps backward"},
    {"stack", sampling_stack, METH_VARARGS, "stack(frame, count): the lowest values of a running frame's stack"},
    {"is_at_backward_jump", sampling_is_at_backward_jump, METH_O, "Whether a frame has just jumped backward."},
    {"wait_stalled", sampling_wait_stalled, METH_O,
     "wait_stalled(n): wait until n ticks were missed; milliseconds since the last look, negative at the end"},
    {"classes", sampling_classes, METH_O, "classes(list): the classes of its elements"},
    {"news", sampling_news, METH_NOARGS, "Look often again: something may have to be decided soon."},
    {NULL},
};

static struct PyModuleDef definition = {PyModuleDef_HEAD_INIT, "_sampling", NULL, -1, methods};

PyMODINIT_FUNC PyInit__sampling(void)
{
    init_conditions();
    pthread_atfork(NULL, NULL, in_child);
    return PyModule_Create(&definition);
}
