# The commands of the project. Everything runs in the active virtual environment, or in .venv
# (made on first use) when none is active. Build directories live in build/, one a flavour.
SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := build
.DELETE_ON_ERROR:

ENV := $(or $(VIRTUAL_ENV),$(CURDIR)/.venv)
PY := $(ENV)/bin/python
export PATH := $(ENV)/bin:$(PATH)
export CMAKE_GENERATOR := Ninja
export PIP_DISABLE_PIP_VERSION_CHECK := 1
READY := $(ENV)/.pystream-ready
T ?= 60
SEEDS ?= 200
KILLS ?= 500
MINUTES ?= 30
JOBS ?= $(shell getconf _NPROCESSORS_ONLN)
C_FILES = $(shell git ls-files --cached --others --exclude-standard '*.c' '*.h' | xargs -r ls 2>/dev/null)
EDITABLE := install -q --no-deps --no-build-isolation -e .
# C tests that start threads, themselves or through a header or another test that they include;
# Python under ThreadSanitizer is noise.
STARTS_THREADS := <pthread.h>|"(flow_engine|ring_stress).h"|"test_[a-z_]*.c"
THREADED = ^(canary.*$(shell grep -lE '$(STARTS_THREADS)' tests/c/test_*.c | \
    sed 's:.*/:|:; s:[.]c$$::' | tr -d '\n'))$$
# Tests that drive no native code, or spend their time on servers, on other programs, or on processes
# and sinks that die at every line.
UNSANITIZED := $(addprefix --ignore=tests/,tidy typing services crash props/test_checkpoint_model.py \
    $(patsubst %,unit/test_%.py,checkpoint checkpoint_disk cli demo demo_replay demo_views \
    directory_sink docs durations examples lease notebook package process progress \
    read_checkpoint sink_crashes sink_types storage table_sinks topic_kills topic_transactions))
WITHOUT_ASLR := $(shell setarch -R true 2>/dev/null && echo setarch -R)

.PHONY: build test test-slow ctest lint format tidy sanitize tsan sim fuzz bench bench-latency bench-toy \
    bench-compare crash-matrix crash-broken soak backpressure ci clean

$(READY): pyproject.toml
	test -x $(PY) || python3 -m venv $(ENV)
	$(PY) -m pip install -q 'scikit-build-core>=0.11' 'cython>=3.1' 'cython-cmake>=0.2' 'cmake>=3.25' ninja
	$(PY) -m pip install -q --no-build-isolation -Cbuild-dir=build/dev \
	    -Ccmake.define.PYSTREAM_WERROR=ON -Ccmake.define.PYSTREAM_TESTS=ON -e '.[test,dev,bench]'
	touch $@

build: $(READY) ## editable build, C tests included
	$(PY) -m pip $(EDITABLE) -Cbuild-dir=build/dev \
	    -Ccmake.define.PYSTREAM_WERROR=ON -Ccmake.define.PYSTREAM_TESTS=ON

ctest: build
	ctest --test-dir build/dev --output-on-failure -j $(JOBS)

test: ctest ## C tests, then Python tests without the slow ones
	$(PY) -m pytest -m 'not slow'

test-slow: build ## the tests that take minutes: every crash point of every sink, many kills
	$(PY) -m pytest -m slow --timeout=3600

lint: build ## everything that reads the code without running it
	ruff check .
	ruff format --check .
	mypy --strict pystream
	@echo clang-format --dry-run -Werror
	@clang-format --dry-run -Werror $(C_FILES)
	cython-lint pystream/_native

format: $(READY)
	ruff check --fix-only --quiet .
	ruff format .
	@echo clang-format -i
	@clang-format -i $(C_FILES)

tidy: build ## the house rules
	$(PY) -m pytest tests/tidy

# The second environment sees the packages of the first, but not its editable install.
build/asan-py-env/bin/python: $(READY)
	$(PY) -m venv --clear --without-pip build/asan-py-env
	$(PY) -c 'import sysconfig; print(sysconfig.get_path("purelib"))' \
	    > "$$($@ -c 'import sysconfig; print(sysconfig.get_path("purelib"))')/zz_packages.pth"

