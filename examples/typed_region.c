/* Points arrive, nobody knows how many. The vector never writes past its region: when it is full,
 * push says so, and the program decides whether to grow. */
#include <stdio.h>
#include <terrane/terrane.h>

struct point {
    double x, y, z;
};

TERRANE_VECTOR(points, struct point);

int main(void)
{
    struct points cloud = {0};
    unsigned growths = 0;
    if (points_acquire(&cloud, NULL, 100000) != 0) /* NULL: the default space */
        return 1;
    for (unsigned i = 0; i < 10000000; i++) {
        const struct point point = {i, i * 0.5, 1};
        if (points_push(&cloud, point) == 0)
            continue;
        /* Full. The points keep their pages, so room for twice as many costs no copying; only
         * pointers into the cloud would have to be taken anew if it has moved. */
        bool moved;
        if (points_reserve(&cloud, 2 * cloud.capacity, &moved) != 0 ||
            points_push(&cloud, point) != 0)
            return 1;
        growths++;
    }
    const struct point *last = points_at(&cloud, cloud.count - 1);
    const struct point *none = points_at(&cloud, cloud.count);
    printf("%zu points after %u growths, the last at %.0f, one more %s\n", cloud.count, growths,
           last->x, none == NULL ? "is not there" : "is there");
    points_release(&cloud);
    return 0;
}
