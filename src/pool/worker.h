#ifndef TN_WORKER_H
#define TN_WORKER_H
static inline void tn_worker_need(void)
{
}
#endif
