# terrane's build. `make help` lists the targets; CONTRIBUTING.md says how the parts fit.
#
# One invocation builds one variant: objects, tests and products lie in build/<variant>/, and the
# products of the release variant directly in build/. Files are found by wildcard: a new .c file in
# a floor, in tools/, bench/ or test/<kind>/ is built without editing this file.

VARIANT ?= release
CC       = gcc
PREFIX  ?= /usr/local
V       ?= 0

VERSION := $(shell sed -n 's/^.define TERRANE_VERSION_\(MAJOR\|MINOR\|PATCH\) //p' \
	include/terrane/version.h | paste -sd.)
ABI     := $(firstword $(subst ., ,$(VERSION)))

B   := build/$(VARIANT)
OUT := $(if $(filter release,$(VARIANT)),build,$(B))
QUIET := $(findstring s,$(firstword -$(MAKEFLAGS)))
Q   := $(if $(filter 0,$(V)),@)
say  = $(if $(filter 0,$(V)$(QUIET)),@printf '  %-6s %s\n' $(1) $@)

include mk/variants.mk

# ---- flags ----

WARNINGS := -Wall -Wextra -Wconversion -Wshadow -Wundef -Wmissing-prototypes -Wstrict-prototypes \
	-Wcast-qual -Wwrite-strings $(if $(WERROR),-Werror)
CPPFLAGS += -D_GNU_SOURCE= -Iinclude -Isrc
# A compiler that knows malloc may turn calloc's own malloc + memset into a call of calloc, and drop
# allocations that a test makes for their effect.
NO_BUILTIN := -fno-builtin-malloc -fno-builtin-calloc -fno-builtin-realloc -fno-builtin-free
CODE     := -std=gnu11 $(WARNINGS) $(VARIANT_CFLAGS) $(NO_BUILTIN)
# Thread-local data in the static block: one load per access, in a preloaded library always there.
# Sections of their own let the linker drop what a product does not use.
LIB_CODE := $(CODE) -fPIC -fvisibility=hidden -fno-semantic-interposition -fno-plt \
	-ftls-model=initial-exec -ffunction-sections -fdata-sections
# Code and constants share one segment (noseparate-code), so that a small program on the drop-in
# malloc has the fewest resident pages and mappings.
SO_LINK  := -shared -Wl,-z,relro,-z,now,-z,noseparate-code -Wl,--gc-sections -Wl,-O1 \
	-Wl,--as-needed -Wl,--hash-style=gnu $(if $(SANITIZED),,-Wl,-z,defs)

# ---- sources ----

