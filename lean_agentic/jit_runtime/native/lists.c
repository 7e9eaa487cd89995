/* Native lists: their memory, how they are found by their Python list, and the list functions of compiled code.
 *
 * Lists belong to the context of one call from Python and are freed when it ends (or by `collector.c`).
 */
#include "boundary.h"

NativeList *list_make(Context *ctx, const Layout *layout, int64_t length) {
    size_t bytes;
    if (length < 0 || __builtin_mul_overflow((size_t)length, (size_t)layout->element_size, &bytes) || bytes > PTRDIFF_MAX / 2)
        return NULL;
    bytes += sizeof(NativeList);
    NativeList *list = bytes <= SMALL_LIST ? arena_get(ctx, bytes) : block_get(bytes);
    if (list == NULL) return NULL;
    *list = (NativeList){.length = length, .data = (char *)(list + 1), .capacity = length, .layout = layout,
                         .older = ctx->newest, .synced = length, .epoch = -1,
                         .bytes = bytes};
    ctx->newest = list;
    ctx->list_bytes += (int64_t)bytes;
    return list;
}

void list_free(Context *ctx, NativeList *list) {
    ctx->list_bytes -= list->capacity * list->layout->element_size + (int64_t)sizeof *list;
    if (list->separate) free(list->data);
    Py_XDECREF(list->origin);
    if (list->bytes <= SMALL_LIST) arena_put(ctx, list, list->bytes);
    else block_put(list, list->bytes);
}

static size_t hash_place(const Registry *origins, PyObject *origin) {
    size_t place = ((size_t)origin >> 4) * 0x9E3779B97F4A7C15u >> 20;
    for (;; place++) {
        NativeList *found = origins->hash[place & origins->mask];
        if (found == NULL || found->origin == origin) return place & origins->mask;
    }
}

NativeList *list_of_origin(Context *ctx, PyObject *origin) {
    const Registry *origins = &ctx->origins;
    if (origins->hash != NULL) return origins->hash[hash_place(origins, origin)];
    for (int64_t k = 0; k < origins->count; k++)
        if (origins->items[k]->origin == origin) return origins->items[k];
    return NULL;
}

/* Room for twice as many; the places are filled in order of registration, so the last ones can be taken out again. */
static int registry_grow(Registry *origins) {
    int64_t capacity = origins->capacity ? origins->capacity * 2 : FEW_LISTS;
    if (capacity == FEW_LISTS) {
        origins->items = origins->few;
        origins->capacity = capacity;
        return 0;
    }
    NativeList **items = malloc(capacity * sizeof *items), **hash = calloc(capacity * 2, sizeof *hash);
    if (items == NULL || hash == NULL) {
        free(items);
        free(hash);
        return PyErr_NoMemory(), -1;
    }
    memcpy(items, origins->items, origins->count * sizeof *items);
    if (origins->items != origins->few) free(origins->items);
    free(origins->hash);
    origins->items = items;
    origins->hash = hash;
    origins->capacity = capacity;
    origins->mask = (size_t)capacity * 2 - 1;
    for (int64_t k = 0; k < origins->count; k++) hash[hash_place(origins, items[k]->origin)] = items[k];
    return 0;
}

/* Make a Python list the origin of a native one, found by it from now on. */
int list_register(Context *ctx, NativeList *list, PyObject *origin) {
    Registry *origins = &ctx->origins;
    if (origins->count == origins->capacity && registry_grow(origins)) return -1;
    if (origins->hash != NULL) origins->hash[hash_place(origins, origin)] = list;
    origins->items[origins->count++] = list;
    list->origin = Py_NewRef(origin);
    list->synced = list->length;
    return 0;
}

/* Forget the lists made since: a layout was tried that did not fit. */
void lists_roll_back(Context *ctx, NativeList *newest, int64_t count) {
    Registry *origins = &ctx->origins;
    while (origins->count > count) {
        NativeList *last = origins->items[--origins->count];
        if (origins->hash != NULL) origins->hash[hash_place(origins, last->origin)] = NULL;
    }
    while (ctx->newest != newest) {
        NativeList *list = ctx->newest;
        ctx->newest = list->older;
        list_free(ctx, list);
    }
}

static int push(void ***items, int64_t *count, int64_t *capacity, void *item) {
    if (*count == *capacity) {
        void **grown = realloc(*items, (*capacity * 2 + 8) * sizeof *grown);
        if (grown == NULL) return PyErr_NoMemory(), FAILED;
        *items = grown;
        *capacity = *capacity * 2 + 8;
    }
    (*items)[(*count)++] = item;
    return 0;
}

int context_touch(Context *ctx, NativeList *list) {
    return push((void ***)&ctx->touched, &ctx->touched_count, &ctx->touched_capacity, list);
}

