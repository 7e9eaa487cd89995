/* Shared declarations of the native boundary: what compiled code and Python agree on.
 *
 * Compiled code sees three structures, of which the first fields are fixed: Slot, NativeList, Context. The Python side
 * (`layout.py`, `runtime_functions.py`) describes everything else. Python objects are touched only with the GIL held;
 * `gil_take` gets it back when a long call has let it go.
 */
#ifndef LEAN_AGENTIC_BOUNDARY_H
#define LEAN_AGENTIC_BOUNDARY_H

#define PY_SSIZE_T_CLEAN
#include <Python.h>

#ifdef Py_GIL_DISABLED
#error "the native boundary relies on the GIL: build it for an ordinary (not a free-threaded) Python"
#endif

#define NPY_NO_DEPRECATED_API NPY_1_7_API_VERSION
#define PY_ARRAY_UNIQUE_SYMBOL lean_agentic_jit_runtime_array_api
#ifndef LEAN_IMPORTS_NUMPY
#define NO_IMPORT_ARRAY
#endif
#include <numpy/arrayobject.h>
#include <numpy/arrayscalars.h>

#include <stdint.h>

#define LIKELY(x) __builtin_expect(!!(x), 1)
#define UNLIKELY(x) __builtin_expect(!!(x), 0)
#define THREAD_LOCAL __thread __attribute__((tls_model("initial-exec")))

typedef union { int64_t i; double f; void *p; } Slot;

/* Answers of compiled procedures and of exits. */
enum { RETURNED = 0, RAISED = 1, PENDING = 2, GOES_ON = 3 };
/* Answers of unboxing. */
enum { FITS = 0, MISMATCH = 1, FAILED = -1 };
/* `lir.Mode`. */
enum { MODE_LEAVE = 0, MODE_ASK = 1, MODE_POLL = 2 };

/* ---- layouts.c: descriptors as trees ---- */

typedef enum {
    K_NONE, K_BOOL, K_INT, K_FLOAT, K_COMPLEX, K_NUMPY, K_TUPLE, K_LIST, K_ARRAY, K_UNION, K_NEVER, K_MAYBE, K_PENDING
} Kind;

typedef struct Layout Layout;
struct Layout {
    Kind kind;
    int slots;           /* machine values */
    char *letters;       /* their classes, 'i', 'f' or 'p' */
    PyTypeObject *type;  /* the exact class of its values; NULL where there are several or none */
    int dtype;           /* NumPy type number of K_NUMPY, K_ARRAY */
    int rank;            /* K_ARRAY */
    int count;           /* children */
    Layout **children;
    int64_t *tags;       /* K_UNION: by child */
    int **places;        /* K_UNION: by child, where its slots lie in the union's */
    int element_size;    /* K_LIST: bytes */
    char written;        /* K_LIST: compiled code stores into lists of this layout */
    char deep;           /* this or something below is a written list */
    char has_list;
    char has_array;
};

typedef struct {
    Layout **items;
    int count, capacity;
} LayoutPool;

Layout *layout_from_descriptor(LayoutPool *pool, PyObject *descriptor);
void layout_pool_free(LayoutPool *pool);

/* ---- Lists and the context ---- */

typedef struct Context Context;
typedef struct NativeList NativeList;
struct NativeList {
    int64_t length;      /* offset 0, known to compiled code */
    char *data;          /* offset 8 */
    int64_t capacity;    /* offset 16 */
    const Layout *layout;
    PyObject *origin;    /* strong; the Python list that this is, or NULL while Python has not seen it */
    NativeList *older;   /* all lists of the context */
    int64_t synced;      /* length of the origin when it was last made equal */
    int64_t epoch;       /* exit at which it was last made equal */
    char stale;          /* the Python list is newer and no longer fits: never write back */
    char separate;       /* data has its own block */
    size_t bytes;        /* of this block */
    char reached;        /* used by the collector */
};

#define FEW_LISTS 8
typedef struct {
    NativeList **items;  /* lists that have an origin and are found by it, in order of registration */
    int64_t count, capacity;
    NativeList **hash;   /* by address of the origin, once there are more than a few */
    size_t mask;
    NativeList *few[FEW_LISTS];
} Registry;

typedef struct ThreadRecord ThreadRecord;
struct ThreadRecord {
    int32_t poll;        /* set by the ticker, cleared by the thread */
    char is_main;
    char in_use;
    char *stack_limit;
    Context *released;   /* the compiled call for which the thread has let the GIL go */
    int64_t active;      /* compiled calls on the stack that poll */
    int64_t entered;     /* ever */
    ThreadRecord *next;
};

