/* Faults on demand, for tests: makes the n-th call of an os verb fail.
 *
 * Linked only into test programs, with -Wl,--wrap for every verb that can fail (the Makefile takes
 * the list from os_fault.o), so that the library itself has no seam and no cost. */
#ifndef TN_OS_FAULT_H
#define TN_OS_FAULT_H

/* Verbs that can fail, by index; tn_fault_verb_names has their names without "tn_os_". */
extern const char *const tn_fault_verb_names[];
extern const int tn_fault_verb_count;

/* From now on the `nth` call (1 is the next) of `verb` (-1: of any verb) returns -error, once. With
 * `nth` 0 every call fails until tn_fault_disarm. Counts start anew. */
void tn_fault_arm(int verb, long nth, int error);

/* No more faults. Counts go on. */
void tn_fault_disarm(void);

/* Calls of `verb` (-1: of all verbs) since tn_fault_arm or the start. */
long tn_fault_calls(int verb);

#endif
