/* Every verb of the os floor fails at its n-th call, in a memfd space; see fault_calls.h. */
#include "fault_calls.h"

int main(void)
{
    return fault_calls_run(TERRANE_BACKING_MEMFD);
}
