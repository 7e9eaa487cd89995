/* Memory for machine code: written once, then executable, never both at once. */
#include "boundary.h"

#include <sys/mman.h>
#include <unistd.h>

typedef struct {
    PyObject_HEAD
    void *address;
    size_t size;
} CodeMemory;

static void memory_dealloc(PyObject *self) {
    CodeMemory *memory = (CodeMemory *)self;
    if (memory->address != NULL) munmap(memory->address, memory->size);
    Py_TYPE(self)->tp_free(self);
}

static PyObject *memory_address(PyObject *self, void *unused) {
    (void)unused;
    return PyLong_FromVoidPtr(((CodeMemory *)self)->address);
}

static Py_ssize_t memory_length(PyObject *self) { return (Py_ssize_t)((CodeMemory *)self)->size; }

static PyGetSetDef memory_getset[] = {
    {"address", memory_address, NULL, "Where the code lies, as an int.", NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

static PySequenceMethods memory_as_sequence = {.sq_length = memory_length};

PyTypeObject CodeMemoryType = {
    PyVarObject_HEAD_INIT(NULL, 0)
    .tp_name = "lean_agentic.jit_runtime._native.CodeMemory",
    .tp_doc = "Executable memory, unmapped when the object is freed. `len` is its size in bytes.",
    .tp_basicsize = sizeof(CodeMemory),
    .tp_dealloc = memory_dealloc,
    .tp_flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_DISALLOW_INSTANTIATION,
    .tp_getset = memory_getset,
    .tp_as_sequence = &memory_as_sequence,
};

static int map(CodeMemory *memory, const Py_buffer *code) {
    size_t page = (size_t)sysconf(_SC_PAGESIZE), size = ((size_t)code->len + page - 1) / page * page;
    void *address = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (address == MAP_FAILED) return -1;
    memory->address = address;
    memory->size = size;
    memcpy(address, code->buf, (size_t)code->len);
    if (mprotect(address, size, PROT_READ | PROT_EXEC)) return -1;
    __builtin___clear_cache((char *)address, (char *)address + size);
    return 0;
}

PyObject *memory_map_code(PyObject *module, PyObject *bytes) {
    Py_buffer code;
    (void)module;
    if (PyObject_GetBuffer(bytes, &code, PyBUF_SIMPLE)) return NULL;
    CodeMemory *memory = NULL;
    if (code.len == 0) PyErr_SetString(PyExc_ValueError, "there is no code to map: expected at least one byte");
    else if ((memory = PyObject_New(CodeMemory, &CodeMemoryType)) != NULL) {
        memory->address = NULL;
        if (map(memory, &code)) {
            PyErr_SetFromErrno(PyExc_OSError);
            Py_CLEAR(memory);
        }
    }
    PyBuffer_Release(&code);
    return (PyObject *)memory;
}
