/* What must be true of a body and its views whenever its lock is free, in audit builds. */
#include "array/array.h"

/* Bodies with more views are left out: the audit is part of every change of them. */
#define VIEWS_MAX 64

/* Others may be adding to arrays of several threads just now, so of those only the list is known.
 */
static void audit_reach(const struct tn_array_body *body, const struct terrane_array *view)
{
    const struct terrane_array *tail = tn_body_holder(body, TN_END_TAIL);
    const struct terrane_array *front = tn_body_holder(body, TN_END_FRONT);
    const size_t low = tn_view_low(view), high = tn_view_high(view);
    tn_check(low <= high && high <= body->room.bytes);
    tn_check(high <= (tail != NULL ? tn_view_high(tail) : body->reach[TN_END_TAIL]));
    tn_check(low >= (front != NULL ? tn_view_low(front) : body->reach[TN_END_FRONT]));
    tn_check(view->limit == NULL || view == tail);
    tn_check(view->floor == NULL || view == front);
}

void tn_body_audit(const struct tn_array_body *body)
{
    const struct terrane_array *tail = tn_body_holder(body, TN_END_TAIL);
    const struct terrane_array *front = tn_body_holder(body, TN_END_FRONT);
    const struct terrane_array *previous = NULL;
    uint32_t views = 0;
    int ends = (tail == NULL) + (front == NULL);
    if (body->views > VIEWS_MAX)
        return;
    for (const struct terrane_array *view = body->newest; view != NULL; view = view->next) {
        tn_check(view->body == body && view->previous == previous);
        ends += (view == tail) + (view == front);
        views++;
        previous = view;
        if (!body->atomic && body->room.start != NULL)
            audit_reach(body, view);
    }
    tn_check(views == body->views && ends == 2);
    tn_check(!body->sealed || (tail == NULL && front == NULL));
}
