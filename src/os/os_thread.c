/* Threads of the library's own, by the C library; see os.h.
 *
 * A thread that the kernel alone knew would have no thread-local storage, and gdb, sanitizers and
 * setuid would not know of it. So it is an ordinary thread, which is started with all signals
 * blocked: it inherits the mask, hence none can arrive before it could block them itself. */
#define _GNU_SOURCE
#include "base/base.h"
#include "os/os.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>

/* Bodies are shallow. The C library takes the thread-local storage of the whole program out of the
 * stack; where that is more than this, the thread gets a stack of the default size. */
#define STACK_BYTES (256 * TN_KIB)

static int create(pthread_t *handle, tn_os_thread_body *body, size_t stack_bytes)
{
    pthread_attr_t attributes;
    int error = pthread_attr_init(&attributes);
    if (error != 0)
        return error;
    if (stack_bytes != 0)
        (void)pthread_attr_setstacksize(&attributes, stack_bytes);
    error = pthread_create(handle, &attributes, body, NULL);
    (void)pthread_attr_destroy(&attributes);
    return error;
}

int tn_os_thread_start(struct tn_os_thread *thread, tn_os_thread_body *body, const char *name)
{
    const int saved_errno = errno;
    sigset_t all, before;
    pthread_t handle;
    sigfillset(&all);
    (void)pthread_sigmask(SIG_BLOCK, &all, &before);
    int error = create(&handle, body, STACK_BYTES);
    if (error != 0)
        error = create(&handle, body, 0);
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (error == 0) {
        (void)pthread_setname_np(handle, name);
        thread->handle = (void *)handle;
    }
    errno = saved_errno;
    return error == 0 ? 0 : -EAGAIN;
}

void tn_os_thread_join(struct tn_os_thread *thread)
{
    int before;
    (void)pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &before); /* joining would be a point */
    (void)pthread_join((pthread_t)thread->handle, NULL);
    (void)pthread_setcancelstate(before, NULL);
    thread->handle = NULL;
}

int tn_os_at_fork(void (*prepare)(void), void (*parent)(void), void (*child)(void))
{
    return pthread_atfork(prepare, parent, child) == 0 ? 0 : -ENOMEM;
}
