/* bench kernel: what this machine's kernel asks for the operations that terrane is built from. The
 * thresholds between moving and copying follow from these figures. */
#include "bench.h"

#include <stdio.h>
#include <stdlib.h>

struct cost {
    const char *name;
    const char *worker;
    const char *arguments;
    bool needs_disk; /* gets dir=, the folder for temporary files */
};

static const struct cost costs[] = {
    {"mremap/memfd/4K", "kernel_move", "backing=memfd size=4096", false},
    {"mremap/memfd/64K", "kernel_move", "backing=memfd size=65536", false},
    {"mremap/memfd/2M", "kernel_move", "backing=memfd size=2097152", false},
    {"mremap/memfd/64M", "kernel_move", "backing=memfd size=67108864", false},
    {"mremap/memfd/256M", "kernel_move", "backing=memfd size=268435456", false},
    {"mremap/memfd/1G", "kernel_move", "backing=memfd size=1073741824", false},
    {"mremap/memfd/1G/unlike", "kernel_move", "backing=memfd size=1073741824 offset=4096", false},
    {"mremap/private/4K", "kernel_move", "size=4096", false},
    {"mremap/private/64K", "kernel_move", "size=65536", false},
    {"mremap/private/2M", "kernel_move", "size=2097152", false},
    {"mremap/private/64M", "kernel_move", "size=67108864", false},
    {"mremap/private/256M", "kernel_move", "size=268435456", false},
    {"mremap/private/1G", "kernel_move", "size=1073741824", false},
    {"mremap/private/1G/unlike", "kernel_move", "size=1073741824 offset=4096", false},
    {"mremap/huge/1G", "kernel_move", "backing=private-huge size=1073741824", false},
    {"memcpy/warm/64K", "kernel_copy", "size=65536", false},
    {"memcpy/warm/1M", "kernel_copy", "size=1048576", false},
    {"memcpy/warm/1G", "kernel_copy", "size=1073741824", false},
    {"memcpy/fresh/64K", "kernel_copy", "size=65536 fresh=1", false},
    {"memcpy/fresh/1M", "kernel_copy", "size=1048576 fresh=1", false},
    {"memcpy/fresh/1G", "kernel_copy", "size=1073741824 fresh=1", false},
    {"alias/64M", "kernel_alias", "touch=0", false},
    {"alias/64M/touched", "kernel_alias", "touch=1", false},
    {"touch/1M/private", "kernel_touch", "backing=private", false},
    {"touch/1M/huge", "kernel_touch", "backing=private-huge", false},
    {"touch/1M/memfd", "kernel_touch", "backing=memfd", false},
    {"touch/1M/memfd-2M", "kernel_touch", "backing=memfd-huge", false},
    {"discard/1M/private", "kernel_touch", "what=discard backing=private", false},
    {"discard/1M/huge", "kernel_touch", "what=discard backing=private-huge", false},
    {"discard/1M/memfd", "kernel_touch", "what=discard backing=memfd", false},
    {"discard/1M/memfd-2M", "kernel_touch", "what=discard backing=memfd-huge", false},
    {"write/writable", "kernel_first_write", "how=plain", false},
    {"write/sigsegv", "kernel_first_write", "how=signal", false},
    {"write/cow", "kernel_first_write", "how=cow", false},
    {"write/uffd-async", "kernel_first_write", "how=uffd", false},
    {"scan/page/1%", "kernel_scan", "written=1", false},
    {"scan/page/50%", "kernel_scan", "written=50", false},
    {"read/fault", "kernel_read_fault", "populate=0", false},
    {"read/populated", "kernel_read_fault", "populate=1", false},
    {"msync/256", "kernel_sync", "how=msync pages=256", true},
    {"msync/4096", "kernel_sync", "how=msync pages=4096", true},
    {"aside/256", "kernel_sync", "how=aside pages=256", true},
    {"aside/4096", "kernel_sync", "how=aside pages=4096", true},
};

static int plan_kernel(struct bench_plan *plan)
{
    bench_plan_contender(plan, "kernel");
    for (size_t i = 0; i < sizeof(costs) / sizeof(costs[0]); i++) {
        struct bench_case *added =
            bench_plan_worker(plan, costs[i].name, costs[i].worker, costs[i].arguments);
        if (!costs[i].needs_disk)
            continue;
        const char *dir = bench_scratch_dir();
        if (dir == NULL)
            return EXIT_FAILURE;
        char *argument = string_print("dir=%s", dir);
        bench_case_argument(added, argument);
        free(argument);
    }
    return EXIT_SUCCESS;
}

const struct bench bench_kernel = {
    .name = "kernel",
    .summary = "what the kernel asks for moving, touching, discarding and tracking pages",
    .figure = "cost_s",
    .figures = "cost_s",
    .style = BENCH_STYLE_LIST,
    .rounds = 5,
    .rounds_quick = 1,
    .plan = plan_kernel,
};
