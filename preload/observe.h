/* Turns on what watches the drop-in malloc: the report of `terrane run`, the heap profiler, the
 * page for `terrane stat`.
 *
 *   TERRANE_REPORT_DIR=DIR         count into a page in DIR (stats/report.h), publish there too
 *   TERRANE_PROFILE=FILE           sample allocations into FILE (profile.h)
 *   TERRANE_PROFILE_INTERVAL=N     mean bytes between samples, default 512 KiB
 *
 *   TERRANE_OPTIONS=publish=...    publish (stats/publish.h); read by options.c
 *
 * All are off without these, and the malloc then never comes near this code. */
#ifndef TN_OBSERVE_H
#define TN_OBSERVE_H

/* Reads the environment and starts what it asks for; tn_report_active and tn_profile_active tell
 * the outcome. What cannot be had is a warning at most, and the program runs on without it. Once,
 * from a constructor: options are read, the malloc works, the C library is ready, there is one
 * thread. */
void tn_observe_start(int argc, char *const argv[]);

/* Around fork, as all locks in the order of their ranks; these are the last ranks. */
void tn_observe_fork_prepare(void);
void tn_observe_fork_parent(void);
void tn_observe_fork_child(void);

#endif