FLOORS     := base os space pool heap array stats
LIB_SRC    := $(filter-out %/os_fault.c %/os_wasm.c,$(wildcard $(FLOORS:%=src/%/*.c)))
MALLOC_SRC := $(wildcard preload/*.c)
TOOL_SRC   := $(wildcard tools/*.c)
BENCH_SRC  := $(wildcard bench/*.c)
# Only where there is a compiler for them: the library and all else are C.
BENCH_CXX  := $(if $(shell command -v $(CXX)),$(wildcard bench/*.cc))

LIB_OBJ    := $(LIB_SRC:%.c=$(B)/obj/%.o)
MALLOC_OBJ := $(MALLOC_SRC:%.c=$(B)/obj/%.o)
TOOL_OBJ   := $(TOOL_SRC:%.c=$(B)/obj/%.o)
BENCH_OBJ  := $(BENCH_SRC:%.c=$(B)/obj/%.o)
FAULT_OBJ  := $(patsubst %.c,$(B)/obj/%.o,$(wildcard src/os/os_fault.c))

LIB_A     := $(OUT)/libterrane.a
LIB_SO    := $(OUT)/libterrane.so
MALLOC_A  := $(OUT)/libterrane-malloc.a
MALLOC_SO := $(OUT)/libterrane-malloc.so
TOOL      := $(OUT)/terrane
BENCH_C   := $(BENCH_SRC:bench/%.c=$(OUT)/bench/%)
BENCH     := $(BENCH_C) $(BENCH_CXX:bench/%.cc=$(OUT)/bench/%)

LIBS := $(LIB_A) $(if $(wildcard src/os/os_linux.c),$(LIB_SO))
ifneq ($(MALLOC_SRC),)
LIBS += $(MALLOC_A) $(MALLOC_SO)
endif

#: make              everything: command, libraries, benchmark workers (VARIANT=, CC=, CFLAGS=, V=1)
#: make clean        removes build/
.PHONY: all libs tools bench-workers clean help FORCE
.DEFAULT_GOAL := all
.DELETE_ON_ERROR:
.SECONDARY:

all: libs tools bench-workers
libs: $(LIBS)
tools: $(if $(TOOL_SRC),$(TOOL))
bench-workers: $(BENCH)

# ---- rules ----

# Holds the compiler and its flags; rewritten, and all objects with it, only when they change.
$(B)/flags: FORCE
	@mkdir -p $(@D); \
	printf '%s\n' '$(CC) $(CPPFLAGS) $(CFLAGS) $(LIB_CODE) $(LDFLAGS)' >$@.new; \
	if cmp -s $@.new $@; then rm $@.new; else mv $@.new $@; fi

$(B)/obj/src/%.o $(B)/obj/preload/%.o: CODE := $(LIB_CODE)
$(B)/obj/%.o: %.c $(B)/flags
	@mkdir -p $(@D)
	$(call say,CC)
	$(Q)$(CC) $(CPPFLAGS) $(CODE) $(CFLAGS) -MMD -MP -c -o $@ $<

$(LIB_A): $(LIB_OBJ)
$(MALLOC_A): $(LIB_OBJ) $(MALLOC_OBJ)
$(LIB_A) $(MALLOC_A):
	@mkdir -p $(@D); rm -f $@
	$(call say,AR)
	$(Q)$(AR) rcs $@ $^

$(LIB_SO): MAP := terrane.map
$(LIB_SO): $(LIB_OBJ) terrane.map
$(MALLOC_SO): MAP := preload/malloc.map
# Destructors of threads, handlers of exit and fork and a thread of their own lie in them, so
# dlclose must not unload them.
$(LIB_SO) $(MALLOC_SO): private SO_LINK += -Wl,-z,nodelete
$(MALLOC_SO): $(LIB_OBJ) $(MALLOC_OBJ) preload/malloc.map
$(LIB_SO) $(MALLOC_SO):
	@mkdir -p $(@D)
	$(call say,LD)
	$(Q)$(CC) $(VARIANT_CFLAGS) $(CFLAGS) $(SO_LINK) $(LDFLAGS) -Wl,-soname,$(@F).$(ABI) \
		-Wl,--version-script=$(MAP) -o $@ $(filter %.o,$^)
	@ln -sf $(@F) $@.$(ABI)

$(TOOL): $(TOOL_OBJ) $(LIB_A)
	@mkdir -p $(@D)
	$(call say,LD)
	$(Q)$(CC) $(VARIANT_CFLAGS) $(CFLAGS) $(LDFLAGS) -o $@ $^ -lm

$(BENCH_C): $(OUT)/bench/%: $(B)/obj/bench/%.o $(LIB_A)
	@mkdir -p $(@D)
	$(call say,LD)
	$(Q)$(CC) $(VARIANT_CFLAGS) $(CFLAGS) $(LDFLAGS) -o $@ $^ -lm

$(BENCH_CXX:bench/%.cc=$(OUT)/bench/%): $(OUT)/bench/%: bench/%.cc $(wildcard bench/*.h)
	@mkdir -p $(@D)
	$(call say,CXX)
	$(Q)$(CXX) -std=gnu++17 -Wall -Wextra -Wno-missing-field-initializers \
		$(if $(WERROR),-Werror) -U_GNU_SOURCE $(CPPFLAGS) $(VARIANT_CFLAGS) $(CFLAGS) \
		$(LDFLAGS) -o $@ $<

include mk/test.mk mk/check.mk mk/run.mk mk/install.mk

-include $(LIB_OBJ:.o=.d) $(MALLOC_OBJ:.o=.d) $(TOOL_OBJ:.o=.d) $(BENCH_OBJ:.o=.d) \
	$(FAULT_OBJ:.o=.d) $(TEST_OBJ:.o=.d)

clean:
	rm -rf build

help:
	@sed -n 's/^#: //p' Makefile mk/*.mk