sanitize: build/asan-py-env/bin/python ## C and Python tests, bad memory and undefined behaviour abort
	$(PY) -m pip --python build/asan-py-env/bin/python $(EDITABLE) -Cbuild-dir=build/asan-py \
	    -Ccmake.build-type=Debug -Ccmake.define.PYSTREAM_TESTS=ON \
	    -Ccmake.define.PYSTREAM_SANITIZE=address,undefined
	ASAN_OPTIONS=detect_leaks=1 ctest --test-dir build/asan-py --output-on-failure -j $(JOBS)
	$(WITHOUT_ASLR) env ASAN_OPTIONS=detect_leaks=0:quarantine_size_mb=8 PYTHONMALLOC=malloc \
	    LD_PRELOAD="$$(cc -print-file-name=libasan.so) $$(cc -print-file-name=libstdc++.so)" \
	    build/asan-py-env/bin/python -m pytest -m 'not slow' --hypothesis-profile=quick \
	    --timeout=600 -p no:cacheprovider $(UNSANITIZED)

tsan: $(READY) ## C tests of everything threaded
	cmake --preset tsan --log-level=WARNING
	cmake --build build/tsan
	$(WITHOUT_ASLR) ctest --test-dir build/tsan --output-on-failure --no-tests=ignore -R '$(THREADED)'

sim: build ## simulated jobs through crashes: make sim SEEDS=10000, or one again: make sim SEED=7
	$(PY) scripts/simulate.py --seeds $(SEEDS) $(if $(SEED),--seed $(SEED))

fuzz: $(READY) ## every fuzz target for T seconds
	cmake --preset fuzz --log-level=WARNING
	cmake --build build/fuzz
	for target in $$(find build/fuzz -maxdepth 1 -name 'fuzz_*' -type f -perm -u+x); do \
	    corpus=build/fuzz/corpus/$$(basename $$target); mkdir -p $$corpus; \
	    seeds=tests/fuzz/corpus/$$(basename $$target); test -d $$seeds || seeds=; \
	    $$target -max_total_time=$(T) $$corpus $$seeds; \
	done

bench: build ## throughput beside the C limits and beside other engines
	$(PY) -m pytest bench -q --timeout=0

bench-latency: build ## from a producer's schedule to a callback: make bench-latency RATE=1000000
	$(PY) bench/latency.py --rate $(or $(RATE),1000000) --seconds $(or $(SECONDS),25)

bench-toy: build ## every benchmark at toy size, so that none rots
	BENCH_ROWS=20000 BENCH_TURNS=1 $(PY) -m pytest bench -q
	$(PY) bench/latency.py --rate 50000 --seconds 3

bench-compare: build ## make bench-compare BASE=main HEAD=HEAD
	$(PY) bench/compare.py $(or $(BASE),main) $(or $(HEAD),HEAD)

ci: lint $(if $(TESTED),ctest,test) sanitize tsan ## what must pass before a change lands
	$(MAKE) sim
	$(MAKE) fuzz T=5
	$(MAKE) bench-toy

crash-matrix: build ## real processes, killed KILLS times over all sinks; SEED= another order
	$(PY) -m tests.crash.matrix --kills $(KILLS) $(if $(SEED),--seed $(SEED)) --table build/crash-matrix.md

crash-broken: build ## builds that are wrong on purpose, each of which must be caught
	$(PY) -m tests.crash.matrix --broken all --sinks folder --sources slices

soak: build ## checkpoints, kills and rescales for MINUTES, memory, files and threads looked at
	$(PY) -m tests.crash.soak --minutes $(MINUTES)

backpressure: build ## a sink that sleeps 10 ms a batch, for MINUTES and each kind of source
	$(PY) -m tests.crash.backpressure --minutes $(MINUTES)

clean:
	rm -rf build dist
