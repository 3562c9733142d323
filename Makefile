# `make` is what a change has to pass; `make ci` is all that CI runs.

GO ?= go
GOLANGCI_LINT ?= $(GO) run github.com/golangci/golangci-lint/v2/cmd/golangci-lint@v2.15.0

.PHONY: all build fmt fmt-check vet lint test race faults e2e bench ci clean

all: fmt-check vet lint test

build:
	$(GO) build -trimpath -o bin/intertie ./cmd/intertie

# fmt writes what fmt-check only reports.
fmt:
	$(GOLANGCI_LINT) fmt

fmt-check:
	@bad=$$(git ls-files -co --exclude-standard '*.go' | xargs -r gofmt -l); \
	if [ -n "$$bad" ]; then echo "not formatted (make fmt):"; echo "$$bad"; exit 1; fi

vet:
	$(GO) vet ./...

lint:
	$(GOLANGCI_LINT) run

test:
	$(GO) test ./...

race:
	$(GO) test -race ./...

# faults breaks what the program stands on. More of it: see faults/doc.go.
faults:
	$(GO) test -count=1 ./faults

# e2e needs programs from outside; `.ci/run` installs them.
e2e:
	INTERTIE_E2E=1 INTERTIE_REQUIRE_EXTERNAL=1 $(GO) test ./e2e/...

bench: build
	bin/intertie bench

ci:
	.ci/run

clean:
	rm -rf bin dist coverage.*
