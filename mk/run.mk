# The jobs that a user starts.

#: make run          sets up, builds, and shows real programs running on terrane (two minutes)
#: make bench        terrane bench: terrane beside every malloc that is installed
#: make bench-peers  installs the other mallocs that Debian has

.PHONY: run bench bench-peers

run:
	@scripts/setup.sh run
	+@$(MAKE) $(PARALLEL) --no-print-directory all
	@scripts/main-job.sh

bench: all
	$(TOOL) bench $(BENCH_ARGS)

bench-peers:
	@scripts/setup.sh bench-peers
