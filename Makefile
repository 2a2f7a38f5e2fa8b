# mpull: every target has a '##' text, shown by `make help`.
SHELL := /bin/bash
GO ?= go
# .envrc has the build tags, once for make, direnv and `. ./.envrc`. It is
# written so that make and a shell read it alike.
include .envrc
# Not from the work tree's version control: a build by root in another user's
# checkout would fail, and one of a tarball would differ.
GOFLAGS += -buildvcs=false

VERSION ?= 0.1.0-dev
COMMIT ?= $(shell git rev-parse HEAD 2>/dev/null || echo unknown)
LDFLAGS := -s -w -X main.buildVersion=$(VERSION) -X main.buildCommit=$(COMMIT)
BIN ?= bin/mpull
PREFIX ?= /usr/local
MANDIR ?= $(PREFIX)/share/man
DOCDIR ?= $(PREFIX)/share/doc/mpull
CONFDIR ?= /etc/containers
GOLANGCI_VERSION := v2.15.0
GOLANGCI ?= $(shell command -v golangci-lint || echo $$($(GO) env GOPATH)/bin/golangci-lint)
TESTFLAGS ?= -timeout 30m
FUZZTIME ?= 10s
SOAK ?= 30m

.PHONY: help build demo test test-more test-all soak race bench bench-kernels lint fmt lint-tool cover fuzz mutants generate install uninstall package cross emulated clean
help: ## Show the targets
	@awk -F':.*## ' '/^[a-z-]+:.*## /{printf "  %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

# What go build -v says, with a dot for each package that it compiles.
DOTS = while IFS= read -r l; do case "$$l" in *[[:blank:]]*) echo "$$l";; *) printf .; n=1;; esac; done; [ -z "$$n" ] || echo

# An error of make's own is one line; a command that fails adds another.
NO_GO = there is no $(GO) in PATH: build mpull as the user who has it (make build; sudo make install then builds nothing), or name it with GO=/usr/local/go/bin/go
NO_LINUX = mpull is for Linux, whose containers and file systems it works on: build it there, or with GOOS=linux
buildable = $(if $(1),$(if $(filter linux,$(1)),,$(error $(NO_LINUX))),$(error $(NO_GO)))

build: ## Build bin/mpull
	$(call buildable,$(shell $(GO) env GOOS 2>/dev/null))
	@echo 'Building $(BIN); the first time that takes some minutes, with a dot for each of some 700 packages'
	@set -o pipefail; $(GO) build -v -trimpath -ldflags '$(LDFLAGS)' -o $(BIN) ./cmd/mpull 2>&1 | { $(DOTS); }

# What is installed is built by whoever has the compiler, not under sudo.
$(BIN):
	$(call buildable,$(shell $(GO) env GOOS 2>/dev/null))
	@$(MAKE) --no-print-directory build

demo: build ## Walk the story with the real binary, on a throw-away store and registry
	@set -o pipefail; $(GO) build -v -o .cache/demo ./contrib/demo 2>&1 | { $(DOTS); }
	.cache/demo bin/mpull

TESTRUN = MPULL_BINARY='$(CURDIR)/bin/mpull' $(GO) run ./contrib/testrun -count=1 $(TESTFLAGS)
test: build ## Run the tests, in some minutes, and sum up; what this machine cannot test is skipped by name (with CI=true: fails)
	$(GO) vet ./...
	$(TESTRUN) -short -parallel 4 ./...

test-more: ## Run the tests of which the last make test ran only some cases, with all of them, on the disk instead of in memory
	MPULL_TEST_DISK=1 MPULL_BINARY='$(CURDIR)/bin/mpull' $(GO) run ./contrib/testrun -more -count=1 $(TESTFLAGS)

test-all: build ## Run the tests with all their cases and long figures, on the disk instead of in memory
	MPULL_TEST_DISK=1 $(TESTRUN) ./...

soak: build ## Run the fault-injection tests with their long figures, then everything at once for SOAK (30m)
	MPULL_SOAK=$(SOAK) MPULL_BINARY='$(CURDIR)/bin/mpull' $(GO) test -count=1 -timeout 6h -v ./integration/faults

