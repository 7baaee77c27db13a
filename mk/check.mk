# Checks. Each part is a target of its own; `make check` runs them all and counts them together.

#: make check        everything below except soak and bench, with one total (under twenty minutes)
#: make unit-tests   builds and runs the tests of one VARIANT, with one total
#: make audit        the tests in the audit build: whole-structure checks inside the library
#: make asan | ubsan | tsan   the tests in a sanitized build
#: make valgrind     the programs of test/valgrind.list under valgrind
#: make preload      real programs on the drop-in malloc, release and audit build; the bench
#: make audit-bench  the benchmarks, quickly, in the audit build
#: make package      installs into a scratch folder and builds programs against it
#: make tidy         floors, exports, system calls, sizes; and that each check can fail
#: make lint         clang-tidy, cppcheck, clang-format
#: make format       rewrites the sources with clang-format
#: make soak         threads, remote frees and checked contents for SOAK_SECONDS (600)

CHECK_KINDS  := unit api conform misuse fault model
CHECK_PARTS  := tidy release clang audit asan ubsan tsan valgrind preload audit-bench package lint
SOAK_SECONDS ?= 600
PARALLEL     := $(if $(findstring j,$(MAKEFLAGS)),,-j$(shell nproc))

.PHONY: check unit-tests release clang audit asan ubsan tsan valgrind preload package tidy lint \
	audit-bench soak format setup-check

# For the builds inside a part, those that its scripts start included.
$(CHECK_PARTS): export WERROR := 1

check: setup-check
	@mkdir -p build; rm -f build/check.results
	@export TEST_RESULTS=$(CURDIR)/build/check.results; \
	for part in $(CHECK_PARTS); do \
		echo "== $$part"; $(MAKE) --no-print-directory $$part || exit; \
	done; test/run --total

setup-check:
	@scripts/setup.sh check

# $(call build,variant): one step of a check. Warnings are errors wherever a check builds.
build = @test/run --step "build $(1)" \
	$(MAKE) $(PARALLEL) --no-print-directory VARIANT=$(1) all tests

unit-tests: all tests
	@test/run $(VARIANT) $(CHECK_KINDS)

clang: setup-check
	+$(call build,$@)

release audit asan ubsan tsan: setup-check
	+$(call build,$@)
	@SOAK_SECONDS=6 test/run $@ $(CHECK_KINDS) soak

valgrind: setup-check
	+$(call build,release)
	@TEST_TIMEOUT=300 test/run valgrind

preload: setup-check
	+$(call build,release)
	+$(call build,audit)
	@TEST_TIMEOUT=600 test/run release preload bench
	@TEST_TIMEOUT=600 test/run audit preload

# A bench checks what its allocations hold, and the audit build the structures behind them.
audit-bench: setup-check
	+$(call build,audit)
	@for bench in malloc grow; do test/run --step "audit bench $$bench" \
		build/audit/terrane bench $$bench --quick --rounds 1 --contenders terrane; done
	@test/run --step "audit bench regions" build/audit/terrane bench regions --quick \
		--rounds 1 --contenders terrane --cases 'hot/*,live*,handoff*,birth*,grow/*'
	@test/run --step "audit bench arrays" build/audit/terrane bench arrays --quick \
		--rounds 1 --contenders terrane,terrane-4K,memfd --cases '*/1M'

package: setup-check
	+$(call build,release)
	@test/run release package

tidy: setup-check
	+$(call build,release)
	@test/run --step "tidy self-test" python3 test/tidy/tidy.py --self-test
	@test/run --step tidy python3 test/tidy/tidy.py

soak: setup-check
	+@$(MAKE) $(PARALLEL) --no-print-directory all tests
	@count=$(words $(wildcard test/soak/*.c)); \
	export SOAK_SECONDS=$$(($(SOAK_SECONDS) / count)); \
	TEST_VERBOSE=1 TEST_JOBS=1 TEST_TIMEOUT=$$((SOAK_SECONDS + 120)) test/run release soak

# ---- lint ----

C_FILES   := $(wildcard src/*/*.c preload/*.c tools/*.c bench/*.c examples/*.c examples/*/*.c \
	test/*/*.c)
H_FILES   := $(wildcard include/terrane/*.h src/*/*.h preload/*.h tools/*.h bench/*.h \
	examples/*/*.h test/*.h test/*/*.h)
LINTED    := $(filter-out test/%,$(C_FILES))
TIDY_OK   := $(LINTED:%.c=build/lint/%.ok)

lint: setup-check
	+@test/run --step "lint clang-tidy" $(MAKE) $(PARALLEL) -k --no-print-directory clang-tidy
	@test/run --step "lint cppcheck" $(MAKE) --no-print-directory cppcheck
	@test/run --step "lint clang-format" clang-format --dry-run -Werror $(C_FILES) $(H_FILES)

.PHONY: clang-tidy cppcheck
clang-tidy: $(TIDY_OK)
build/lint/%.ok: %.c $(wildcard .clang-tidy */.clang-tidy) $(H_FILES)
	@mkdir -p $(@D)
	$(call say,TIDY)
	$(Q)clang-tidy --quiet --warnings-as-errors='*' $< -- -std=gnu11 $(CPPFLAGS) 2>$@.log || \
		{ cat $@.log; exit 1; }
	@touch $@

cppcheck:
	$(Q)cppcheck --quiet --std=c11 --language=c --error-exitcode=1 --inline-suppr -j $$(nproc) \
		--enable=warning,performance,portability --suppressions-list=mk/cppcheck.suppress \
		$(CPPFLAGS) $(LINTED)

format:
	clang-format -i $(C_FILES) $(H_FILES)
