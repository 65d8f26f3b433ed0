# The targets people type. Each is safe to call again: what is done is not done twice. `make` alone lists them.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
.PHONY: help setup build run test bench fuzz install dist clean format lint

PREFIX ?= /usr/local
JOBS ?= $(shell nproc)
FUZZ_SECONDS ?= 60
engine := build/release/bin/image-engine
sources = git ls-files '*.h' '*.cpp'

help: ## this list
	@echo 'usage: make TARGET'
	@sed -n 's/^\([a-z]*\):[^#]*## /  \1\t/p' $(MAKEFILE_LIST) | expand -t 12

setup: ## install what is missing and make the samples (Debian 12; root or sudo); GPU=1 fetches libraries for NVIDIA cards
	@tools/setup.sh $(if $(GPU),--gpu)

build: setup ## optimised build in build/release
	@tools/build.sh release $(JOBS)

run: build ## analyse the samples, or DIR=…, then ask two questions
	@tools/run.sh $(engine) "$${DIR:-}"

test: build ## unit and integration tests
	@ctest --preset release -L '^(unit|integration)$$' -j $(JOBS)

bench: build ## every benchmark
	@tools/bench.sh

fuzz: setup ## every fuzz target for FUZZ_SECONDS=60 each
	@tools/build.sh fuzz $(JOBS)
	@tools/fuzz.sh $(FUZZ_SECONDS)

install: build ## install under PREFIX=/usr/local
	@cmake --install build/release --prefix '$(PREFIX)'

dist: build ## relocatable folder and tarball in dist/; MODELS=1 packs the installed models
	@tools/dist.sh build/release

clean: ## remove what was built; samples, tools and place names stay
	@rm -rf build/release build/dev build/asan-ubsan build/tsan build/fuzz build/run dist

format: ## clang-format on every source file
	@$(sources) | xargs -r clang-format-16 -i

lint: setup ## formatting and clang-tidy on every source file
	@$(sources) | xargs -r clang-format-16 --dry-run -Werror
	@$(sources) | sed -n '/^src\/.*\.cpp$$/p' | tools/tidy.sh $(JOBS)
