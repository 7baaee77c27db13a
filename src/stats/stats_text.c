/* terrane_stats_json and terrane_stats_openmetrics: the renderers on the spaces of this process. */
#include "stats/render.h"

#include <errno.h>
#include <limits.h>

/* The space that is wanted; NULL: all. */
struct wanted {
    struct terrane_space *only;
};

static bool read_live(void *context, uint32_t id, struct tn_figures *out)
{
    const struct wanted *wanted = context;
    if (wanted->only != NULL) {
        if (wanted->only->id == id)
            tn_figures_read(wanted->only, out);
        return wanted->only->id == id;
    }
    struct terrane_space *space = tn_space_visit(id);
    if (space == NULL)
        return false;
    tn_figures_read(space, out);
    tn_space_leave(id);
    return true;
}

typedef size_t renderer(const struct tn_rendering *what, char *text, size_t size);

static int render(renderer *how, struct terrane_space *space, char *text, size_t size)
{
    if (text == NULL && size > 0)
        return -EINVAL;
    struct wanted wanted = {space};
    const struct tn_rendering what = {
        .read = read_live,
        .context = &wanted,
        .sums = space == NULL,
    };
    const size_t length = how(&what, text, size);
    return length > INT_MAX ? -EOVERFLOW : (int)length;
}

int terrane_stats_json(struct terrane_space *space, char *text, size_t size)
{
    return render(tn_render_json, space, text, size);
}

int terrane_stats_openmetrics(struct terrane_space *space, char *text, size_t size)
{
    return render(tn_render_openmetrics, space, text, size);
}
