/* The ticker: a thread that sets the poll word of every thread every 2 ms while compiled calls that poll are active.
 *
 * Each thread has its own poll word, so that no thread takes another's tick. After some ticks without any compiled call
 * the ticker parks on a condition variable; the next call wakes it. A forked child starts a ticker of its own when it
 * first needs one.
 */
#include "boundary.h"

#include <pthread.h>
#include <signal.h>
#include <time.h>
#include <unistd.h>

#define IDLE_TICKS 8
#define STACK_MARGIN (256 * 1024)

THREAD_LOCAL ThreadRecord *this_thread;
volatile int64_t ticks;
volatile int ticker_parked = 1;

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t wake = PTHREAD_COND_INITIALIZER;
static pthread_key_t record_key;
static ThreadRecord *records; /* never freed, since the ticker reads them; reused by later threads */
static int started;

int64_t now_ns(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

/* Compiled code must not go below this address. */
static char *stack_limit(void) {
    pthread_attr_t attributes;
    void *lowest = NULL;
    size_t size = 0;
    uintptr_t here = (uintptr_t)__builtin_frame_address(0), limit;
    if (pthread_getattr_np(pthread_self(), &attributes) == 0) {
        pthread_attr_getstack(&attributes, &lowest, &size);
        pthread_attr_destroy(&attributes);
    }
    limit = (uintptr_t)lowest + STACK_MARGIN;
    if (lowest == NULL || (uintptr_t)lowest > here) limit = here - 2 * STACK_MARGIN;
    else if (limit > here - STACK_MARGIN) limit = (uintptr_t)lowest + (here - (uintptr_t)lowest) / 2;
    return (char *)limit;
}

static void thread_ends(void *record) {
    pthread_mutex_lock(&mutex);
    ((ThreadRecord *)record)->in_use = 0;
    ((ThreadRecord *)record)->active = 0;
    pthread_mutex_unlock(&mutex);
}

ThreadRecord *thread_record_make(void) {
    pthread_mutex_lock(&mutex);
    ThreadRecord *record = records;
    while (record != NULL && record->in_use) record = record->next;
    if (record == NULL && (record = calloc(1, sizeof *record)) != NULL) {
        record->next = records;
        records = record;
    }
    if (record != NULL) record->in_use = 1;
    pthread_mutex_unlock(&mutex);
    if (record == NULL) return (ThreadRecord *)PyErr_NoMemory();
    record->released = NULL;
    record->is_main = gettid() == getpid();
    record->stack_limit = stack_limit();
    pthread_setspecific(record_key, record);
    return this_thread = record;
}

static void tick(int64_t *entered, int *idle) {
    int64_t active = 0, sum = 0;
    for (ThreadRecord *record = records; record != NULL; record = record->next) {
        active += record->active;
        sum += record->entered;
        if (record->active) __atomic_store_n(&record->poll, 1, __ATOMIC_RELAXED);
    }
    *idle = active || sum != *entered ? 0 : *idle + 1;
    *entered = sum;
}

static void sleep_one_tick(void) {
    pthread_mutex_unlock(&mutex);
    nanosleep(&(struct timespec){.tv_nsec = TICK_NS}, NULL);
    pthread_mutex_lock(&mutex);
}

/* Wait for a call. One that begins while the flag is being set may not see it, so it is looked for a tick later. */
static int park(int64_t *entered) {
    int idle = 1;
    ticker_parked = 1;
    sleep_one_tick();
    tick(entered, &idle);
    while (idle && ticker_parked) pthread_cond_wait(&wake, &mutex);
    ticker_parked = 0;
    return 0;
}

static void *run_ticker(void *unused) {
    int64_t entered = 0;
    int idle = 0;
    (void)unused;
    pthread_mutex_lock(&mutex);
    for (;;) {
        if (idle > IDLE_TICKS) idle = park(&entered);
        sleep_one_tick();
        ticks++;
        tick(&entered, &idle);
    }
    return NULL;
}

/* Signals are for the other threads: the interpreter expects them there. */
static void start(void) {
    sigset_t all, before;
    pthread_attr_t attributes;
    pthread_t thread;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    pthread_attr_init(&attributes);
    pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
    pthread_attr_setstacksize(&attributes, 128 * 1024);
    started = pthread_create(&thread, &attributes, run_ticker, NULL) == 0;
    pthread_attr_destroy(&attributes);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
}

void ticker_wake(void) {
    pthread_mutex_lock(&mutex);
    ticker_parked = 0;
    if (!started) start();
    else pthread_cond_signal(&wake);
    pthread_mutex_unlock(&mutex);
}

static void before_fork(void) { pthread_mutex_lock(&mutex); }
static void after_fork(void) { pthread_mutex_unlock(&mutex); }

/* Only the forking thread lives on in the child, as its main thread; the ticker does not. */
static void in_child(void) {
    for (ThreadRecord *record = records; record != NULL; record = record->next)
        if (record != this_thread) record->active = record->in_use = 0;
    if (this_thread != NULL) this_thread->is_main = 1;
    started = 0;
    ticker_parked = 1;
    pthread_cond_init(&wake, NULL);
    pthread_mutex_unlock(&mutex);
}

int ticker_prepare(void) {
    static int prepared;
    if (prepared) return 0;
    if (pthread_key_create(&record_key, thread_ends) || pthread_atfork(before_fork, after_fork, in_child)) {
        PyErr_SetString(PyExc_OSError, "the system refused a thread key or a fork handler for the compiled-code ticker");
        return -1;
    }
    prepared = 1;
    return 0;
}