typedef struct Arena Arena;
typedef struct Guards Guards;
typedef struct CodeObject CodeObject;
struct Context {
    int32_t *poll_word;  /* offset 0, known to compiled code */
    char *stack_limit;   /* offset 8 */
    void **runtime_table;/* offset 16 */
    CodeObject *code;
    ThreadRecord *thread;
    PyThreadState *released; /* the thread state while the GIL is let go, else NULL */
    Guards *guards;      /* while it is let go: what may be looked at without it */
    PyObject *pending;
    int64_t first_tick, signal_tick, guard_tick;
    char *stack_base;    /* where the compiled frames begin */
    char finished;       /* the rest ran in Python: nothing may be written back any more */
    char keeps_arrays;   /* unboxing something whose arrays nobody else keeps alive */
    int64_t epoch;
    int64_t stale;       /* number of stale lists */
    NativeList *newest;
    Arena *arena;        /* of small lists; NULL before the first */
    int64_t list_bytes, collect_at;
    NativeList **touched;/* lists made equal at the present exit that Python may change */
    int64_t touched_count, touched_capacity;
    PyObject **kept;     /* arrays that only compiled code refers to */
    int64_t kept_count, kept_capacity, kept_bytes, collect_arrays_at;
    Registry origins;
};

/* ---- unboxing.c, boxing.c ---- */

int unbox(Context *ctx, const Layout *layout, PyObject *value, Slot *slots);
int unbox_elements(Context *ctx, NativeList *list, PyObject *origin);
int unbox_long_slowly(PyObject *value, int64_t *out);
PyObject *box(Context *ctx, const Layout *layout, const Slot *slots);
PyObject *box_numpy(int dtype, const Slot *slot);
int same_value(Context *ctx, const Layout *layout, const Slot *slots, PyObject *value);
int list_to_python(Context *ctx, NativeList *list);

/* ---- lists.c, collector.c ---- */

NativeList *list_make(Context *ctx, const Layout *layout, int64_t length);
NativeList *list_of_origin(Context *ctx, PyObject *origin);
int list_register(Context *ctx, NativeList *list, PyObject *origin);
void lists_roll_back(Context *ctx, NativeList *newest, int64_t origins);
void list_free(Context *ctx, NativeList *list);
int context_touch(Context *ctx, NativeList *list);
int context_keep(Context *ctx, PyObject *array);
int context_write_back(Context *ctx);
int context_reload(Context *ctx);
void context_mark_stale(Context *ctx);
void context_clear(Context *ctx);
void collect_lists(Context *ctx);
void collect_arrays(Context *ctx);
#define COLLECT_BYTES ((int64_t)64 << 20) /* of new lists, after which the dead ones are looked for */
NativeList *lean_list_new(Context *ctx, int64_t layout, int64_t length);
int64_t lean_list_reserve(Context *ctx, NativeList *list);
int64_t lean_list_expect(Context *ctx, NativeList *list, int64_t count);
NativeList *lean_list_slice(Context *ctx, NativeList *list, int64_t start, int64_t stop, int64_t step);
NativeList *lean_list_repeat(Context *ctx, NativeList *list, int64_t times);
NativeList *lean_list_concat(Context *ctx, NativeList *left, NativeList *right);

/* ---- blocks.c ---- */

void *block_get(size_t bytes);
void block_put(void *block, size_t bytes);
int blocks_prepare(void);

/* ---- arena.c ---- */

#define SMALL_LIST 1024 /* bytes, with its header */
void *arena_get(Context *ctx, size_t bytes);
void arena_put(Context *ctx, void *block, size_t bytes);
void arena_clear(Context *ctx);

/* ---- arrays.c ---- */

#define LONGEST_AXIS ((int64_t)1 << 44) /* `intervals.LONGEST`: proofs about indexes rely on it */
int64_t lean_array_new(Context *ctx, int64_t dtype, int64_t rank, int64_t fill, Slot *area);
int64_t lean_array_copy(Context *ctx, int64_t dtype, int64_t rank, Slot *area);

/* ---- guards.c ---- */

Guards *guards_from_list(PyObject *list);
void guards_release(Guards *guards);
int guards_visit(Guards *guards, visitproc visit, void *arg);
int guards_hold_slowly(Guards *guards);

typedef struct {
    PyObject *dict;
    uint64_t version;
} GuardedDict;

struct Guards {
    int64_t references;
    int dict_count, count;
    GuardedDict *dicts;
    struct Guard *items;
    char others;         /* there are guards that no dict version covers */
};

/* 1 they hold, 0 something changed, -1 an exception is set. */
static inline int guards_hold(Guards *guards) {
    if (guards->count == 0) return 1;
#if PY_VERSION_HEX < 0x030C0000
    if (!guards->others) {
        int k = 0;
        while (k < guards->dict_count && ((PyDictObject *)guards->dicts[k].dict)->ma_version_tag == guards->dicts[k].version)
            k++;
        if (k == guards->dict_count) return 1;
    }
#endif
    return guards_hold_slowly(guards);
}

/* Whether it is worth getting the GIL to ask `guards_hold`; can be asked without it. */
static inline int guards_may_fail(const Guards *guards) {
    if (guards->others) return 1;
#if PY_VERSION_HEX < 0x030C0000
    for (int k = 0; k < guards->dict_count; k++)
        if (((PyDictObject *)guards->dicts[k].dict)->ma_version_tag != guards->dicts[k].version) return 1;
    return 0;
#else
    return guards->count > 0;
#endif
}

