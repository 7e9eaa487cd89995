/* Layouts: the trees made of `layout.descriptor`s.
 *
 * Within one Code equal descriptors give one Layout, so layouts are compared by address. A list that comes in under two
 * different layouts would need two native copies, and a store into one would not be seen in the other.
 */
#include "boundary.h"

static const struct { const char *name; int dtype; } DTYPES[] = {
    {"bool", NPY_BOOL}, {"int8", NPY_INT8}, {"int16", NPY_INT16}, {"int32", NPY_INT32}, {"int64", NPY_INT64},
    {"uint8", NPY_UINT8}, {"uint16", NPY_UINT16}, {"uint32", NPY_UINT32}, {"uint64", NPY_UINT64},
    {"float32", NPY_FLOAT32}, {"float64", NPY_FLOAT64},
};

static int dtype_number(PyObject *name) {
    for (size_t k = 0; k < sizeof DTYPES / sizeof *DTYPES; k++)
        if (PyUnicode_Check(name) && PyUnicode_CompareWithASCIIString(name, DTYPES[k].name) == 0) return DTYPES[k].dtype;
    PyErr_Format(PyExc_ValueError, "%R is not a dtype of the kernel language: expected bool, int8-64, uint8-64, float32 or "
                 "float64", name);
    return -1;
}

static PyTypeObject *scalar_class(int dtype) {
    PyArray_Descr *descr = PyArray_DescrFromType(dtype);
    if (descr == NULL) return NULL;
    PyTypeObject *type = descr->typeobj;  /* static, so a borrowed reference is enough */
    Py_DECREF(descr);
    return type;
}

static void layout_free(Layout *layout) {
    if (layout == NULL) return;
    if (layout->places != NULL)
        for (int k = 0; k < layout->count; k++) PyMem_Free(layout->places[k]);
    PyMem_Free(layout->places);
    PyMem_Free(layout->tags);
    PyMem_Free(layout->children);
    PyMem_Free(layout->letters);
    PyMem_Free(layout);
}

void layout_pool_free(LayoutPool *pool) {
    for (int k = 0; k < pool->count; k++) layout_free(pool->items[k]);
    PyMem_Free(pool->items);
    memset(pool, 0, sizeof *pool);
}

static int equal_layouts(const Layout *a, const Layout *b) {
    if (a->kind != b->kind || a->dtype != b->dtype || a->rank != b->rank || a->count != b->count ||
        a->written != b->written)
        return 0;
    for (int k = 0; k < a->count; k++)
        if (a->children[k] != b->children[k] || (a->tags != NULL && a->tags[k] != b->tags[k])) return 0;
    return 1;
}

/* The pool's layout that equals this one, which it replaces, or this one. */
static Layout *intern(LayoutPool *pool, Layout *layout) {
    for (int k = 0; k < pool->count; k++)
        if (equal_layouts(pool->items[k], layout)) {
            layout_free(layout);
            return pool->items[k];
        }
    if (pool->count == pool->capacity) {
        int capacity = pool->capacity * 2 + 8;
        Layout **items = PyMem_Realloc(pool->items, capacity * sizeof *items);
        if (items == NULL) {
            layout_free(layout);
            PyErr_NoMemory();
            return NULL;
        }
        pool->items = items;
        pool->capacity = capacity;
    }
    return pool->items[pool->count++] = layout;
}

static int set_letters(Layout *layout, const char *letters, int count) {
    layout->letters = PyMem_Malloc(count + 1);
    if (layout->letters == NULL) return PyErr_NoMemory(), -1;
    memcpy(layout->letters, letters, count);
    layout->letters[count] = 0;
    layout->slots = count;
    return 0;
}

static int count_letter(const Layout *layout, char letter) {
    int count = 0;
    for (int k = 0; k < layout->slots; k++) count += layout->letters[k] == letter;
    return count;
}

/* One after the other, behind a first letter or none: tuples and `maybe`. */
static int lay_out_in_a_row(Layout *layout, const char *first) {
    int total = (int)strlen(first), at = total;
    for (int k = 0; k < layout->count; k++) total += layout->children[k]->slots;
    char *letters = PyMem_Malloc(total + 1);
    if (letters == NULL) return PyErr_NoMemory(), -1;
    memcpy(letters, first, at);
    for (int k = 0; k < layout->count; at += layout->children[k++]->slots)
        memcpy(letters + at, layout->children[k]->letters, layout->children[k]->slots);
    int failed = set_letters(layout, letters, total);
    PyMem_Free(letters);
    return failed;
}

