# What each variant adds to the compiler's flags. CFLAGS of the user come after them.
#
#   release  what is installed          clang   the same, by clang (whatever CC says)
#   debug    tn_assert and lock ranks   audit   debug plus whole-structure audits
#   asan     address and undefined behaviour       tsan   threads
#   ubsan    undefined behaviour alone, for what asan cannot hold: the drop-in malloc
# In these three the library is linked statically into the tests.

VARIANTS := release clang debug audit asan ubsan tsan
ifeq ($(filter $(VARIANT),$(VARIANTS)),)
$(error VARIANT is one of: $(VARIANTS))
endif

SANITIZED := $(filter asan ubsan tsan,$(VARIANT))
FRAMES    := -g -fno-omit-frame-pointer

VARIANT_CFLAGS_release := -O2 -g
VARIANT_CFLAGS_clang   := -O2 -g
VARIANT_CFLAGS_debug   := -Og -g -DTN_DEBUG=1
VARIANT_CFLAGS_audit   := -O1 -g -DTN_DEBUG=1 -DTN_AUDIT=1
UNDEFINED := -fsanitize=undefined -fno-sanitize-recover=undefined
VARIANT_CFLAGS_asan    := -O1 $(FRAMES) -DTN_DEBUG=1 -fsanitize=address $(UNDEFINED)
VARIANT_CFLAGS_ubsan   := -O1 $(FRAMES) -DTN_DEBUG=1 $(UNDEFINED)
VARIANT_CFLAGS_tsan    := -O1 $(FRAMES) -DTN_DEBUG=1 -fsanitize=thread
VARIANT_CFLAGS := $(VARIANT_CFLAGS_$(VARIANT))

ifeq ($(VARIANT),clang)
override CC := clang
endif
