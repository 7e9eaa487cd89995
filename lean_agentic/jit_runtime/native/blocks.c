/* Large blocks of memory for lists, kept for the next call: giving them back to the system and getting them again costs
 * more page faults than unboxing the elements takes. A few blocks of each power of two are kept
 * (more of those that small lists share), 64 MB in all.
 */
#include "boundary.h"

#include <pthread.h>

enum { SMALLEST = 15, LARGEST = 25, CLASSES = LARGEST - SMALLEST + 1, EACH = 4, EACH_CHUNK = 64, CHUNKS = 1 /* class of arena.c's */ };
#define MOST_KEPT ((size_t)64 << 20)

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* lists are also made and freed without the GIL */
static void *kept[CLASSES][EACH_CHUNK];
static int count[CLASSES];
static size_t kept_bytes;

/* Index of the smallest power of two that holds so many bytes, or -1 for blocks that are not kept. */
static int class_of(size_t bytes) {
    if (bytes <= (size_t)1 << (SMALLEST - 1) || bytes > (size_t)1 << LARGEST) return -1;
    int power = 64 - __builtin_clzll(bytes - 1);
    return power < SMALLEST ? 0 : power - SMALLEST;
}

void *block_get(size_t bytes) {
    int class = class_of(bytes);
    if (class < 0) return malloc(bytes);
    void *found = NULL;
    pthread_mutex_lock(&lock);
    if (count[class] > 0) {
        found = kept[class][--count[class]];
        kept_bytes -= (size_t)1 << (class + SMALLEST);
    }
    pthread_mutex_unlock(&lock);
    return found != NULL ? found : malloc((size_t)1 << (class + SMALLEST));
}

/* `bytes` is what was asked for. */
void block_put(void *block, size_t bytes) {
    int class = class_of(bytes);
    if (class >= 0) {
        size_t size = (size_t)1 << (class + SMALLEST);
        pthread_mutex_lock(&lock);
        if (count[class] < (class == CHUNKS ? EACH_CHUNK : EACH) && kept_bytes + size <= MOST_KEPT) {
            kept[class][count[class]++] = block;
            kept_bytes += size;
            block = NULL;
        }
        pthread_mutex_unlock(&lock);
    }
    free(block);
}

static void before_fork(void) { pthread_mutex_lock(&lock); }
static void after_fork(void) { pthread_mutex_unlock(&lock); }

int blocks_prepare(void) { return pthread_atfork(before_fork, after_fork, after_fork); }