int context_keep(Context *ctx, PyObject *array) {
    if (ctx->kept_count && ctx->kept[ctx->kept_count - 1] == array) return FITS;
    if (ctx->kept_bytes > ctx->collect_arrays_at) collect_arrays(ctx);
    if (push((void ***)&ctx->kept, &ctx->kept_count, &ctx->kept_capacity, array)) return FAILED;
    Py_INCREF(array);
    ctx->kept_bytes += PyArray_NBYTES((PyArrayObject *)array);
    return FITS;
}

void context_clear(Context *ctx) {
    while (ctx->newest != NULL) {
        NativeList *list = ctx->newest;
        ctx->newest = list->older;
        if (list->separate || list->origin != NULL || list->bytes > SMALL_LIST) list_free(ctx, list);
    }
    arena_clear(ctx);
    for (int64_t k = 0; k < ctx->kept_count; k++) Py_DECREF(ctx->kept[k]);
    free(ctx->kept);
    free(ctx->touched);
    if (ctx->origins.items != ctx->origins.few) free(ctx->origins.items);
    free(ctx->origins.hash);
}

/* ---- Called by compiled code, without the GIL in a long call ---- */

static NativeList *made_natively(Context *ctx, const Layout *layout, int64_t length) {
    if (UNLIKELY(ctx->list_bytes > ctx->collect_at)) collect_lists(ctx);
    NativeList *list = list_make(ctx, layout, length);
    return list != NULL ? list : set_memory_error(ctx);
}

NativeList *lean_list_new(Context *ctx, int64_t layout, int64_t length) {
    NativeList *list = made_natively(ctx, ctx->code->lists[layout], length);
    if (list != NULL) memset(list->data, 0, list->length * list->layout->element_size);
    return list;
}

/* Room for some more elements; only of lists that are still being built. 1 when there is no memory. */
static int reserve(Context *ctx, NativeList *list, int64_t more) {
    size_t size = list->layout->element_size;
    int64_t capacity = list->capacity + (list->capacity >> 1) + (more > 8 ? more : 8);
    char *data = realloc(list->separate ? list->data : NULL, capacity * size + 1);
    if (data == NULL) return 1;
    if (!list->separate) memcpy(data, list->data, list->length * size);
    ctx->list_bytes += (capacity - list->capacity) * (int64_t)size;
    list->data = data;
    list->separate = 1;
    list->capacity = capacity;
    return 0;
}

int64_t lean_list_reserve(Context *ctx, NativeList *list) {
    if (list->length < list->capacity || !reserve(ctx, list, 1)) return 0;
    return set_memory_error(ctx), 1;
}

#define MOST_EXPECTED 4096 /* a loop may end early */

/* About so many elements will be appended: saves growing step by step. No memory is no matter yet. */
int64_t lean_list_expect(Context *ctx, NativeList *list, int64_t count) {
    if (count > MOST_EXPECTED) count = MOST_EXPECTED;
    return list->capacity - list->length < count ? reserve(ctx, list, count) : 0;
}

NativeList *lean_list_slice(Context *ctx, NativeList *list, int64_t start, int64_t stop, int64_t step) {
    int64_t count = 0;
    if (step > 0 && start < stop) count = (stop - start - 1) / step + 1;
    if (step < 0 && stop < start) count = (int64_t)(((uint64_t)start - (uint64_t)stop - 1) / -(uint64_t)step) + 1;
    NativeList *made = made_natively(ctx, list->layout, count);
    size_t size = list->layout->element_size;
    if (made == NULL) return NULL;
    if (step == 1) memcpy(made->data, list->data + start * size, count * size);
    else
        for (int64_t k = 0; k < count; k++) memcpy(made->data + k * size, list->data + (start + k * step) * size, size);
    return made;
}

NativeList *lean_list_repeat(Context *ctx, NativeList *list, int64_t times) {
    int64_t length;
    if (times < 0) times = 0;
    if (__builtin_mul_overflow(list->length, times, &length)) return set_memory_error(ctx);
    NativeList *made = made_natively(ctx, list->layout, length);
    size_t bytes = list->length * list->layout->element_size, total = bytes * times, done = bytes;
    if (made == NULL || total == 0) return made;
    memcpy(made->data, list->data, bytes);
    for (; done < total; done *= 2) memcpy(made->data + done, made->data, done < total - done ? done : total - done);
    return made;
}

NativeList *lean_list_concat(Context *ctx, NativeList *left, NativeList *right) {
    NativeList *made = made_natively(ctx, left->layout, left->length + right->length);
    size_t size = left->layout->element_size;
    if (made == NULL) return NULL;
    memcpy(made->data, left->data, left->length * size);
    memcpy(made->data + left->length * size, right->data, right->length * size);
    return made;
}
