# The targets people type. Each is safe to call again: what is done is not done twice. `make` alone lists them.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
.PHONY: help setup setup-tests build build-tests run test test-slow bench fuzz install dist clean format lint

PREFIX ?= /usr/local
JOBS ?= $(shell nproc)
FUZZ_SECONDS ?= 60
engine := build/release/bin/image-engine
sources = git ls-files '*.h' '*.cpp' '*.cu'

help: ## this list
	@echo 'usage: make TARGET'
	@sed -n 's/^\([a-z]*\):[^#]*## /  \1\t/p' $(MAKEFILE_LIST) | expand -t 12

setup: ## install what building and running need, make the samples (Debian 12; root or sudo); GPU=1 fetches libraries for NVIDIA GPUs, CUDA=1 their compiler
	@tools/setup.sh $(if $(GPU),--gpu) $(if $(CUDA),--cuda) $(if $(DIR),--no-samples)

setup-tests: ## the same, and what tests, benchmarks and linters need
	@tools/setup.sh --tests $(if $(GPU),--gpu) $(if $(CUDA),--cuda)

build: setup ## the two programs, optimised, in build/release
	@tools/build.sh release $(JOBS) image-engine image-engine-worker image-engine-plugin-host

build-tests: setup-tests ## the same with tests and benchmarks
	@tools/build.sh test $(JOBS)

run: build ## analyse the samples, or DIR=…, then ask two questions
	@tools/run.sh $(engine) "$${DIR:-}"

test: build-tests ## unit and integration tests
	@ctest --preset test -L '^(unit|integration)$$' -j $(JOBS)

test-slow: build-tests ## the tests that take minutes
	@ctest --preset test -L '^slow$$' -j $(JOBS)

bench: build-tests ## every benchmark
	@tools/bench.sh

fuzz: setup-tests ## every fuzz target for FUZZ_SECONDS=60 each
	@tools/build.sh sanitize $(JOBS)
	@tools/fuzz.sh $(FUZZ_SECONDS) $(JOBS)

install: build ## install under PREFIX=/usr/local
	@cmake --install build/release --prefix '$(PREFIX)'

dist: build ## relocatable folder and tarball in dist/; MODELS=1 packs the installed models, GPU=1 what NVIDIA GPUs need
	@$(if $(GPU),tools/setup.sh --gpu --cuda && cmake --preset cuda >/dev/null && tools/build.sh cuda $(JOBS) image-engine-gpu-worker &&) tools/dist.sh build/release

clean: ## remove what was built; samples, tools and place names stay
	@rm -rf build/release build/dev build/sanitize build/tsan build/lint build/run dist

format: ## clang-format on every source file
	@$(sources) | xargs -r clang-format-16 -i

lint: setup-tests ## formatting and clang-tidy on every source file
	@$(sources) | xargs -r clang-format-16 --dry-run -Werror
	@$(sources) | sed -n '/^src\/.*\.cpp$$/p' | python3 tools/tidy.py --jobs $(JOBS)
