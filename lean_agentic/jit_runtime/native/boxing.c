/* From machine values to Python objects of exactly the layout's types, and native lists back into their Python lists.
 *
 * Whatever list is met on the way is made equal to its Python list first (once per exit, `epoch`), so everything that
 * Python can reach from a boxed value is up to date.
 */
#include "boundary.h"

#define NUMPY_SCALAR(Name, value)                                                        \
    do {                                                                                 \
        PyObject *made = Py##Name##ArrType_Type.tp_alloc(&Py##Name##ArrType_Type, 0);     \
        if (made != NULL) PyArrayScalar_VAL(made, Name) = value;                         \
        return made;                                                                     \
    } while (0)

PyObject *box_numpy(int dtype, const Slot *slot) {
    switch (dtype) {
    case NPY_BOOL: return Py_NewRef(slot->i ? PyArrayScalar_True : PyArrayScalar_False);
    case NPY_INT8: NUMPY_SCALAR(Byte, (npy_byte)slot->i);
    case NPY_UINT8: NUMPY_SCALAR(UByte, (npy_ubyte)slot->i);
    case NPY_INT16: NUMPY_SCALAR(Short, (npy_short)slot->i);
    case NPY_UINT16: NUMPY_SCALAR(UShort, (npy_ushort)slot->i);
    case NPY_INT32: NUMPY_SCALAR(Int, (npy_int)slot->i);
    case NPY_UINT32: NUMPY_SCALAR(UInt, (npy_uint)slot->i);
    case NPY_INT64: NUMPY_SCALAR(Long, (npy_long)slot->i);
    case NPY_UINT64: NUMPY_SCALAR(ULong, (npy_ulong)slot->i);
    case NPY_FLOAT32: NUMPY_SCALAR(Float, (npy_float)slot->f);
    default: NUMPY_SCALAR(Double, slot->f);
    }
}

static PyObject *box_tuple(Context *ctx, const Layout *layout, const Slot *slots) {
    PyObject *made = PyTuple_New(layout->count);
    for (int k = 0; made != NULL && k < layout->count; k++) {
        PyObject *item = box(ctx, layout->children[k], slots);
        if (item == NULL) Py_CLEAR(made);
        else PyTuple_SET_ITEM(made, k, item);
        slots += layout->children[k]->slots;
    }
    return made;
}

static int is_whole(const Layout *layout, const Slot *slots) {
    PyArrayObject *owner = slots[0].p;
    if (PyArray_DATA(owner) != slots[1].p || PyArray_NDIM(owner) != layout->rank || PyArray_TYPE(owner) != layout->dtype ||
        (PyArray_ISWRITEABLE(owner) != 0) != (slots[2].i != 0))
        return 0;
    for (int k = 0; k < layout->rank; k++)
        if (PyArray_DIM(owner, k) != slots[3 + k].i || PyArray_STRIDE(owner, k) != slots[3 + layout->rank + k].i) return 0;
    return 1;
}

/* The owner itself where nothing but the owner is meant, else a view of its memory. */
static PyObject *box_array(const Layout *layout, const Slot *slots) {
    PyObject *owner = slots[0].p;
    npy_intp shape[64], strides[64];
    if (is_whole(layout, slots)) return Py_NewRef(owner);
    for (int k = 0; k < layout->rank; k++) {
        shape[k] = slots[3 + k].i;
        strides[k] = slots[3 + layout->rank + k].i;
    }
    PyArray_Descr *descr = PyArray_DescrFromType(layout->dtype);
    if (descr == NULL) return NULL;
    PyObject *view = PyArray_NewFromDescr(&PyArray_Type, descr, layout->rank, shape, strides, slots[1].p,
                                          slots[2].i ? NPY_ARRAY_WRITEABLE : 0, NULL);
    if (view == NULL) return NULL;
    if (PyArray_SetBaseObject((PyArrayObject *)view, Py_NewRef(owner)) < 0) Py_CLEAR(view);
    else PyArray_UpdateFlags((PyArrayObject *)view, NPY_ARRAY_UPDATE_ALL);
    return view;
}

