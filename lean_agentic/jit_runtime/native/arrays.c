/* New arrays for compiled code: `np.zeros`, `np.ones` and `np.empty` without a detour through Python code.
 *
 * In: a NumPy type number, a rank, what to fill with (for `np.arange(n)` the positions), and the shape in the first slots of an area. Out: behind the shape,
 * the slots of the array (owner, data, writeable, shape, strides). 1 where NumPy raises: the statement runs again in
 * Python, which then raises it.
 */
#include "boundary.h"

enum { FILL_NOTHING = 0, FILL_ZEROS = 1, FILL_ONES = 2, FILL_POSITIONS = 3 };

static PyObject *ones(int rank, npy_intp *shape, PyArray_Descr *dtype) {
    PyObject *array = PyArray_Empty(rank, shape, dtype, 0), *one = PyLong_FromLong(1);
    if (array == NULL || one == NULL || PyArray_FillWithScalar((PyArrayObject *)array, one)) Py_CLEAR(array);
    Py_XDECREF(one);
    return array;
}

/* `np.arange(n)` of int64. */
static PyObject *positions(npy_intp *shape) {
    PyObject *array = PyArray_SimpleNew(1, shape, NPY_INT64);
    int64_t *elements = array == NULL ? NULL : PyArray_DATA((PyArrayObject *)array);
    for (npy_intp k = 0; array != NULL && k < shape[0]; k++) elements[k] = k;
    return array;
}

static PyObject *filled(int64_t fill, int rank, npy_intp *shape, int dtype) {
    if (fill == FILL_POSITIONS) return positions(shape);
    PyArray_Descr *descr = PyArray_DescrFromType(dtype); /* each maker takes the reference */
    if (descr == NULL) return NULL;
    if (fill == FILL_ONES) return ones(rank, shape, descr);
    return fill == FILL_ZEROS ? PyArray_Zeros(rank, shape, descr, 0) : PyArray_Empty(rank, shape, descr, 0);
}

static int keep(Context *ctx, PyObject *array) {
    int kept = array == NULL ? FAILED : context_keep(ctx, array);
    Py_XDECREF(array); /* the context has its own reference */
    return kept;
}

/* The slots of a new array, which the context keeps. */
static int hand_over(Context *ctx, PyObject *array, int rank, Slot *out) {
    if (keep(ctx, array) != FITS) {
        PyErr_Clear(); /* Python meets the same failure when it runs the statement */
        return 1;
    }
    out[0].p = array;
    out[1].p = PyArray_DATA((PyArrayObject *)array);
    out[2].i = 1;
    for (int k = 0; k < rank; k++) {
        out[3 + k].i = PyArray_DIM((PyArrayObject *)array, k);
        out[3 + rank + k].i = PyArray_STRIDE((PyArrayObject *)array, k);
    }
    return 0;
}

int64_t lean_array_new(Context *ctx, int64_t dtype, int64_t rank, int64_t fill, Slot *area) {
    npy_intp shape[NPY_MAXDIMS];
    for (int64_t k = 0; k < rank; k++) {
        shape[k] = area[k].i;
        if (shape[k] < 0 || shape[k] > LONGEST_AXIS) return 1;
    }
    gil_take(ctx);
    PyObject *array = filled(fill, (int)rank, shape, (int)dtype);
    return hand_over(ctx, array, (int)rank, area + rank);
}

/* `a.copy()`, also of a view that has no object. In: shape, strides and data in the first slots of the area. */
int64_t lean_array_copy(Context *ctx, int64_t dtype, int64_t rank, Slot *area) {
    npy_intp shape[NPY_MAXDIMS], strides[NPY_MAXDIMS];
    for (int64_t k = 0; k < rank; k++) {
        shape[k] = area[k].i;
        strides[k] = area[rank + k].i;
    }
    gil_take(ctx);
    PyArray_Descr *descr = PyArray_DescrFromType((int)dtype);
    if (descr == NULL) return PyErr_Clear(), 1;
    PyObject *copied = NULL, *view = PyArray_NewFromDescr(&PyArray_Type, descr, (int)rank, shape, strides, area[2 * rank].p, 0, NULL);
    if (view != NULL) copied = PyArray_NewCopy((PyArrayObject *)view, NPY_CORDER);
    Py_XDECREF(view);
    return hand_over(ctx, copied, (int)rank, area + 2 * rank + 1);
}
