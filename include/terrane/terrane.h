/* terrane: memory that moves, grows and survives without being copied.
 *
 * This header includes all public ones. Words used throughout:
 *
 *   page      what the kernel maps: sysconf(_SC_PAGESIZE), 2 MiB or 1 GiB where a space wants it
 *   block     64 KiB, aligned; the unit that a heap takes from a space
 *   minipage  2 KiB, a 32nd of a block
 *   span      1 to 32 neighbouring minipages of one block that serve one size class
 *   run       2^k neighbouring blocks, naturally aligned; the unit that a space hands out
 *   space     one reserved window of addresses, and what backs it
 *   backing   private (anonymous memory) or shared (memfd, huge-page memfd, scratch file)
 *   heap      objects of any size, owned by one thread at a time, living in one space
 *   region    a run as a program holds it
 *   array     a row of units that grows at both ends; its versions share what they have in common
 *   move      change of an object's address or owner by remapping pages; a copy is never a move
 *
 * Errors: a call that returns int returns 0 or a negative errno value, and has changed nothing when
 * it fails. Calls that return a pointer return NULL and set errno. Crimes (freeing what was never
 * allocated, freeing twice) print one line to standard error and abort.
 */
#ifndef TERRANE_H
#define TERRANE_H

#include <terrane/array.h>
#include <terrane/heap.h>
#include <terrane/pool.h>
#include <terrane/space.h>
#include <terrane/stats.h>
#include <terrane/vector.h>
#include <terrane/version.h>

#endif
