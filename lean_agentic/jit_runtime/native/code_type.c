/* `_native.Code`: the object. Its calls are in `code.c`. */
#include "boundary.h"

#include <structmember.h>

#define LARGEST_FRAME 4096 /* slots of arguments and result, which lie on the C stack */

static Guards no_guards = {.references = 1};

static Layout **layouts_of(CodeObject *self, PyObject *descriptors, int *count, int *slots) {
    PyObject *items = PySequence_Fast(descriptors, "layout descriptors must be given as a list");
    if (items == NULL) return NULL;
    *count = (int)PySequence_Fast_GET_SIZE(items);
    *slots = 0;
    Layout **layouts = PyMem_Calloc((size_t)*count + 1, sizeof *layouts);
    if (layouts == NULL) PyErr_NoMemory();
    for (int k = 0; layouts != NULL && k < *count; k++) {
        layouts[k] = layout_from_descriptor(&self->pool, PySequence_Fast_GET_ITEM(items, k));
        if (layouts[k] != NULL) {
            *slots += layouts[k]->slots;
            continue;
        }
        PyMem_Free(layouts);
        layouts = NULL;
    }
    Py_DECREF(items);
    return layouts;
}

static int parse_exit(CodeObject *self, PyObject *item, ExitPoint *point) {
    PyObject *state, *result;
    int outermost = 0, behind = 0, slots;
    if (!PyTuple_Check(item)) {
        PyErr_Format(PyExc_TypeError, "%R is not an exit: expected (mode, [descriptor, ...], result descriptor)", item);
        return -1;
    }
    if (!PyArg_ParseTuple(item, "iOO|pp;an exit must be (mode, [descriptor, ...], result descriptor)", &point->mode, &state,
                          &result, &outermost, &behind))
        return -1;
    if (point->mode < MODE_LEAVE || point->mode > MODE_POLL)
        return PyErr_Format(PyExc_ValueError, "the mode of an exit is one of `lir.Mode`, not %d", point->mode), -1;
    point->state = layouts_of(self, state, &point->count, &slots);
    if (point->state == NULL || (point->result = layout_from_descriptor(&self->pool, result)) == NULL) return -1;
    for (int k = 0; k < point->count; k++) point->has_list |= point->state[k]->has_list;
    point->outermost = (char)outermost;
    point->behind = (char)behind;
    self->polls |= point->mode == MODE_POLL;
    return 0;
}

static int parse_exits(CodeObject *self, PyObject *exits) {
    PyObject *items = PySequence_Fast(exits, "exits must be a list");
    if (items == NULL) return -1;
    Py_ssize_t count = PySequence_Fast_GET_SIZE(items);
    int failed = 0;
    self->exits = PyMem_Calloc((size_t)count + 1, sizeof(ExitPoint));
    if (self->exits == NULL) PyErr_NoMemory(), failed = -1;
    for (Py_ssize_t k = 0; k < count && !failed; k++) {
        self->exit_count = (int)k + 1;
        failed = parse_exit(self, PySequence_Fast_GET_ITEM(items, k), &self->exits[k]);
    }
    Py_DECREF(items);
    return failed;
}

static int check_layouts(CodeObject *self) {
    for (int k = 0; k < self->list_count; k++)
        if (self->lists[k]->kind != K_LIST)
            return PyErr_Format(PyExc_ValueError, "entry %d of lists is not the descriptor of a list", k), -1;
    for (int k = 0; k < self->parameter_count; k++) self->has_lists |= self->parameters[k]->has_list;
    self->has_lists |= self->result->has_list;
    if (self->in_slots + self->out_slots <= LARGEST_FRAME) return 0;
    PyErr_Format(PyExc_ValueError, "arguments and result take %d machine values, more than %d: pass a list or an array",
                 self->in_slots + self->out_slots, LARGEST_FRAME);
    return -1;
}

static int fill(CodeObject *self, PyObject *parameters, PyObject *result, PyObject *exits, PyObject *guards, PyObject *lists) {
    int unused;
    if ((self->parameters = layouts_of(self, parameters, &self->parameter_count, &self->in_slots)) == NULL ||
        (self->lists = layouts_of(self, lists, &self->list_count, &unused)) == NULL ||
        (self->result = layout_from_descriptor(&self->pool, result)) == NULL || parse_exits(self, exits) ||
        (self->guards = guards_from_list(guards)) == NULL)
        return -1;
    self->out_slots = self->result->slots;
    return check_layouts(self);
}

static PyObject *code_new(PyTypeObject *type, PyObject *args, PyObject *keywords) {
    static char *names[] = {"address", "parameters", "result", "exits", "handler", "guards", "name", "owner", "lists", NULL};
    PyObject *parameters, *result, *exits, *handler, *guards, *name, *owner, *address, *lists = NULL;
    if (!PyArg_ParseTupleAndKeywords(args, keywords, "O!OOOOOUO|O:Code", names, &PyLong_Type, &address, &parameters, &result,
                                     &exits, &handler, &guards, &name, &owner, &lists))
        return NULL;
    CodeObject *self = (CodeObject *)type->tp_alloc(type, 0);
    if (self == NULL) return NULL;
    self->vectorcall = code_vectorcall;
    self->handler = Py_NewRef(handler);
    self->owner = Py_NewRef(owner);
    self->name = Py_NewRef(name);
    self->entry = (Entry)PyLong_AsVoidPtr(address);
    PyObject *none = PyTuple_New(0);
    if (none == NULL || PyErr_Occurred() || fill(self, parameters, result, exits, guards, lists != NULL ? lists : none))
        Py_CLEAR(self);
    else if (self->entry == NULL) {
        PyErr_SetString(PyExc_ValueError, "the address of compiled code is not 0");
        Py_CLEAR(self);
    }
    Py_XDECREF(none);
    return (PyObject *)self;
}