/* ---- code.c ---- */

typedef int32_t (*Entry)(Context *, const Slot *, Slot *);

typedef struct {
    int mode, count;
    Layout **state;
    Layout *result;
    char has_list;       /* in the state */
    char behind;         /* a call: taken with its result pending, and with its exception passing */
    char outermost;      /* of a procedure that only Python calls: nothing compiled goes on afterwards */
} ExitPoint;

#define RECENT 8

struct CodeObject {
    PyObject_HEAD
    vectorcallfunc vectorcall;
    Entry entry;
    int parameter_count, in_slots, out_slots, exit_count, list_count;
    char polls, has_lists, upgrade;
    char release_gil;    /* let the GIL go at once, not only when a call turns out to be long */
    Layout **parameters, **lists;
    Layout *result;
    ExitPoint *exits;
    Guards *guards;
    LayoutPool pool;
    PyObject *handler, *owner, *name;
    PyObject *next;      /* code of the same function for other argument types, or NULL */
    long long calls, exits_taken, conversion_ns, native_ns, review_at;
    long long recent[RECENT][2]; /* conversion and native time of the latest calls with lists */
    unsigned recent_count;
};
PyObject *code_vectorcall(PyObject *callable, PyObject *const *args, size_t flags, PyObject *keywords);
extern PyTypeObject CodeType;
extern PyTypeObject CodeMemoryType;
PyObject *memory_map_code(PyObject *module, PyObject *bytes);

/* ---- exits.c ---- */

int64_t lean_exit(Context *ctx, int64_t number, Slot *state, Slot *out);
int64_t lean_recursion_error(Context *ctx);
void *set_memory_error(Context *ctx);
int python_begin(void);
void python_end(int state);

static inline void gil_release(Context *ctx) {
    ctx->thread->released = ctx;
    ctx->guards = ctx->code->guards; /* another thread may give the code new ones meanwhile */
    ctx->guards->references++;
    ctx->released = PyEval_SaveThread();
}

static inline void gil_take(Context *ctx) {
    if (UNLIKELY(ctx->released != NULL)) {
        PyThreadState *state = ctx->released;
        ctx->released = NULL;
        ctx->thread->released = NULL;
        PyEval_RestoreThread(state);
        guards_release(ctx->guards);
    }
}

/* ---- ticker.c ---- */

extern THREAD_LOCAL ThreadRecord *this_thread;
extern volatile int64_t ticks;
extern volatile int ticker_parked;
#define TICK_NS 2000000
ThreadRecord *thread_record_make(void);
void ticker_wake(void);
int ticker_prepare(void);
int64_t now_ns(void);

/* ---- numeric.c, round.c, runtime.c ---- */

extern void *runtime_table[];
extern const char *const runtime_names[];
extern const int runtime_count;
int numeric_prepare(void);
int fast_squares(void);
double lean_float_floordiv(double a, double b);
double lean_float_mod(double a, double b);
double lean_remainder(double a, double b);
double lean_int_true_divide(int64_t a, int64_t b);
int64_t lean_int_power(int64_t base, int64_t exponent, int64_t *out);
int64_t lean_compare_int_float(int64_t a, double b);
int64_t lean_complex_divide(double ar, double ai, double br, double bi, double *out);
int64_t lean_complex_power(double ar, double ai, double br, double bi, double *out);
double lean_complex_abs(double re, double im);
double lean_round_digits(double x, int64_t digits);
int64_t lean_int_gcd(int64_t a, int64_t b);
int64_t lean_int_isqrt(int64_t n);

/* ---- module.c ---- */

extern PyObject *UNBOUND, *MISSING, *GO_ON, *name_on_exit, *name_stale, *name_mismatch, *name_costly, *name_passed;

/* ---- Small things that have to be inline ---- */

/* The value of an exact Python int, if it is an int64. */
static inline int unbox_long(PyObject *value, int64_t *out) {
#if PY_VERSION_HEX < 0x030C0000
    Py_ssize_t size = Py_SIZE(value);
    const digit *digits = ((PyLongObject *)value)->ob_digit;
    if (LIKELY(size == 1)) { *out = digits[0]; return FITS; }
    if (size == 0) { *out = 0; return FITS; }
    if (size == -1) { *out = -(int64_t)digits[0]; return FITS; }
    if (size == 2) { *out = (int64_t)digits[0] | (int64_t)digits[1] << PyLong_SHIFT; return FITS; }
#else
    if (LIKELY(PyUnstable_Long_IsCompact((PyLongObject *)value))) {
        *out = PyUnstable_Long_CompactValue((PyLongObject *)value);
        return FITS;
    }
#endif
    return unbox_long_slowly(value, out);
}

static inline int same_bits(double a, double b) {
    int64_t x, y;
    memcpy(&x, &a, 8);
    memcpy(&y, &b, 8);
    return x == y;
}

#endif
