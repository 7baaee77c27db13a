/* Memory nodes: parts of RAM that are nearer to some processors than to others; see os.h.
 *
 * The kernel is asked for the nodes that this process may use, which a cpuset may have cut to one;
 * where a sandbox forbids the question, the file system knows which nodes there are. The calls have
 * no wrappers in the C library. */
#define _GNU_SOURCE
#include "base/base.h"
#include "os/os.h"

#include <errno.h>
#include <linux/mempolicy.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

/* The kernel refuses masks that are shorter than its own largest one: 1024 nodes. */
#define MASK_BITS  1024
#define WORD_BITS  (8 * sizeof(unsigned long))
#define MASK_WORDS (MASK_BITS / WORD_BITS)

static unsigned nodes_allowed(void)
{
    unsigned long mask[MASK_WORDS] = {0};
    if (syscall(SYS_get_mempolicy, NULL, mask, (unsigned long)MASK_BITS, NULL,
                MPOL_F_MEMS_ALLOWED) != 0)
        return 0;
    for (unsigned word = MASK_WORDS; word-- > 0;) {
        if (mask[word] != 0)
            return (unsigned)(word * WORD_BITS) + tn_highest_bit(mask[word]) + 1;
    }
    return 0;
}

/* The last number of a list such as "0-1,3", plus one. */
static unsigned nodes_listed(void)
{
    char text[256];
    size_t got = 0;
    int fd;
    if (tn_os_file_open("/sys/devices/system/node/has_memory", false, &fd) != 0)
        return 0;
    const int error = tn_os_file_read(fd, text, sizeof(text) - 1, &got);
    tn_os_file_close(fd);
    if (error != 0 || got == 0)
        return 0;
    while (got > 0 && (text[got - 1] < '0' || text[got - 1] > '9'))
        got--;
    text[got] = '\0';
    while (got > 0 && text[got - 1] >= '0' && text[got - 1] <= '9')
        got--;
    const unsigned long last = strtoul(text + got, NULL, 10);
    return last < MASK_BITS ? (unsigned)last + 1 : 0;
}

unsigned tn_os_nodes(void)
{
    static _Atomic unsigned known; /* relaxed: the answer is always the same */
    unsigned nodes = atomic_load_explicit(&known, memory_order_relaxed);
    if (nodes != 0)
        return nodes;
    const int saved_errno = errno;
    nodes = nodes_allowed();
    if (nodes == 0)
        nodes = nodes_listed();
    if (nodes == 0)
        nodes = 1;
    atomic_store_explicit(&known, nodes, memory_order_relaxed);
    errno = saved_errno;
    return nodes;
}

unsigned tn_os_node_now(void)
{
    unsigned processor, node;
    return getcpu(&processor, &node) == 0 ? node : 0;
}

int tn_os_place(void *addr, size_t size, unsigned node)
{
    unsigned long mask[MASK_WORDS] = {0};
    const int saved_errno = errno;
    if (node >= MASK_BITS)
        return -ENOTSUP;
    mask[node / WORD_BITS] |= 1ul << node % WORD_BITS;
    if (syscall(SYS_mbind, addr, size, MPOL_PREFERRED, mask, (unsigned long)MASK_BITS, 0u) == 0)
        return 0;
    const int error = errno;
    errno = saved_errno;
    return error == ENOMEM ? -ENOMEM : -ENOTSUP;
}
