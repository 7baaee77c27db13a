# Installation: PREFIX is where the files will be used, DESTDIR where they are put for now.

#: make install      into PREFIX (/usr/local), below DESTDIR if set; LIBDIR, INCLUDEDIR, MANDIR
#: make uninstall    removes the same files

BINDIR     ?= $(PREFIX)/bin
LIBDIR     ?= $(PREFIX)/lib
LIBEXECDIR ?= $(PREFIX)/libexec
INCLUDEDIR ?= $(PREFIX)/include
MANDIR     ?= $(PREFIX)/share/man
CMAKEDIR   ?= $(LIBDIR)/cmake/Terrane
INSTALL    ?= install

HEADERS := $(wildcard include/terrane/*.h)
BENCH_SCRIPTS := $(wildcard bench/programs/*)
MAN1    := $(wildcard docs/man/*.1)
MAN3    := $(wildcard docs/man/*.3)
MAN7    := $(wildcard docs/man/*.7)
CMAKE_FILES := TerraneConfig.cmake TerraneConfigVersion.cmake
SHARED_LIBS := libterrane.so libterrane-malloc.so

.PHONY: install uninstall

# $(call into,folder,mode,files): nothing when there are no files.
into = $(if $(strip $(3)),\
	$(INSTALL) -d $(DESTDIR)$(1) && $(INSTALL) -m $(2) $(3) $(DESTDIR)$(1))

# $(call from,folder,path): the way from the one to the other.
from = $(shell realpath -ms --relative-to=$(1) $(2))

FILL_IN = sed -e 's|@PREFIX@|$(PREFIX)|g' -e 's|@LIBDIR@|$(LIBDIR)|g' \
	-e 's|@INCLUDEDIR@|$(INCLUDEDIR)|g' -e 's|@VERSION@|$(VERSION)|g' -e 's|@ABI@|$(ABI)|g' \
	-e 's|@BACK_TO_PREFIX@|$(call from,$(CMAKEDIR),$(PREFIX))|g' \
	-e 's|@LIBDIR_FROM_PREFIX@|$(call from,$(PREFIX),$(LIBDIR))|g' \
	-e 's|@INCLUDEDIR_FROM_PREFIX@|$(call from,$(PREFIX),$(INCLUDEDIR))|g'

install: all
	$(call into,$(BINDIR),755,$(TOOL))
	$(call into,$(LIBEXECDIR)/terrane/bench,755,$(BENCH))
	$(call into,$(LIBEXECDIR)/terrane/bench/programs,644,$(BENCH_SCRIPTS))
	$(call into,$(INCLUDEDIR)/terrane,644,$(HEADERS))
	$(call into,$(LIBDIR),644,$(LIB_A) $(MALLOC_A))
	for lib in $(SHARED_LIBS); do \
		$(INSTALL) -m 755 $(OUT)/$$lib $(DESTDIR)$(LIBDIR)/$$lib.$(VERSION) && \
		ln -sf $$lib.$(VERSION) $(DESTDIR)$(LIBDIR)/$$lib.$(ABI) && \
		ln -sf $$lib.$(ABI) $(DESTDIR)$(LIBDIR)/$$lib || exit; \
	done
	$(INSTALL) -d $(DESTDIR)$(LIBDIR)/pkgconfig $(DESTDIR)$(CMAKEDIR)
	$(FILL_IN) terrane.pc.in >$(DESTDIR)$(LIBDIR)/pkgconfig/terrane.pc
	for file in $(CMAKE_FILES); do \
		$(FILL_IN) cmake/$$file.in >$(DESTDIR)$(CMAKEDIR)/$$file || exit; \
	done
	$(call into,$(MANDIR)/man1,644,$(MAN1))
	$(call into,$(MANDIR)/man3,644,$(MAN3))
	$(call into,$(MANDIR)/man7,644,$(MAN7))

uninstall:
	rm -f $(DESTDIR)$(BINDIR)/terrane $(LIB_A:$(OUT)/%=$(DESTDIR)$(LIBDIR)/%) \
		$(MALLOC_A:$(OUT)/%=$(DESTDIR)$(LIBDIR)/%) \
		$(foreach lib,$(SHARED_LIBS:%=$(DESTDIR)$(LIBDIR)/%),\
			$(lib) $(lib).$(ABI) $(lib).$(VERSION)) \
		$(DESTDIR)$(LIBDIR)/pkgconfig/terrane.pc \
		$(foreach page,$(MAN1) $(MAN3) $(MAN7),\
			$(DESTDIR)$(MANDIR)/man$(subst .,,$(suffix $(page)))/$(notdir $(page)))
	rm -rf $(DESTDIR)$(LIBEXECDIR)/terrane $(DESTDIR)$(INCLUDEDIR)/terrane $(DESTDIR)$(CMAKEDIR)
