/* From Python objects to machine values, strictly by exact type.
 *
 * In: a layout and an object. Out: FITS and the slots, or MISMATCH (the object is not of the layout's type, or an int is
 * beyond 64 bits), or FAILED with an exception set. A MISMATCH may leave some slots and lists behind; who tries another
 * layout rolls the lists back.
 */
#include "boundary.h"

int unbox_long_slowly(PyObject *value, int64_t *out) {
    int overflow;
    *out = PyLong_AsLongLongAndOverflow(value, &overflow);
    return overflow ? MISMATCH : FITS;
}

static int unbox_numpy(int dtype, PyObject *value, Slot *slot) {
    switch (dtype) {
    case NPY_BOOL: slot->i = value == PyArrayScalar_True; return FITS;
    case NPY_INT8: slot->i = PyArrayScalar_VAL(value, Byte); return FITS;
    case NPY_UINT8: slot->i = PyArrayScalar_VAL(value, UByte); return FITS;
    case NPY_INT16: slot->i = PyArrayScalar_VAL(value, Short); return FITS;
    case NPY_UINT16: slot->i = PyArrayScalar_VAL(value, UShort); return FITS;
    case NPY_INT32: slot->i = PyArrayScalar_VAL(value, Int); return FITS;
    case NPY_UINT32: slot->i = PyArrayScalar_VAL(value, UInt); return FITS;
    case NPY_INT64: slot->i = PyArrayScalar_VAL(value, Long); return FITS;
    case NPY_UINT64: slot->i = (int64_t)PyArrayScalar_VAL(value, ULong); return FITS;
    case NPY_FLOAT32: slot->f = PyArrayScalar_VAL(value, Float); return FITS;
    default: slot->f = PyArrayScalar_VAL(value, Double); return FITS;
    }
}

static int unbox_tuple(Context *ctx, const Layout *layout, PyObject *value, Slot *slots) {
    if (PyTuple_GET_SIZE(value) != layout->count) return MISMATCH;
    for (int k = 0; k < layout->count; k++) {
        int answer = unbox(ctx, layout->children[k], PyTuple_GET_ITEM(value, k), slots);
        if (answer != FITS) return answer;
        slots += layout->children[k]->slots;
    }
    return FITS;
}

static int unbox_array(Context *ctx, const Layout *layout, PyObject *value, Slot *slots) {
    PyArrayObject *array = (PyArrayObject *)value;
    if (PyArray_TYPE(array) != layout->dtype || PyArray_NDIM(array) != layout->rank || !PyArray_ISNOTSWAPPED(array))
        return MISMATCH;
    slots[0].p = value;
    slots[1].p = PyArray_DATA(array);
    slots[2].i = PyArray_ISWRITEABLE(array) != 0;
    for (int k = 0; k < layout->rank; k++) {
        if (UNLIKELY(PyArray_DIM(array, k) > LONGEST_AXIS)) return MISMATCH; /* a broadcast view can be so long */
        slots[3 + k].i = PyArray_DIM(array, k);
        slots[3 + layout->rank + k].i = PyArray_STRIDE(array, k);
    }
    return ctx->keeps_arrays ? context_keep(ctx, value) : FITS;
}

static int unbox_member(Context *ctx, const Layout *layout, int member, PyObject *value, Slot *slots) {
    const Layout *child = layout->children[member];
    Slot *inner = alloca((child->slots + 1) * sizeof(Slot));
    NativeList *newest = ctx->newest;
    int64_t origins = ctx->origins.count;
    int answer = unbox(ctx, child, value, inner);
    if (answer != FITS) {
        lists_roll_back(ctx, newest, origins);
        return answer;
    }
    memset(slots, 0, layout->slots * sizeof *slots);
    slots[0].i = layout->tags[member];
    for (int k = 0; k < child->slots; k++) slots[layout->places[member][k]] = inner[k];
    return FITS;
}

static int unbox_union(Context *ctx, const Layout *layout, PyObject *value, Slot *slots) {
    for (int k = 0; k < layout->count; k++) {
        if (layout->children[k]->type != Py_TYPE(value)) continue;
        int answer = unbox_member(ctx, layout, k, value, slots);
        if (answer != MISMATCH) return answer;
    }
    return MISMATCH;
}

