/* Frees lists and arrays that compiled code has lost, so that a long call that makes them in a loop does not grow.
 *
 * Which lists compiled code still has is found conservatively (Boehm and Weiser, 1988): a list is in use when any word
 * of the stack, from here to the call from Python, points at it or its elements, when its Python list exists, or when
 * a list in use holds it. Compiled code that calls a list function has to read `data` of a list again afterwards, since
 * for all it knows the call changed it; so it still has the list's address somewhere. Arrays are treated alike, with more slack, as their data is read directly.
 */
#include "boundary.h"

#define SLACK 64 /* bytes around a list at which an address still means it: loops like to count from a little below */

static int compare(const void *a, const void *b) {
    uintptr_t x = *(const uintptr_t *)a, y = *(const uintptr_t *)b;
    return (x > y) - (x < y);
}

/* Is one of the sorted words within a block, or nearly? */
static int pointed_at(const uintptr_t *words, size_t count, const void *block, size_t bytes, size_t slack) {
    uintptr_t first = (uintptr_t)block - slack, last = (uintptr_t)block + bytes + slack;
    while (count > 0) {
        size_t half = count / 2;
        if (words[half] < first) words += half + 1, count -= half + 1;
        else if (words[half] > last) count = half;
        else return 1;
    }
    return 0;
}

static void reach(NativeList *list);

static void reach_value(const Layout *layout, const Slot *slots) {
    if (!layout->has_list) return;
    switch (layout->kind) {
    case K_LIST:
        if (slots->p != NULL) reach(slots->p);
        break;
    case K_TUPLE:
        for (int k = 0; k < layout->count; slots += layout->children[k++]->slots) reach_value(layout->children[k], slots);
        break;
    case K_UNION:
        for (int k = 0; k < layout->count; k++) {
            const Layout *child = layout->children[k];
            if (layout->tags[k] != slots[0].i || !child->has_list) continue;
            Slot *inner = alloca(((size_t)child->slots + 1) * sizeof(Slot));
            for (int j = 0; j < child->slots; j++) inner[j] = slots[layout->places[k][j]];
            reach_value(child, inner);
        }
        break;
    default: break;
    }
}

/* As deep as the layout. */
static void reach(NativeList *list) {
    if (list->reached) return;
    list->reached = 1;
    if (!list->layout->children[0]->has_list) return;
    for (int64_t k = 0; k < list->length; k++)
        reach_value(list->layout->children[0], (const Slot *)(list->data + k * list->layout->element_size));
}

static void reach_all(Context *ctx, const uintptr_t *words, size_t count) {
    for (NativeList *list = ctx->newest; list != NULL; list = list->older) {
        size_t bytes = (size_t)(list->capacity * list->layout->element_size);
        if (list->origin != NULL || pointed_at(words, count, list, sizeof *list + (list->separate ? 0 : bytes), SLACK) ||
            (list->separate && pointed_at(words, count, list->data, bytes, SLACK)))
            reach(list);
    }
}

static void free_others(Context *ctx) {
    NativeList **link = &ctx->newest;
    while (*link != NULL) {
        NativeList *list = *link;
        if (list->reached) {
            list->reached = 0;
            link = &list->older;
        } else {
            *link = list->older;
            list_free(ctx, list);
        }
    }
}

/* The words of the stack in order. It is read as it is, which a sanitizer would take for a mistake. */
__attribute__((no_sanitize("address"), noinline)) static uintptr_t *stack_words(const Context *ctx, size_t *count) {
    __builtin_unwind_init(); /* the registers that compiled code uses are on the stack from here on */
    const uintptr_t *word = (const uintptr_t *)__builtin_frame_address(0), *end = (const uintptr_t *)ctx->stack_base;
    word -= 8; /* where the registers were put */
    *count = (size_t)(end - word);
    uintptr_t *words = malloc((*count + 1) * sizeof *words);
    if (words == NULL) return NULL;
    for (size_t k = 0; k < *count; k++) words[k] = word[k];
    qsort(words, *count, sizeof *words, compare);
    return words;
}

static int64_t next_limit(int64_t bytes) { return bytes + (bytes > COLLECT_BYTES ? bytes : COLLECT_BYTES); }

/* Needs no GIL: the lists that are freed have no Python object. */
void collect_lists(Context *ctx) {
    size_t count;
    uintptr_t *words = stack_words(ctx, &count);
    if (words != NULL) {
        reach_all(ctx, words, count);
        free_others(ctx);
    }
    free(words);
    ctx->collect_at = next_limit(ctx->list_bytes);
}

/* Loops run along a stride and may hold an address one step outside, so the slack is the largest stride and more. */
static int array_in_use(PyArrayObject *array, const uintptr_t *words, size_t count) {
    size_t slack = 4096, before = 0, behind = (size_t)PyArray_ITEMSIZE(array);
    for (int k = 0; k < PyArray_NDIM(array); k++) {
        npy_intp stride = PyArray_STRIDE(array, k), extent = stride * (PyArray_DIM(array, k) - (PyArray_DIM(array, k) > 0));
        if ((size_t)llabs(stride) * 2 > slack) slack = (size_t)llabs(stride) * 2;
        if (extent < 0) before += (size_t)-extent;
        else behind += (size_t)extent;
    }
    return pointed_at(words, count, array, sizeof(PyArrayObject_fields), 0) ||
           pointed_at(words, count, PyArray_BYTES(array) - before, before + behind, slack);
}

static int lists_hold_arrays(const Context *ctx) {
    for (const NativeList *list = ctx->newest; list != NULL; list = list->older)
        if (list->layout->has_array) return 1;
    return 0;
}

/* Called with the GIL, where Python has answered with another array. */
void collect_arrays(Context *ctx) {
    size_t count;
    uintptr_t *words = lists_hold_arrays(ctx) ? NULL : stack_words(ctx, &count);
    int64_t kept = 0, known = ctx->kept_count;
    for (int64_t k = 0; words != NULL && k < known; k++) {
        PyArrayObject *array = (PyArrayObject *)ctx->kept[k];
        if (array_in_use(array, words, count)) {
            ctx->kept[kept++] = (PyObject *)array;
            continue;
        }
        ctx->kept_bytes -= PyArray_NBYTES(array);
        Py_DECREF(array);
    }
    if (words != NULL) ctx->kept_count = kept;
    free(words);
    ctx->collect_arrays_at = next_limit(ctx->kept_bytes);
}