race: ## Run the unit tests with the race detector
	$(GO) test -race $(TESTFLAGS) ./cmd/... ./engine/... ./gc/... ./store/...

bench: build ## Time mpull against the plain library path and installed peers (root; BENCHFLAGS='-only mid')
	$(GO) build -o .cache/bench ./contrib/bench
	.cache/bench -mpull bin/mpull $(BENCHFLAGS)

KERNELS := ./engine/platform ./engine/host ./engine/preflight ./gc ./store/unpack
bench-kernels: ## Compare the inner loops with the committed baseline (another machine: other figures)
	mkdir -p .cache
	$(GO) test -run '^$$' -bench 'MakePlan|Choose|LocalHost|Check|Untar' -benchtime 0.2s -count 5 $(KERNELS) > .cache/kernels.txt
	GOFLAGS= $(GO) run golang.org/x/perf/cmd/benchstat@v0.0.0-20260908200009-22c9c6c9d4da contrib/bench/baseline.txt .cache/kernels.txt

lint: ## Run the linters of .golangci.yml
	@$(GOLANGCI) version 2>/dev/null | grep -qF '$(GOLANGCI_VERSION:v%=%)' || \
		{ echo "golangci-lint $(GOLANGCI_VERSION) is not here: make lint-tool installs it"; exit 1; }
	$(GOLANGCI) run --allow-parallel-runners --timeout 15m ./...

fmt: ## Format the source
	$(GOLANGCI) fmt

lint-tool: ## Install golangci-lint into GOPATH/bin
	GOFLAGS= $(GO) install github.com/golangci/golangci-lint/v2/cmd/golangci-lint@$(GOLANGCI_VERSION)

cover: build ## Run the tests and print what they cover, the binary's runs included
	rm -rf .cache/cover && mkdir -p .cache/cover
	GOCOVERDIR='$(CURDIR)/.cache/cover' $(GO) test $(TESTFLAGS) -count=1 -cover -coverpkg=./... ./... \
		-args '-test.gocoverdir=$(CURDIR)/.cache/cover'
	$(GO) tool covdata textfmt -i=.cache/cover -o .cache/cover.out
	$(GO) tool cover -func=.cache/cover.out | tail -1

