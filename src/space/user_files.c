/* Files of others in runs of a private space. They are mapped in place of the run's own memory,
 * which comes back when the run is retired and mapped afresh. */
#include "base/base.h"
#include "os/os.h"
#include "space/space.h"

#include <errno.h>

/* The file's part of the run, and the rest behind it. */
#define PART_MAPPINGS 2

int tn_space_map_part(struct terrane_space *space, uint32_t run, char *addr, size_t bytes,
                      const struct tn_os_file_part *part)
{
    tn_assert(space->backing == TERRANE_BACKING_PRIVATE);
    if (!tn_mappings_take(space, PART_MAPPINGS))
        return -ENOMEM;
    const int error = tn_os_user_file_map(addr, bytes, part);
    tn_lock_acquire(&space->lock);
    tn_run_note(space, run, TN_RUN_REMAPPED | TN_RUN_FILE,
                PART_MAPPINGS); /* refused, it was mapped anew too */
    tn_space_forget_huge(space, addr, bytes);
    tn_lock_release(&space->lock);
    return error;
}
