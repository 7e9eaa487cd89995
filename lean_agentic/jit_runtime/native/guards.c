/* Guards: what compiled code took for constant outside itself (globals, cells, defaults, code of other functions).
 *
 * In: the `guards` list of a Code. All are compared by identity. Up to Python 3.11 a dict has a version that changes
 * with every store into it, so as long as the versions are the same nothing has to be looked up.
 */
#include "boundary.h"

typedef enum { G_DICT, G_CELL, G_DEFAULT, G_CODE } GuardKind;
typedef struct Guard {
    GuardKind kind;
    PyObject *holder, *key, *expected; /* key: NULL for cells and code */
    int dict;                          /* index into dicts */
} Guard;

void guards_release(Guards *guards) {
    if (guards == NULL || --guards->references) return;
    for (int k = 0; k < guards->count; k++) {
        Py_XDECREF(guards->items[k].holder);
        Py_XDECREF(guards->items[k].key);
        Py_XDECREF(guards->items[k].expected);
    }
    PyMem_Free(guards->items);
    PyMem_Free(guards->dicts);
    PyMem_Free(guards);
}

int guards_visit(Guards *guards, visitproc visit, void *arg) {
    for (int k = 0; guards != NULL && k < guards->count; k++) {
        Py_VISIT(guards->items[k].holder);
        Py_VISIT(guards->items[k].key);
        Py_VISIT(guards->items[k].expected);
    }
    return 0;
}

static int dict_index(Guards *guards, PyObject *dict) {
    for (int k = 0; k < guards->dict_count; k++)
        if (guards->dicts[k].dict == dict) return k;
    guards->dicts[guards->dict_count].dict = dict;  /* kept alive by the guard itself */
    guards->dicts[guards->dict_count].version = 0;  /* no dict has it: looked up the first time */
    return guards->dict_count++;
}

static int is_kind(PyObject *item, const char *name, int size) {
    return PyTuple_Check(item) && PyTuple_GET_SIZE(item) == size && PyUnicode_Check(PyTuple_GET_ITEM(item, 0)) &&
           PyUnicode_CompareWithASCIIString(PyTuple_GET_ITEM(item, 0), name) == 0;
}

static int parse_kind(PyObject *item, Guard *guard) {
    PyObject *holder = PyTuple_Check(item) && PyTuple_GET_SIZE(item) > 1 ? PyTuple_GET_ITEM(item, 1) : Py_None;
    if (is_kind(item, "dict", 4) && PyDict_Check(holder)) guard->kind = G_DICT;
    else if (is_kind(item, "cell", 3) && PyCell_Check(holder)) guard->kind = G_CELL;
    else if (is_kind(item, "default", 4) && PyUnicode_Check(PyTuple_GET_ITEM(item, 2))) guard->kind = G_DEFAULT;
    else if (is_kind(item, "code", 3) && PyFunction_Check(holder)) guard->kind = G_CODE;
    else return -1;
    return 0;
}

static int parse(Guards *guards, PyObject *item) {
    Guard *guard = &guards->items[guards->count];
    if (parse_kind(item, guard)) {
        PyErr_Format(PyExc_ValueError, "%R is not a guard: expected (\"dict\", dict, key, expected), (\"cell\", cell, expected), "
                     "(\"default\", function, attribute, expected) or (\"code\", function, code)", item);
        return -1;
    }
    int keyed = guard->kind == G_DICT || guard->kind == G_DEFAULT;
    guard->holder = Py_NewRef(PyTuple_GET_ITEM(item, 1));
    guard->key = keyed ? Py_NewRef(PyTuple_GET_ITEM(item, 2)) : NULL;
    guard->expected = Py_NewRef(PyTuple_GET_ITEM(item, keyed ? 3 : 2));
    guards->count++;
    if (guard->kind == G_DICT) guard->dict = dict_index(guards, guard->holder);
    else guards->others = 1;
    return 0;
}

Guards *guards_from_list(PyObject *list) {
    PyObject *items = PySequence_Fast(list, "guards must be a list of tuples");
    if (items == NULL) return NULL;
    Py_ssize_t count = PySequence_Fast_GET_SIZE(items);
    Guards *guards = PyMem_Calloc(1, sizeof *guards);
    if (guards != NULL) {
        guards->references = 1;
        guards->items = PyMem_Calloc(count + 1, sizeof(Guard));
        guards->dicts = PyMem_Calloc(count + 1, sizeof(GuardedDict));
    }
    int failed = guards == NULL || guards->items == NULL || guards->dicts == NULL;
    if (failed) PyErr_NoMemory();
    for (Py_ssize_t k = 0; !failed && k < count; k++) failed = parse(guards, PySequence_Fast_GET_ITEM(items, k));
    Py_DECREF(items);
    if (!failed) return guards;
    guards_release(guards);
    return NULL;
}

/* The defaults of a function without a look-up; a new reference, NULL with or without an exception. */
static PyObject *attribute(PyObject *holder, PyObject *name) {
    if (PyFunction_Check(holder)) {
        PyObject *fast = NULL;
        if (PyUnicode_CompareWithASCIIString(name, "__defaults__") == 0) fast = PyFunction_GET_DEFAULTS(holder);
        else if (PyUnicode_CompareWithASCIIString(name, "__kwdefaults__") == 0) fast = PyFunction_GET_KW_DEFAULTS(holder);
        else return PyObject_GetAttr(holder, name);
        return Py_NewRef(fast != NULL ? fast : Py_None);
    }
    return PyObject_GetAttr(holder, name);
}

static int expects(const Guard *guard, PyObject *found) { return guard->expected == (found != NULL ? found : MISSING); }

static int attribute_holds(const Guard *guard) {
    PyObject *found = attribute(guard->holder, guard->key);
    if (found == NULL) {
        if (!PyErr_ExceptionMatches(PyExc_AttributeError)) return -1;
        PyErr_Clear();
    }
    int holds = expects(guard, found);
    Py_XDECREF(found);
    return holds;
}

static int dict_holds(const Guard *guard) {
    PyObject *found = PyDict_GetItemWithError(guard->holder, guard->key);
    return found == NULL && PyErr_Occurred() ? -1 : expects(guard, found);
}

static int holds(const Guards *guards, const Guard *guard) {
    switch (guard->kind) {
    case G_CELL: return expects(guard, PyCell_GET(guard->holder));
    case G_CODE: return expects(guard, PyFunction_GET_CODE(guard->holder));
    case G_DEFAULT: return attribute_holds(guard);
    default: break;
    }
#if PY_VERSION_HEX < 0x030C0000
    const GuardedDict *dict = &guards->dicts[guard->dict];
    if (((PyDictObject *)dict->dict)->ma_version_tag == dict->version) return 1;
#else
    (void)guards;
#endif
    return dict_holds(guard);
}

/* Looking up can run Python code (keys with their own __eq__), so the guards are held meanwhile. */
int guards_hold_slowly(Guards *guards) {
    int answer = 1;
    guards->references++;
    for (int k = 0; answer == 1 && k < guards->count; k++) answer = holds(guards, &guards->items[k]);
#if PY_VERSION_HEX < 0x030C0000
    for (int k = 0; answer == 1 && k < guards->dict_count; k++)
        guards->dicts[k].version = ((PyDictObject *)guards->dicts[k].dict)->ma_version_tag;
#endif
    guards_release(guards);
    return answer;
}