static int class_index(char letter) { return letter == 'i' ? 0 : letter == 'f' ? 1 : 2; }

static int place_member(Layout *layout, int member, const int starts[3]) {
    const Layout *child = layout->children[member];
    int next[3] = {starts[0], starts[1], starts[2]};
    layout->places[member] = PyMem_Calloc(child->slots + 1, sizeof(int));
    if (layout->places[member] == NULL) return PyErr_NoMemory(), -1;
    for (int k = 0; k < child->slots; k++)
        layout->places[member][k] = next[class_index(child->letters[k])]++;
    return 0;
}

/* The tag, then room for the most i's, f's and p's that any member needs (`layout.slots`, `layout.places`). */
static int lay_out_union(Layout *layout) {
    int starts[4] = {1}, failed;
    for (int c = 0; c < 3; c++) {
        int most = 0;
        for (int k = 0; k < layout->count; k++) {
            int needed = count_letter(layout->children[k], "ifp"[c]);
            most = needed > most ? needed : most;
        }
        starts[c + 1] = starts[c] + most;
    }
    char *letters = PyMem_Malloc(starts[3] + 1);
    if (letters == NULL) return PyErr_NoMemory(), -1;
    letters[0] = 'i';
    for (int c = 0; c < 3; c++) memset(letters + starts[c], "ifp"[c], starts[c + 1] - starts[c]);
    failed = set_letters(layout, letters, starts[3]);
    PyMem_Free(letters);
    layout->places = PyMem_Calloc(layout->count + 1, sizeof(int *));
    if (layout->places == NULL) return PyErr_NoMemory(), -1;
    for (int k = 0; k < layout->count && !failed; k++) failed = place_member(layout, k, starts);
    return failed;
}

static int add_children(LayoutPool *pool, Layout *layout, PyObject *descriptors, int tagged) {
    PyObject *items = PySequence_Fast(descriptors, "children of a layout descriptor must be a sequence");
    if (items == NULL) return -1;
    int count = (int)PySequence_Fast_GET_SIZE(items), failed = 0;
    layout->children = PyMem_Calloc(count + 1, sizeof(Layout *));
    layout->tags = tagged ? PyMem_Calloc(count + 1, sizeof(int64_t)) : NULL;
    if (layout->children == NULL || (tagged && layout->tags == NULL)) PyErr_NoMemory(), failed = -1;
    for (int k = 0; k < count && !failed; k++) {
        PyObject *child = PySequence_Fast_GET_ITEM(items, k);
        long long tag = 0;
        if (tagged && !PyArg_ParseTuple(child, "LO;a union's member must be (tag, descriptor)", &tag, &child)) failed = -1;
        if (!failed && (layout->children[k] = layout_from_descriptor(pool, child)) == NULL) failed = -1;
        if (tagged && !failed) layout->tags[k] = tag;
        layout->count = k + 1;
    }
    if (failed) layout->count = 0;
    Py_DECREF(items);
    return failed;
}

static int add_child(LayoutPool *pool, Layout *layout, PyObject *descriptor) {
    PyObject *one = PyTuple_Pack(1, descriptor);
    int failed = one == NULL || add_children(pool, layout, one, 0);
    Py_XDECREF(one);
    return failed;
}

static int make_array(Layout *layout, PyObject *dtype, PyObject *rank) {
    layout->dtype = dtype_number(dtype);
    layout->rank = (int)PyLong_AsLong(rank);
    layout->type = &PyArray_Type;
    layout->has_array = 1;
    if (layout->dtype < 0 || PyErr_Occurred()) return -1;
    if (layout->rank < 0 || layout->rank > 64)
        return PyErr_Format(PyExc_ValueError, "an array's rank is 0 to 64, not %d", layout->rank), -1;
    char letters[3 + 2 * 64];
    memset(letters, 'i', sizeof letters);
    letters[0] = letters[1] = 'p';
    return set_letters(layout, letters, 3 + 2 * layout->rank);
}

static int make_list(LayoutPool *pool, Layout *layout, PyObject *child, PyObject *written) {
    layout->type = &PyList_Type;
    layout->written = (char)PyObject_IsTrue(written);
    if (layout->written < 0 || add_child(pool, layout, child)) return -1;
    layout->element_size = layout->children[0]->kind == K_BOOL ? 1 : 8 * layout->children[0]->slots;
    layout->deep = layout->written;
    layout->has_list = 1;
    return set_letters(layout, "p", 1);
}