static int member_of(const Layout *layout, const Slot *slots) {
    for (int k = 0; k < layout->count; k++)
        if (layout->tags[k] == slots[0].i) return k;
    PyErr_Format(PyExc_SystemError, "compiled code gave a union the tag %lld, which none of its members has",
                 (long long)slots[0].i);
    return -1;
}

static void gather(const Layout *layout, int member, const Slot *slots, Slot *inner) {
    for (int k = 0; k < layout->children[member]->slots; k++) inner[k] = slots[layout->places[member][k]];
}

static PyObject *box_union(Context *ctx, const Layout *layout, const Slot *slots) {
    int member = member_of(layout, slots);
    if (member < 0) return NULL;
    Slot *inner = alloca((layout->slots + 1) * sizeof(Slot));
    gather(layout, member, slots, inner);
    return box(ctx, layout->children[member], inner);
}

static PyObject *box_list(Context *ctx, NativeList *list) {
    return list_to_python(ctx, list) ? NULL : Py_NewRef(list->origin);
}

PyObject *box(Context *ctx, const Layout *layout, const Slot *slots) {
    switch (layout->kind) {
    case K_NONE: return Py_NewRef(Py_None);
    case K_BOOL: return Py_NewRef(slots->i ? Py_True : Py_False);
    case K_INT: return PyLong_FromLongLong(slots->i);
    case K_FLOAT: return PyFloat_FromDouble(slots->f);
    case K_COMPLEX: return PyComplex_FromDoubles(slots[0].f, slots[1].f);
    case K_NUMPY: return box_numpy(layout->dtype, slots);
    case K_TUPLE: return box_tuple(ctx, layout, slots);
    case K_LIST: return box_list(ctx, slots->p);
    case K_ARRAY: return box_array(layout, slots);
    case K_UNION: return box_union(ctx, layout, slots);
    case K_MAYBE: return slots[0].i ? box(ctx, layout->children[0], slots + 1) : Py_NewRef(UNBOUND);
    case K_PENDING:
        if (ctx->pending != NULL) return Py_NewRef(ctx->pending);
        PyErr_SetString(PyExc_SystemError, "compiled code asked for a pending result where there is none");
        return NULL;
    case K_NEVER: break;
    }
    PyErr_SetString(PyExc_SystemError, "compiled code gave a value where none can be");
    return NULL;
}

static int same_tuple(Context *ctx, const Layout *layout, const Slot *slots, PyObject *value) {
    if (PyTuple_GET_SIZE(value) != layout->count) return 0;
    for (int k = 0; k < layout->count; k++) {
        int same = same_value(ctx, layout->children[k], slots, PyTuple_GET_ITEM(value, k));
        if (same != 1) return same;
        slots += layout->children[k]->slots;
    }
    return 1;
}

static int same_union(Context *ctx, const Layout *layout, const Slot *slots, PyObject *value) {
    int member = member_of(layout, slots);
    if (member < 0) return -1;
    Slot *inner = alloca((layout->slots + 1) * sizeof(Slot));
    gather(layout, member, slots, inner);
    return same_value(ctx, layout->children[member], inner, value);
}

/* 1 when the object is the value, by type and bits, and so may stay; 0 when not; -1 with an exception set. */
int same_value(Context *ctx, const Layout *layout, const Slot *slots, PyObject *value) {
    Slot found[2];
    if (layout->kind == K_LIST && list_to_python(ctx, slots->p)) return -1;
    if (layout->type != NULL && layout->type != Py_TYPE(value)) return 0;
    switch (layout->kind) {
    case K_NONE: return 1;
    case K_BOOL:
    case K_INT:
    case K_FLOAT:
    case K_COMPLEX:
    case K_NUMPY: return unbox(ctx, layout, value, found) == FITS && memcmp(found, slots, layout->slots * sizeof(Slot)) == 0;
    case K_TUPLE: return same_tuple(ctx, layout, slots, value);
    case K_LIST: return ((NativeList *)slots->p)->origin == value;
    case K_ARRAY: return value == slots[0].p && is_whole(layout, slots);
    case K_UNION: return same_union(ctx, layout, slots, value);
    default: return 0;
    }
}
