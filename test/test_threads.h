/* Starting and joining threads, and calling a group of them at once. */
#ifndef TEST_THREADS_H
#define TEST_THREADS_H

#include "expect.h"

#include <pthread.h>

typedef void *thread_function(void *context);

static inline pthread_t thread_start(thread_function *function, void *context)
{
    pthread_t thread;
    const int error = pthread_create(&thread, NULL, function, context);
    EXPECT_THAT(error == 0, "pthread_create: %d", error);
    return thread;
}

static inline void *thread_join(pthread_t thread)
{
    void *result = NULL;
    EXPECT(pthread_join(thread, &result) == 0);
    return result;
}

/* Runs a function in a new thread and waits for it. */
static inline void *thread_run(thread_function *function, void *context)
{
    return thread_join(thread_start(function, context));
}

#endif
