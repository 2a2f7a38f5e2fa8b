# mpull: every target has a '##' text, shown by `make help`.
SHELL := /bin/bash
GO ?= go
# The tags leave out C libraries beyond libc. They live in one place: GOFLAGS,
# so that make, editors (see .envrc) and plain `go test` under make agree.
TAGS := containers_image_openpgp,exclude_graphdriver_btrfs
export GOFLAGS := -tags=$(TAGS) -buildvcs=false
VERSION ?= 0.1.0-dev
COMMIT ?= $(shell git rev-parse HEAD 2>/dev/null || echo unknown)
LDFLAGS := -s -w -X main.version=$(VERSION) -X main.commit=$(COMMIT)

.PHONY: help build demo test
help: ## Show the targets
	@awk -F':.*## ' '/^[a-z-]+:.*## /{printf "  %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

build: ## Build bin/mpull
	$(GO) build -trimpath -ldflags '$(LDFLAGS)' -o bin/mpull ./cmd/mpull

demo: build ## Walk the story with the real binary, on a throw-away store and registry
	$(GO) run ./contrib/demo bin/mpull

test: build ## Run the tests
	$(GO) vet ./...
	$(GO) test ./...