static const struct { const char *name, *letters; Kind kind; int arguments; } KINDS[] = {
    {"none", "", K_NONE, 0}, {"bool", "i", K_BOOL, 0}, {"int", "i", K_INT, 0}, {"float", "f", K_FLOAT, 0},
    {"complex", "ff", K_COMPLEX, 0}, {"never", "", K_NEVER, 0}, {"pending", "", K_PENDING, 0}, {"np", "i", K_NUMPY, 1},
    {"tuple", "", K_TUPLE, 1}, {"union", "", K_UNION, 1}, {"maybe", "", K_MAYBE, 1}, {"list", "p", K_LIST, 2},
    {"array", "", K_ARRAY, 2},
};

static PyTypeObject *class_of(Kind kind) {
    switch (kind) {
    case K_NONE: return Py_TYPE(Py_None);
    case K_BOOL: return &PyBool_Type;
    case K_INT: return &PyLong_Type;
    case K_FLOAT: return &PyFloat_Type;
    case K_COMPLEX: return &PyComplex_Type;
    case K_TUPLE: return &PyTuple_Type;
    default: return NULL;
    }
}

static int fill(LayoutPool *pool, Layout *layout, const char *letters, PyObject *descriptor) {
    PyObject *first = PyTuple_GET_SIZE(descriptor) > 1 ? PyTuple_GET_ITEM(descriptor, 1) : NULL;
    PyObject *second = PyTuple_GET_SIZE(descriptor) > 2 ? PyTuple_GET_ITEM(descriptor, 2) : NULL;
    layout->type = class_of(layout->kind);
    switch (layout->kind) {
    case K_NUMPY:
        layout->dtype = dtype_number(first);
        if (layout->dtype < 0 || (layout->type = scalar_class(layout->dtype)) == NULL) return -1;
        return set_letters(layout, layout->dtype == NPY_FLOAT32 || layout->dtype == NPY_FLOAT64 ? "f" : "i", 1);
    case K_TUPLE: return add_children(pool, layout, first, 0) || lay_out_in_a_row(layout, "");
    case K_MAYBE: return add_child(pool, layout, first) || lay_out_in_a_row(layout, "i");
    case K_UNION: return add_children(pool, layout, first, 1) || lay_out_union(layout);
    case K_LIST: return make_list(pool, layout, first, second);
    case K_ARRAY: return make_array(layout, first, second);
    default: return set_letters(layout, letters, (int)strlen(letters));
    }
}

static Layout *make(LayoutPool *pool, int kind, PyObject *descriptor) {
    Layout *layout = PyMem_Calloc(1, sizeof *layout);
    if (layout == NULL) return PyErr_NoMemory(), NULL;
    layout->kind = KINDS[kind].kind;
    if (fill(pool, layout, KINDS[kind].letters, descriptor)) {
        layout_free(layout);
        return NULL;
    }
    for (int k = 0; k < layout->count; k++) {
        layout->deep |= layout->children[k]->deep;
        layout->has_list |= layout->children[k]->has_list;
        layout->has_array |= layout->children[k]->has_array;
    }
    return intern(pool, layout);
}

Layout *layout_from_descriptor(LayoutPool *pool, PyObject *descriptor) {
    if (PyTuple_Check(descriptor) && PyTuple_GET_SIZE(descriptor) > 0 && PyUnicode_Check(PyTuple_GET_ITEM(descriptor, 0)))
        for (size_t k = 0; k < sizeof KINDS / sizeof *KINDS; k++)
            if (PyUnicode_CompareWithASCIIString(PyTuple_GET_ITEM(descriptor, 0), KINDS[k].name) == 0 &&
                PyTuple_GET_SIZE(descriptor) == 1 + KINDS[k].arguments) {
                if (Py_EnterRecursiveCall(" in a layout descriptor")) return NULL;
                Layout *made = make(pool, (int)k, descriptor);
                Py_LeaveRecursiveCall();
                return made;
            }
    PyErr_Format(PyExc_ValueError, "%R is not a layout descriptor: expected a tuple as `layout.Descriptors.of` makes it",
                 descriptor);
    return NULL;
}
