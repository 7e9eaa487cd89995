/* The module `lean_agentic.jit_runtime._native`: how compiled code and Python meet. See `_native.pyi` for what is in it. */
#define LEAN_IMPORTS_NUMPY
#include "boundary.h"

PyObject *UNBOUND, *MISSING, *GO_ON, *name_on_exit, *name_stale, *name_mismatch, *name_costly, *name_passed;

/* ---- Values that stand for themselves ---- */

typedef struct {
    PyObject_HEAD
    const char *name;
} Sentinel;

static PyObject *sentinel_repr(PyObject *self) { return PyUnicode_FromString(((Sentinel *)self)->name); }
static PyObject *sentinel_reduce(PyObject *self, PyObject *unused) {
    (void)unused;
    return PyUnicode_FromString(((Sentinel *)self)->name); /* pickled as the module's attribute */
}

static PyMethodDef sentinel_methods[] = {
    {"__reduce__", sentinel_reduce, METH_NOARGS, NULL},
    {NULL, NULL, 0, NULL},
};

static PyTypeObject SentinelType = {
    PyVarObject_HEAD_INIT(NULL, 0)
    .tp_name = "lean_agentic.jit_runtime._native.Sentinel",
    .tp_doc = "UNBOUND: a local without a value. MISSING: a name that is not there. GO_ON: the answer to a poll.",
    .tp_basicsize = sizeof(Sentinel),
    .tp_repr = sentinel_repr,
    .tp_flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_DISALLOW_INSTANTIATION,
    .tp_methods = sentinel_methods,
};

static PyObject *add_sentinel(PyObject *module, const char *name) {
    Sentinel *made = PyObject_New(Sentinel, &SentinelType);
    if (made == NULL) return NULL;
    made->name = name;
    return PyModule_AddObjectRef(module, name, (PyObject *)made) ? NULL : (PyObject *)made;
}

/* ---- The module ---- */

static PyObject *runtime_addresses(PyObject *module, PyObject *unused) {
    (void)module, (void)unused;
    PyObject *addresses = PyDict_New();
    for (int k = 0; addresses != NULL && k < runtime_count; k++) {
        PyObject *address = PyLong_FromVoidPtr(runtime_table[k]);
        if (address == NULL || PyDict_SetItemString(addresses, runtime_names[k], address)) Py_CLEAR(addresses);
        Py_XDECREF(address);
    }
    return addresses;
}

static int add_runtime_names(PyObject *module) {
    PyObject *names = PyTuple_New(runtime_count);
    for (int k = 0; names != NULL && k < runtime_count; k++) {
        PyObject *name = PyUnicode_FromString(runtime_names[k]);
        if (name == NULL) Py_CLEAR(names);
        else PyTuple_SET_ITEM(names, k, name);
    }
    int failed = names == NULL || PyModule_AddObjectRef(module, "RUNTIME_NAMES", names);
    Py_XDECREF(names);
    return failed;
}

static PyMethodDef methods[] = {
    {"map_code", memory_map_code, METH_O, "Machine code in executable memory: a CodeMemory."},
    {"runtime_addresses", runtime_addresses, METH_NOARGS, "Addresses of the runtime functions, by name."},
    {NULL, NULL, 0, NULL},
};

static int fill(PyObject *module) {
    return PyType_Ready(&SentinelType) || (UNBOUND = add_sentinel(module, "UNBOUND")) == NULL ||
           (MISSING = add_sentinel(module, "MISSING")) == NULL || (GO_ON = add_sentinel(module, "GO_ON")) == NULL ||
           (name_on_exit = PyUnicode_InternFromString("on_exit")) == NULL ||
           (name_stale = PyUnicode_InternFromString("stale")) == NULL ||
           (name_mismatch = PyUnicode_InternFromString("mismatch")) == NULL ||
           (name_costly = PyUnicode_InternFromString("costly")) == NULL ||
           (name_passed = PyUnicode_InternFromString("passed")) == NULL || PyModule_AddType(module, &CodeType) ||
           PyModule_AddType(module, &CodeMemoryType) || add_runtime_names(module) ||
           PyModule_AddIntConstant(module, "FAST_SQUARES", fast_squares()) || numeric_prepare() || blocks_prepare() || ticker_prepare();
}

static struct PyModuleDef definition = {
    PyModuleDef_HEAD_INIT,
    .m_name = "_native",
    .m_doc = "The boundary between compiled code and Python.",
    .m_size = -1,
    .m_methods = methods,
};

PyMODINIT_FUNC PyInit__native(void) {
    import_array();
    PyObject *module = PyModule_Create(&definition);
    if (module != NULL && fill(module)) Py_CLEAR(module);
    return module;
}
