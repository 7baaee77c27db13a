# Test programs: test/<kind>/<name>.c becomes build/<variant>/test/<kind>/<name>.
#
#   unit, model, fault   static library: internals are in reach
#   api                  shared library only
#   conform              drop-in malloc
#   misuse, soak         shared library; drop-in malloc where the name starts with malloc_
#
# In a sanitized variant all link statically, and the programs on the drop-in malloc are left out
# where the sanitizer brings a malloc of its own. ubsan builds only those: asan looks for undefined
# behaviour in the others. tsan builds only what uses threads.
#
# An object that defines __wrap_tn_os_<verb> takes that verb's place in its program: os_fault.o in
# the fault tests, the program itself where its name starts with fake_. The linker's --wrap list is
# read from the object's symbols.

KINDS     := unit api conform misuse fault model soak
TEST_SRC  := $(wildcard $(KINDS:%=test/%/*.c))
ON_MALLOC := $(wildcard test/conform/*.c test/misuse/malloc_*.c test/soak/malloc_*.c)
ifneq ($(filter asan tsan,$(VARIANT)),)
TEST_SRC := $(filter-out $(ON_MALLOC),$(TEST_SRC))
endif
ifeq ($(VARIANT),ubsan)
TEST_SRC := $(filter $(ON_MALLOC),$(TEST_SRC))
endif
ifeq ($(VARIANT),tsan)
TEST_SRC := $(shell grep -lE 'pthread|threads\.h' $(TEST_SRC) /dev/null)
endif
TEST_OBJ := $(TEST_SRC:%.c=$(B)/obj/%.o)
TESTS    := $(TEST_SRC:%.c=$(B)/%)
# An example is one file, or a folder of its name.
SMALL_EXAMPLES := $(patsubst examples/%.c,$(OUT)/examples/%,$(wildcard examples/*.c))
EXAMPLES := $(SMALL_EXAMPLES) $(patsubst examples/%/,$(OUT)/examples/%,$(wildcard examples/*/))
of_kind   = $(filter $(B)/test/$(1)/%,$(TESTS))
on_malloc = $(filter $(ON_MALLOC:%.c=$(B)/%),$(TESTS))

.PHONY: tests examples
tests: $(TESTS) examples
examples: $(EXAMPLES)

$(B)/obj/test/%.o: CPPFLAGS += -Itest

STATIC_TESTS := $(foreach kind,unit model fault,$(call of_kind,$(kind)))
PLAIN_TESTS  := $(filter-out $(on_malloc),$(foreach kind,api misuse soak,$(call of_kind,$(kind))))
WITH_LIB     := $(if $(SANITIZED),$(LIB_A),$(LIB_SO))
WITH_MALLOC  := $(if $(SANITIZED),$(MALLOC_A),$(MALLOC_SO))
CMOCKA_TESTS := $(call of_kind,unit) $(call of_kind,api)

$(CMOCKA_TESTS): TEST_LIBS := -lcmocka
$(STATIC_TESTS): $(LIB_A)
$(PLAIN_TESTS): $(WITH_LIB)
$(on_malloc): $(WITH_MALLOC)
# A program that names malloc only as a string still gets this one, and finds it.
WHOLE := -rdynamic -Wl,--whole-archive
$(on_malloc): KEEP := -Wl,--no-as-needed $(if $(SANITIZED),$(WHOLE))
$(call of_kind,fault): $(FAULT_OBJ)

wrapped = $$(nm $(1) | sed -n 's/.* T __wrap_\(tn_os_[a-z0-9_]*\)$$/-Wl,--wrap=\1/p')
$(call of_kind,fault): WRAP = $(if $(FAULT_OBJ),$(call wrapped,$(FAULT_OBJ)))
$(filter $(B)/test/unit/fake_%,$(TESTS)): WRAP = $(call wrapped,$(B)/obj/$(@:$(B)/%=%).o)

$(SMALL_EXAMPLES): $(OUT)/examples/%: examples/%.c
$(foreach folder,$(wildcard examples/*/),\
	$(eval $(OUT)/$(folder:%/=%): $(wildcard $(folder)*.[ch])))
$(EXAMPLES): $(wildcard include/terrane/*.h) $(LIB_SO)
	@mkdir -p $(@D)
	$(call say,LD)
	$(Q)$(CC) $(CPPFLAGS) $(CODE) $(CFLAGS) $(LDFLAGS) -o $@ $(filter %.c,$^) $(LIB_SO) \
		-Wl,-rpath,'$$ORIGIN/..'

# Two folders below the products, so the loader finds the shared library by a relative path.
$(TESTS): $(B)/test/%: $(B)/obj/test/%.o
	@mkdir -p $(@D)
	$(call say,LD)
	$(Q)$(CC) $(VARIANT_CFLAGS) $(CFLAGS) $(LDFLAGS) $(WRAP) $(KEEP) -o $@ \
		$(filter %.o,$^) $(filter %.a %.so,$^) $(TEST_LIBS) \
		-Wl,--no-whole-archive,-rpath,'$(RPATH)'
RPATH := $$ORIGIN/../$(if $(filter release,$(VARIANT)),../..,..)