static int unbox_floats(double *data, PyObject *const *items, Py_ssize_t count) {
    for (Py_ssize_t k = 0; k < count; k++) {
        if (UNLIKELY(!PyFloat_CheckExact(items[k]))) return MISMATCH;
        data[k] = PyFloat_AS_DOUBLE(items[k]);
    }
    return FITS;
}

static int unbox_ints(int64_t *data, PyObject *const *items, Py_ssize_t count) {
    for (Py_ssize_t k = 0; k < count; k++)
        if (UNLIKELY(!PyLong_CheckExact(items[k]) || unbox_long(items[k], data + k))) return MISMATCH;
    return FITS;
}

static int unbox_bools(char *data, PyObject *const *items, Py_ssize_t count) {
    for (Py_ssize_t k = 0; k < count; k++) {
        if (UNLIKELY(!PyBool_Check(items[k]))) return MISMATCH;
        data[k] = items[k] == Py_True;
    }
    return FITS;
}

/* Fill a native list from a Python list of the same length. */
int unbox_elements(Context *ctx, NativeList *list, PyObject *origin) {
    const Layout *child = list->layout->children[0];
    PyObject **items = ((PyListObject *)origin)->ob_item;
    Py_ssize_t count = PyList_GET_SIZE(origin);
    switch (child->kind) {
    case K_FLOAT: return unbox_floats((double *)list->data, items, count);
    case K_INT: return unbox_ints((int64_t *)list->data, items, count);
    case K_BOOL: return unbox_bools(list->data, items, count);
    default: break;
    }
    char kept = ctx->keeps_arrays;
    int answer = FITS;
    ctx->keeps_arrays = 1;  /* the Python list may let go of an array that compiled code still reads */
    for (Py_ssize_t k = 0; k < count && answer == FITS; k++)
        answer = unbox(ctx, child, items[k], (Slot *)(list->data + k * list->layout->element_size));
    ctx->keeps_arrays = kept;
    return answer;
}

/* A list is copied once per call; where it turns up again it is the same native list. An empty list has nothing that
 * could be stored into, so it may be had under several layouts. */
static int unbox_list(Context *ctx, const Layout *layout, PyObject *value, Slot *slots) {
    NativeList *list = list_of_origin(ctx, value);
    if (list != NULL && list->layout == layout) {
        slots->p = list;
        return FITS;
    }
    if (list != NULL && (PyList_GET_SIZE(value) || list->length)) return MISMATCH;
    int known = list != NULL;
    list = list_make(ctx, layout, PyList_GET_SIZE(value));
    if (list == NULL) return PyErr_NoMemory(), FAILED;
    if (known) {
        Py_INCREF(value);
        list->origin = value;
    } else if (list_register(ctx, list, value)) {
        return FAILED;
    }
    slots->p = list;
    return unbox_elements(ctx, list, value);
}

static int unbox_maybe(Context *ctx, const Layout *layout, PyObject *value, Slot *slots) {
    memset(slots, 0, layout->slots * sizeof *slots);
    if (value == UNBOUND) return FITS;
    slots[0].i = 1;
    return unbox(ctx, layout->children[0], value, slots + 1);
}

int unbox(Context *ctx, const Layout *layout, PyObject *value, Slot *slots) {
    if (layout->type != NULL && layout->type != Py_TYPE(value)) return MISMATCH;
    switch (layout->kind) {
    case K_NONE: return FITS;
    case K_BOOL: slots->i = value == Py_True; return FITS;
    case K_INT: return unbox_long(value, &slots->i);
    case K_FLOAT: slots->f = PyFloat_AS_DOUBLE(value); return FITS;
    case K_COMPLEX:
        slots[0].f = ((PyComplexObject *)value)->cval.real;
        slots[1].f = ((PyComplexObject *)value)->cval.imag;
        return FITS;
    case K_NUMPY: return unbox_numpy(layout->dtype, value, slots);
    case K_TUPLE: return unbox_tuple(ctx, layout, value, slots);
    case K_LIST: return unbox_list(ctx, layout, value, slots);
    case K_ARRAY: return unbox_array(ctx, layout, value, slots);
    case K_UNION: return unbox_union(ctx, layout, value, slots);
    case K_MAYBE: return unbox_maybe(ctx, layout, value, slots);
    case K_NEVER:
    case K_PENDING: return MISMATCH;
    }
    return MISMATCH;
}
