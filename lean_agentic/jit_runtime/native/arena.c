/* Memory for the small lists of one call: taken in order from chunks, kept by size when a list is collected, and given
 * back chunk by chunk when the call ends. A loop that makes a short list in every turn pays a few instructions for it.
 */
#include "boundary.h"

enum { GRAIN = 32, CLASSES = SMALL_LIST / GRAIN, CHUNK = 1 << 16 };

typedef struct Spare Spare;
struct Spare { Spare *next; };

typedef struct Chunk Chunk;
struct Chunk { Chunk *older; };

struct Arena {
    char *at, *end;
    Chunk *chunks;
    Spare *spare[CLASSES];
};

static int class_of(size_t bytes) { return (int)((bytes - 1) / GRAIN); }

/* Another chunk; the first one also holds the arena itself. */
static int grow(Context *ctx) {
    Chunk *chunk = block_get(CHUNK);
    if (chunk == NULL) return 1;
    char *at = (char *)(chunk + 1);
    if (ctx->arena == NULL) {
        ctx->arena = (Arena *)at;
        memset(ctx->arena, 0, sizeof(Arena));
        at += sizeof(Arena);
    }
    chunk->older = ctx->arena->chunks;
    ctx->arena->chunks = chunk;
    ctx->arena->at = (char *)(((uintptr_t)at + GRAIN - 1) & ~(uintptr_t)(GRAIN - 1));
    ctx->arena->end = (char *)chunk + CHUNK;
    return 0;
}

/* `bytes`: 1 to SMALL_LIST. NULL without memory. */
void *arena_get(Context *ctx, size_t bytes) {
    int class = class_of(bytes);
    size_t size = ((size_t)class + 1) * GRAIN;
    if (LIKELY(ctx->arena != NULL)) {
        Spare *found = ctx->arena->spare[class];
        if (found != NULL) {
            ctx->arena->spare[class] = found->next;
            return found;
        }
    }
    if (UNLIKELY(ctx->arena == NULL || (size_t)(ctx->arena->end - ctx->arena->at) < size) && grow(ctx)) return NULL;
    char *made = ctx->arena->at;
    ctx->arena->at += size;
    return made;
}

void arena_put(Context *ctx, void *block, size_t bytes) {
    Spare *spare = block, **place = &ctx->arena->spare[class_of(bytes)];
    spare->next = *place;
    *place = spare;
}

void arena_clear(Context *ctx) {
    Chunk *chunk = ctx->arena != NULL ? ctx->arena->chunks : NULL;
    ctx->arena = NULL;
    while (chunk != NULL) {
        Chunk *older = chunk->older;
        block_put(chunk, CHUNK);
        chunk = older;
    }
}