static int code_traverse(PyObject *object, visitproc visit, void *arg) {
    CodeObject *self = (CodeObject *)object;
    Py_VISIT(self->handler);
    Py_VISIT(self->owner);
    Py_VISIT(self->next);
    return guards_visit(self->guards, visit, arg);
}

/* Code that still runs is referred to from the stack, so it is never cleared; a call after clearing finds None. */
static int code_clear(PyObject *object) {
    CodeObject *self = (CodeObject *)object;
    Guards *guards = self->guards;
    self->guards = &no_guards;
    Py_XSETREF(self->handler, Py_NewRef(Py_None));
    Py_CLEAR(self->next);
    if (guards != &no_guards) guards_release(guards);
    return 0;
}

static void code_dealloc(PyObject *object) {
    CodeObject *self = (CodeObject *)object;
    PyObject_GC_UnTrack(object);
    if (self->guards != &no_guards) guards_release(self->guards);
    for (int k = 0; k < self->exit_count; k++) PyMem_Free(self->exits[k].state);
    PyMem_Free(self->exits);
    PyMem_Free(self->parameters);
    PyMem_Free(self->lists);
    layout_pool_free(&self->pool);
    Py_XDECREF(self->handler);
    Py_XDECREF(self->owner);
    Py_XDECREF(self->name);
    Py_XDECREF(self->next);
    Py_TYPE(self)->tp_free(object);
}

static PyObject *code_repr(PyObject *self) {
    return PyUnicode_FromFormat("<compiled code of %U>", ((CodeObject *)self)->name);
}

static PyObject *code_request_upgrade(PyObject *self, PyObject *unused) {
    (void)unused;
    ((CodeObject *)self)->upgrade = 1;
    Py_RETURN_NONE;
}

static PyObject *code_set_guards(PyObject *object, PyObject *list) {
    CodeObject *self = (CodeObject *)object;
    Guards *made = guards_from_list(list), *before = self->guards;
    if (made == NULL) return NULL;
    self->guards = made;
    if (before != &no_guards) guards_release(before);
    Py_RETURN_NONE;
}

/* A ring would be followed for ever, so codes that follow this one are walked. */
static PyObject *code_set_next(PyObject *object, PyObject *next) {
    if (next != Py_None && !Py_IS_TYPE(next, &CodeType))
        return PyErr_Format(PyExc_TypeError, "next is a Code or None, not %s", Py_TYPE(next)->tp_name);
    for (PyObject *each = next; each != Py_None && each != NULL; each = ((CodeObject *)each)->next)
        if (each == object) return PyErr_Format(PyExc_ValueError, "codes cannot follow each other in a ring");
    Py_XSETREF(((CodeObject *)object)->next, next == Py_None ? NULL : Py_NewRef(next));
    Py_RETURN_NONE;
}

static PyObject *code_recent(PyObject *object, PyObject *unused) {
    (void)unused;
    CodeObject *self = (CodeObject *)object;
    int count = self->recent_count < RECENT ? (int)self->recent_count : RECENT;
    PyObject *list = PyList_New(count);
    for (int k = 0; list != NULL && k < count; k++) {
        PyObject *pair = Py_BuildValue("LL", self->recent[k][0], self->recent[k][1]);
        if (pair == NULL) Py_CLEAR(list);
        else PyList_SET_ITEM(list, k, pair);
    }
    return list;
}

static PyMethodDef code_methods[] = {
    {"request_upgrade", code_request_upgrade, METH_NOARGS, "Have the handler called at the next poll of running calls."},
    {"set_next", code_set_next, METH_O, "Set the code that is tried when the argument types are not these."},
    {"recent", code_recent, METH_NOARGS, "Conversion and native nanoseconds of the latest calls with lists."},
    {"set_guards", code_set_guards, METH_O, "Replace the guards."},
    {NULL, NULL, 0, NULL},
};

static PyMemberDef code_members[] = {
    {"release_gil", T_BOOL, offsetof(CodeObject, release_gil), 0, "Whether calls let the GIL go at once."},
    {"calls", T_LONGLONG, offsetof(CodeObject, calls), READONLY, "Calls that reached the machine code."},
    {"exits_taken", T_LONGLONG, offsetof(CodeObject, exits_taken), READONLY, "How often Python was asked something."},
    {"conversion_ns", T_LONGLONG, offsetof(CodeObject, conversion_ns), READONLY, "Time spent on lists coming in and out."},
    {"native_ns", T_LONGLONG, offsetof(CodeObject, native_ns), READONLY, "Time in machine code, where it was measured."},
    {"name", T_OBJECT_EX, offsetof(CodeObject, name), READONLY, "Name of the function."},
    {"handler", T_OBJECT_EX, offsetof(CodeObject, handler), READONLY, "Who answers exits."},
    {"owner", T_OBJECT_EX, offsetof(CodeObject, owner), READONLY, "Whatever keeps the machine code in memory."},
    {NULL, 0, 0, 0, NULL},
};

PyTypeObject CodeType = {
    PyVarObject_HEAD_INIT(NULL, 0)
    .tp_name = "lean_agentic.jit_runtime._native.Code",
    .tp_doc = "Compiled code as a callable.",
    .tp_basicsize = sizeof(CodeObject),
    .tp_dealloc = code_dealloc,
    .tp_vectorcall_offset = offsetof(CodeObject, vectorcall),
    .tp_call = PyVectorcall_Call,
    .tp_repr = code_repr,
    .tp_flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_HAVE_VECTORCALL,
    .tp_traverse = code_traverse,
    .tp_clear = code_clear,
    .tp_methods = code_methods,
    .tp_members = code_members,
    .tp_new = code_new,
};