FUZZERS ?= 2
fuzz: ## Run each fuzz target for FUZZTIME (10s), FUZZERS (2) at a time
	@# Go 1.26's -fuzztime now and then reports its own end as a failure (golang/go issue 75804); an interrupt does not.
	@set -e; mkdir -p .cache/fuzz; f='$(CURDIR)/.cache/fuzz'; for d in $$(grep -rl --include='*_test.go' '^func Fuzz' . | xargs -n 1 dirname | sort -u); do \
		t="$$f/$$(echo $${d#./} | tr / _).test"; $(GO) test -c -fuzz Fuzz -o "$$t" $$d; \
		grep -ho '^func Fuzz[A-Za-z0-9]*' $$d/*_test.go | cut -c 6- | xargs -P $(FUZZERS) -I F bash -c 'cd $$0; log=$$1.F.log; \
			timeout --foreground --preserve-status --signal INT --kill-after 60s $(FUZZTIME) \
				"$$1" -test.run "^$$" -test.fuzz "^F$$" -test.fuzzminimizetime 10x -test.parallel 1 \
				-test.timeout 10m -test.fuzzcachedir "$$2/corpus" > "$$log" 2>&1; e=$$?; \
			echo "$$0 F: $$(grep -o "execs: [0-9]*" "$$log" | tail -1)"; [ $$e = 0 ] || { cat "$$log"; exit 255; }' $$d "$$t" "$$f"; \
		done

MUTATED := gc store/query engine/platform engine/host engine/preflight store
PKGS ?= $(MUTATED)
# They take seconds, for each change; others notice what they do.
SLOW := TestDanglingIsWhatPodmanSays|AsTheLibrary|TestDeleteLeavesWhatTheLibraryLeaves|TestDeleteKilledAtEachStep|TestDeleteSeesWhatTheLibrarySees|TestKernel|TestKernelFacts|TestLibraries|TestHostileLibraries|TestRunc|TestRealPrograms
mutants: ## Change the code of PKGS (all that docs/mutants.md lists), one operator at a time, and name the changes that no test notices; takes hours
	MUTANTS_SKIP='$(SLOW)' contrib/mutants/mutants.sh $(PKGS)

generate: build ## Write man pages and completions anew, from what mpull says about itself, and what it shows on a terminal (tmux)
	$(GO) run ./contrib/gen bin/mpull contrib
	$(GO) run ./contrib/demo -pages docs bin/mpull

install: $(BIN) ## Install program, man pages, completions, docs under DESTDIR and PREFIX (/usr/local); configuration where none is
	install -d $(DESTDIR)$(PREFIX)/bin
	@# Written at once, the file gets large folios in the page cache, as the linker's does: each start takes a third less.
	@b='$(DESTDIR)$(PREFIX)/bin'; dd if='$(BIN)' of="$$b/.mpull.new" bs=64M status=none && chmod 0755 "$$b/.mpull.new" && \
		mv -f "$$b/.mpull.new" "$$b/mpull" || { rm -f "$$b/.mpull.new"; echo "mpull could not be installed in $$b: what was there stays"; exit 1; }
	install -d $(DESTDIR)$(MANDIR)/man1 $(DESTDIR)$(MANDIR)/man5
	install -m 0644 contrib/man/*.1 $(DESTDIR)$(MANDIR)/man1
	install -m 0644 contrib/man/*.5 $(DESTDIR)$(MANDIR)/man5
	install -D -m 0644 contrib/completions/mpull.bash $(DESTDIR)$(PREFIX)/share/bash-completion/completions/mpull
	install -D -m 0644 contrib/completions/_mpull $(DESTDIR)$(PREFIX)/share/zsh/site-functions/_mpull
	install -D -m 0644 contrib/completions/mpull.fish $(DESTDIR)$(PREFIX)/share/fish/vendor_completions.d/mpull.fish
	install -d $(DESTDIR)$(DOCDIR)/docs $(DESTDIR)$(DOCDIR)/contrib/config
	install -m 0644 LICENSE CHANGELOG.md $(DESTDIR)$(DOCDIR)
	install -m 0644 docs/*.md $(DESTDIR)$(DOCDIR)/docs
	install -m 0644 contrib/config/* $(DESTDIR)$(DOCDIR)/contrib/config
	@for f in policy.json registries.conf; do \
		if [ -e $(DESTDIR)/usr/share/containers/$$f ] || [ -e $(DESTDIR)$(CONFDIR)/$$f ]; then echo "keeping $$f"; \
		else install -v -D -m 0644 contrib/config/$$f $(DESTDIR)$(CONFDIR)/$$f; fi; done

uninstall: ## Remove what install put there, but configuration
	rm -f $(DESTDIR)$(PREFIX)/bin/mpull $(patsubst contrib/man/%,$(DESTDIR)$(MANDIR)/man1/%,$(wildcard contrib/man/*.1)) \
		$(patsubst contrib/man/%,$(DESTDIR)$(MANDIR)/man5/%,$(wildcard contrib/man/*.5)) \
		$(DESTDIR)$(PREFIX)/share/bash-completion/completions/mpull $(DESTDIR)$(PREFIX)/share/zsh/site-functions/_mpull \
		$(DESTDIR)$(PREFIX)/share/fish/vendor_completions.d/mpull.fish
	rm -rf $(DESTDIR)$(DOCDIR)

ARCHES ?= amd64 arm64 arm/v7
package: ## Build dist/*.deb, *.rpm, *.tar.gz and lists of components for ARCHES (amd64 arm64 arm/v7), reproducibly
	VERSION='$(VERSION)' contrib/package/package.sh $(ARCHES)

cross: ## Compile and vet for every architecture, without cgo and, where Debian's cross compilers are, with it (CROSSFLAGS=--quick: the main ones)
	contrib/cross/cross.sh $(CROSSFLAGS)

emulated: ## Run unit tests and the story as arm/v7, arm64 and s390x programs under qemu-user
	contrib/cross/emulated.sh

clean: ## Remove what was built
	rm -rf bin dist .cache
