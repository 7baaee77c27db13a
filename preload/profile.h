/* Sampling heap profiler: which call stacks hold memory, which ever asked for it.
 *
 * Off unless TERRANE_PROFILE names a file (`terrane run --profile FILE`). Every allocated byte has
 * the same chance of being sampled: the malloc counts down bytes, thread by thread, over intervals
 * drawn from an exponential distribution (tn_profile_interval), and the object that passes zero is
 * a sample. What is written is the text heap profile, version 2, that pprof and google-pprof read
 * as it is and scale up by themselves:
 *
 *   heap profile: LIVE: BYTES [EVER: BYTES] @ heap_v2/INTERVAL
 *   COUNT: BYTES [COUNT: BYTES] @ 0xADDRESS 0xADDRESS ...      (a line a stack and size class)
 *   MAPPED_LIBRARIES: and a copy of /proc/self/maps
 *
 * Look at it with `pprof PROGRAM FILE` (live memory at the time of writing) or with
 * `pprof -sample_index=alloc_space PROGRAM FILE` (everything since the start).
 *
 * The profiler's memory is its own, straight from the kernel and bounded. A profile is written when
 * the process ends by exit or by returning from main; a process that dies by a signal writes none.
 */
#ifndef TN_PROFILE_H
#define TN_PROFILE_H

#include <stdbool.h>
#include <stddef.h>

/* The mean distance of samples, unless told otherwise. */
#define TN_PROFILE_INTERVAL_BYTES ((size_t)512 * 1024)

/* Starts profiling to `file`, a path that is copied. Where TERRANE_PROFILE_MAIN names this process,
 * and in no other, the profile gets that very name; otherwise ".PID" is added. Call it once, before
 * main and with no lock held: it loads the unwinder, which allocates. */
void tn_profile_init(const char *file, size_t interval_bytes);

/* Whether tn_profile_init was called and found memory. */
bool tn_profile_active(void);

/* Bytes to the next sample of the calling thread. */
size_t tn_profile_interval(void);

/* Records `object`, just allocated with `size` bytes, as a sample. No lock held. Any thread. */
void tn_profile_alloc(void *object, size_t size);

/* `object` is about to be freed. Harmless, and cheap, for objects that are not samples. */
void tn_profile_free(void *object);

/* Writes the profile now. Also for a debugger: `call (void)tn_profile_dump()`. */
void tn_profile_dump(void);

/* Around fork: holds the table still, lets it go. In the order of lock ranks with all other locks.
 */
void tn_profile_fork_prepare(void);
void tn_profile_fork_parent(void);
void tn_profile_fork_child(void);

#endif
