/* The lowest floor: what needs neither memory nor the kernel. Other floors include only this. */
#ifndef TN_BASE_H
#define TN_BASE_H

#include "base/bits.h"
#include "base/check.h"
#include "base/checked.h"
#include "base/message.h"

#endif
