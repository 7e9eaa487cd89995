/* Native lists and their Python lists: making Python's equal before it is seen, and the native ones afterwards.
 *
 * - `list_to_python` makes one list and all below it equal (new Python lists for those that have none) and notes the
 *   ones that Python may change from now on as touched.
 * - `context_reload` reads the touched ones again when compiled code goes on. A list that no longer fits becomes stale:
 *   the Python list is right, the native one is never written back, and compiled code must not go on (status PENDING)
 *   until it fits again.
 */
#include "boundary.h"

static const Slot *element(const NativeList *list, int64_t index, Slot *flag) {
    if (list->layout->children[0]->kind != K_BOOL) return (const Slot *)(list->data + index * list->layout->element_size);
    flag->i = list->data[index];
    return flag;
}

static PyObject *box_element(Context *ctx, const NativeList *list, int64_t index) {
    Slot flag;
    return box(ctx, list->layout->children[0], element(list, index, &flag));
}

static int replace_item(PyObject *origin, Py_ssize_t index, PyObject *item) {
    if (item == NULL) return -1;
    return PyList_SetItem(origin, index, item);  /* an IndexError should Python code have shortened it meanwhile */
}

/* A float that only the list refers to is changed in place: whoever else could see it would hold a reference. */
static int write_floats(NativeList *list, int64_t count) {
    const double *data = (const double *)list->data;
    PyObject *origin = list->origin;
    for (int64_t k = 0; k < count && k < PyList_GET_SIZE(origin); k++) {
        PyObject *item = PyList_GET_ITEM(origin, k);
        if (LIKELY(PyFloat_CheckExact(item))) {
            if (same_bits(PyFloat_AS_DOUBLE(item), data[k])) continue;
            if (Py_REFCNT(item) == 1) {
                ((PyFloatObject *)item)->ob_fval = data[k];
                continue;
            }
        }
        if (replace_item(origin, k, PyFloat_FromDouble(data[k]))) return -1;
    }
    return 0;
}

static int write_ints(NativeList *list, int64_t count) {
    const int64_t *data = (const int64_t *)list->data;
    PyObject *origin = list->origin;
    for (int64_t k = 0; k < count && k < PyList_GET_SIZE(origin); k++) {
        PyObject *item = PyList_GET_ITEM(origin, k);
        int64_t number;
        if (LIKELY(PyLong_CheckExact(item)) && unbox_long(item, &number) == FITS && number == data[k]) continue;
        if (replace_item(origin, k, PyLong_FromLongLong(data[k]))) return -1;
    }
    return 0;
}

static int write_elements(Context *ctx, NativeList *list) {
    const Layout *child = list->layout->children[0];
    int64_t count = list->synced < PyList_GET_SIZE(list->origin) ? list->synced : PyList_GET_SIZE(list->origin);
    if (child->kind == K_FLOAT) return write_floats(list, count);
    if (child->kind == K_INT) return write_ints(list, count);
    for (int64_t k = 0; k < count && k < PyList_GET_SIZE(list->origin); k++) {
        Slot flag;
        const Slot *slots = element(list, k, &flag);
        int same = same_value(ctx, child, slots, PyList_GET_ITEM(list->origin, k));
        if (same < 0 || (same == 0 && replace_item(list->origin, k, box(ctx, child, slots)))) return -1;
    }
    return 0;
}

static int append_elements(Context *ctx, NativeList *list) {
    for (; list->synced < list->length; list->synced++) {
        PyObject *item = box_element(ctx, list, list->synced);
        if (item == NULL) return -1;
        int failed = PyList_Append(list->origin, item);
        Py_DECREF(item);
        if (failed) return -1;
    }
    return 0;
}

/* The Python list of a list that Python sees for the first time; known as its origin before it is filled. */
static int make_origin(Context *ctx, NativeList *list) {
    PyObject *origin = PyList_New(list->length);
    if (origin == NULL) return -1;
    int failed = list_register(ctx, list, origin);
    Py_DECREF(origin);
    for (int64_t k = 0; !failed && k < list->length; k++) {
        PyObject *item = box_element(ctx, list, k);
        if (item == NULL) failed = -1;
        else PyList_SET_ITEM(origin, k, item);
    }
    return failed;
}

/* Elements that compiled code has taken off the end. */
static int shorten(NativeList *list) {
    list->synced = list->length;
    return PyList_SetSlice(list->origin, list->length, PY_SSIZE_T_MAX, NULL);
}

int list_to_python(Context *ctx, NativeList *list) {
    if (list->epoch == ctx->epoch || list->stale) return 0;
    list->epoch = ctx->epoch;
    if (list->layout->deep && context_touch(ctx, list)) return -1;
    if (list->origin == NULL) return make_origin(ctx, list);
    if (list->length < list->synced && shorten(list)) return -1;
    if (list->layout->deep && write_elements(ctx, list)) return -1;
    return list->length > list->synced ? append_elements(ctx, list) : 0;
}

/* All lists that Python knows. Boxing may register further ones, which are equal already. */
int context_write_back(Context *ctx) {
    for (int64_t k = 0, count = ctx->origins.count; k < count; k++)
        if (list_to_python(ctx, ctx->origins.items[k])) return -1;
    return 0;
}

static int reload(Context *ctx, NativeList *list) {
    int answer = MISMATCH;
    NativeList *newest = ctx->newest;
    int64_t origins = ctx->origins.count;
    if (PyList_GET_SIZE(list->origin) == list->length) answer = unbox_elements(ctx, list, list->origin);
    if (answer == FAILED) return FAILED;
    if (answer == MISMATCH) lists_roll_back(ctx, newest, origins);
    ctx->stale += (answer == MISMATCH) - list->stale;
    list->stale = answer == MISMATCH;
    return FITS;
}

/* FITS when compiled code may go on, MISMATCH when some list no longer fits, FAILED with an exception set. */
int context_reload(Context *ctx) {
    for (int64_t k = 0; k < ctx->touched_count; k++)
        if (reload(ctx, ctx->touched[k]) == FAILED) return FAILED;
    if (ctx->stale == 0) return FITS;
    for (int64_t k = 0; k < ctx->origins.count; k++)
        if (ctx->origins.items[k]->stale && reload(ctx, ctx->origins.items[k]) == FAILED) return FAILED;
    return ctx->stale ? MISMATCH : FITS;
}

/* Python was there and compiled code does not go on: what Python left is right. */
void context_mark_stale(Context *ctx) {
    for (int64_t k = 0; k < ctx->touched_count; k++) {
        ctx->stale += 1 - ctx->touched[k]->stale;
        ctx->touched[k]->stale = 1;
    }
}
