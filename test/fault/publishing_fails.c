/* Each verb that publishing needs fails at its n-th call: terrane_stats_publish says so, leaves no
 * file, descriptor or mapping behind, and works once the fault is over. A refresh that gets no
 * memory for a slot says that a space is missing. */
#include "os/os_fault.h"
#include "process.h"
#include "stats/stats.h"

#include <terrane/terrane.h>

static char folder[] = "/tmp/publishing.XXXXXX";

static bool page_file_exists(void)
{
    char path[128];
    snprintf(path, sizeof(path), "%s/" TN_STAT_NAME ".%d", folder, (int)getpid());
    return access(path, F_OK) == 0;
}

struct trial {
    const char *dir;
    int verb;
    long nth;
    int error;
};

/* Returns how often the verb was called. */
static long try_one(const struct trial *trial)
{
    const size_t addresses = status_bytes("VmSize:");
    const size_t descriptors = descriptors_count();
    tn_fault_arm(trial->verb, trial->nth, trial->error);
    const int error = terrane_stats_publish(trial->dir);
    const long calls = tn_fault_calls(trial->verb);
    tn_fault_disarm();
    if (calls >= trial->nth && strcmp(tn_fault_verb_names[trial->verb], "populate") != 0) {
        EXPECT_THAT(error == -trial->error, "%d from %s", error, tn_fault_verb_names[trial->verb]);
        EXPECT(!tn_publish_active() && !page_file_exists());
        EXPECT(terrane_stats_publish(trial->dir) == 0);
    } else {
        EXPECT_THAT(error == 0, "%d from %s", error, tn_fault_verb_names[trial->verb]);
    }
    terrane_stats_refresh();
    terrane_stats_unpublish();
    EXPECT(!page_file_exists());
    EXPECT_THAT(status_bytes("VmSize:") == addresses && descriptors_count() == descriptors,
                "something left by %s", tn_fault_verb_names[trial->verb]);
    return calls;
}

static unsigned try_all(const char *dir)
{
    static const int errors[] = {ENOMEM, ENOSPC, EIO};
    unsigned verbs = 0;
    for (int verb = 0; verb < tn_fault_verb_count; verb++) {
        if (strcmp(tn_fault_verb_names[verb], "release") == 0)
            continue; /* a refused release leaves its addresses behind */
        for (size_t i = 0; i < 3; i++) {
            long calls = 1;
            for (long nth = 1; nth <= calls; nth++)
                calls = try_one(&(const struct trial){dir, verb, nth, errors[i]});
            verbs += calls > 0 && i == 0;
        }
    }
    return verbs;
}

int main(void)
{
    const struct terrane_space_options options = {.window_bytes = TN_GIB};
    struct terrane_space *spaces[3];
    EXPECT(mkdtemp(folder) != NULL);
    EXPECT(terrane_space_default() != NULL);
    for (size_t i = 0; i < 3; i++)
        EXPECT(terrane_space_create(&options, &spaces[i]) == 0);
    EXPECT(terrane_stats_publish(folder) == 0); /* once in peace: what stays, stays from now on */
    terrane_stats_unpublish();
    const unsigned of_file = try_all(folder), of_memfd = try_all(NULL);
    EXPECT_THAT(of_file >= 4 && of_memfd >= 4, "%u and %u verbs", of_file, of_memfd);
    EXPECT(rmdir(folder) == 0);
    return 0;
}
