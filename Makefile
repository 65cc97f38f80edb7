# kpipe - one rule per kind of file; nothing recursive. `make help` lists the targets.

VERSION  := 0.1.0
PREFIX   ?= /usr/local
DESTDIR  ?=
B        ?= build
CC       ?= gcc
OPT      ?= -O2
SAN      ?=
WERROR   ?=

PKGS     := libuv libcurl openssl jansson lua5.4 sqlite3 libnghttp2
PKGS_WIRE := libcrypto zlib liblz4 libdeflate libisal
WARN     := -Wall -Wextra -Wshadow -Wconversion -Wno-sign-conversion -Wstrict-prototypes \
            -Wmissing-prototypes -Wvla -Wwrite-strings -Wpointer-arith $(WERROR)
CPPFLAGS += -D_GNU_SOURCE -DKPIPE_VERSION='"$(VERSION)"' -I. -Isdk/include $(shell pkg-config --cflags $(PKGS) $(PKGS_WIRE))
CFLAGS   += -std=c11 -g $(OPT) -march=x86-64-v2 -fvisibility=hidden -fPIC -pthread \
            -fno-omit-frame-pointer -fstack-protector-strong $(WARN) $(SAN)
ifneq ($(shell uname -m),x86_64)
CFLAGS   := $(filter-out -march=x86-64-v2,$(CFLAGS))
endif
LDFLAGS  += -Wl,--as-needed -pthread $(SAN) -Wl,-z,relro,-z,now
LIBS     := $(shell pkg-config --libs $(PKGS)) -ldl -lm
LIBS_WIRE := $(shell pkg-config --libs $(PKGS_WIRE))

# One short line per step; V=1 shows the commands, make -s nothing.
Q := $(if $(V),,@)
ifeq ($(V)$(findstring s,$(firstword -$(MAKEFLAGS))),)
say = @printf '  %-5s %s\n' $(1) $(2)
endif

obj = $(patsubst %.c,$(B)/obj/%.o,$(1))

WIRE_SRC    := $(wildcard sdk/wire/*.c)
OBJECTS_SRC := $(wildcard sdk/objects/*.c)
HARNESS_SRC := $(wildcard sdk/harness/*.c)
CORE_SRC    := $(wildcard core/base/*.c core/config/*.c core/plugin/*.c core/run/*.c core/lease/*.c core/net/*.c core/aws/*.c core/obs/*.c)
CLI_SRC     := $(wildcard core/cli/*.c)
UNIT_SRC    := $(wildcard tests/unit/*.c)
PLUGIN_NAMES := $(sort $(notdir $(patsubst %/,%,$(dir $(wildcard plugins/*/*.c)))))
PLUGIN_SO   := $(PLUGIN_NAMES:%=$(B)/plugins/%.so)
PLUGIN_TESTS := $(patsubst plugins/%_test.c,$(B)/tests/%_test,$(wildcard plugins/*/*_test.c plugins/*/*/*_test.c)) \
                $(patsubst sdk/examples/%_test.c,$(B)/tests/%_test,$(wildcard sdk/examples/*/*_test.c))
EXAMPLE_SO  := $(patsubst sdk/examples/%/,$(B)/examples/%.so,$(wildcard sdk/examples/*/))
FUZZERS     := $(patsubst tests/fuzz/%.c,$(B)/fuzz/%,$(wildcard tests/fuzz/fuzz_*.c))

# Libraries one plugin needs beside the wire library: LIBS_<plugin> in plugins/NAME/plugin.mk.
-include $(wildcard plugins/*/plugin.mk)

.PHONY: all everything test unit plugin-tests run check fmt bench golden fuzz man clean install dist help
.SECONDARY:

all: $(B)/kpipe $(PLUGIN_SO) $(EXAMPLE_SO) ## build everything into build/

$(B)/kpipe: $(call obj,$(CLI_SRC)) $(B)/libkpcore.a $(B)/libkpwire.a
	$(call say,LINK,$@)
	$(Q)$(CC) $(LDFLAGS) -o $@ $^ $(LIBS) $(LIBS_WIRE)

$(B)/libkpcli.a: $(call obj,$(filter-out core/cli/main.c,$(CLI_SRC)))
$(B)/libkpcore.a: $(call obj,$(CORE_SRC))
$(B)/libkpwire.a: $(call obj,$(WIRE_SRC))
$(B)/libkpobjects.a: $(call obj,$(OBJECTS_SRC))
$(B)/libkpharness.a: $(call obj,$(HARNESS_SRC))
$(B)/%.a:
	@rm -f $@
	$(call say,AR,$@)
	$(Q)ar rcs $@ $^

# A plugin: every .c of its folder and the folders below but the tests; it sees sdk/ only and leaves no kpipe
# symbol undefined.
plugin_src = $(filter-out %_test.c,$(wildcard $(1)/*.c $(1)/*/*.c))
# "local-aws" of the stem "local-aws/kinesis/put"
plugin_of = $(firstword $(subst /, ,$(1)))
# The plugin's own folder. A rule cannot say this itself: its % would become the stem.
plugin_dir = $(patsubst %/,%,$(wildcard plugins/$(plugin_of)/ sdk/examples/$(plugin_of)/))
define plugin_rule
$(B)/plugins/$(1).so: $$(call obj,$$(call plugin_src,plugins/$(1))) $(B)/libkpobjects.a $(B)/libkpwire.a
	@mkdir -p $$(@D)
	$$(call say,LINK,$$@)
	$$(Q)$$(CC) $$(LDFLAGS) -shared -Wl,--exclude-libs,ALL -Wl,-z,defs -o $$@ $$^ $$(LIBS_$(1)) $$(LIBS_WIRE) -lm
endef
define example_rule
$(B)/examples/$(1).so: $$(call obj,$$(call plugin_src,sdk/examples/$(1))) $(B)/libkpwire.a
	@mkdir -p $$(@D)
	$$(call say,LINK,$$@)
	$$(Q)$$(CC) $$(LDFLAGS) -shared -Wl,--exclude-libs,ALL -Wl,-z,defs -o $$@ $$^ $$(LIBS_WIRE)
endef
$(foreach p,$(PLUGIN_NAMES),$(eval $(call plugin_rule,$(p))))
$(foreach e,$(EXAMPLE_SO:$(B)/examples/%.so=%),$(eval $(call example_rule,$(e))))

# Plugin tests link the plugin's own objects with the harness: the same source as the .so, built statically.
TEST_MAIN := $(B)/obj/tests/kptest.o
.SECONDEXPANSION:
$(B)/tests/%_test: $$(call obj,$$(wildcard plugins/$$*_test.c sdk/examples/$$*_test.c)) \
                   $$(call obj,$$(call plugin_src,$$(call plugin_dir,$$*))) \
                   $(TEST_MAIN) $(B)/libkpharness.a $(B)/libkpobjects.a $(B)/libkpcore.a $(B)/libkpwire.a
	@mkdir -p $(@D)
	$(call say,LINK,$@)
	$(Q)$(CC) $(LDFLAGS) -o $@ $^ $(LIBS_$(call plugin_of,$*)) $(LIBS) $(LIBS_WIRE) -lcunit

$(B)/tests/unit: $(call obj,$(UNIT_SRC)) $(TEST_MAIN) $(B)/libkpharness.a $(B)/libkpobjects.a $(B)/libkpcli.a \
                 $(B)/libkpcore.a $(B)/libkpwire.a
	@mkdir -p $(@D)
	$(call say,LINK,$@)
	$(Q)$(CC) $(LDFLAGS) -o $@ $^ $(LIBS) $(LIBS_WIRE) -lcunit

$(B)/fuzz/%: tests/fuzz/%.c $(B)/libkpcore.a $(B)/libkpwire.a
	@mkdir -p $(@D)
	$(call say,LINK,$@)
	$(Q)$(CC) $(CPPFLAGS) $(CFLAGS) -fsanitize=fuzzer $(LDFLAGS) -o $@ $^ $(LIBS) $(LIBS_WIRE)

everything: all $(B)/tests/unit $(PLUGIN_TESTS) \
            $(call obj,$(wildcard tests/fuzz/*.c tests/abi/*.c ci/planted/*.c)) ## all, and every test compiled

# The bugs that prove a sanitizer: see ci/sanitize.
$(B)/planted/%: ci/planted/%.c
	@mkdir -p $(@D)
	$(call say,LINK,$@)
	$(Q)$(CC) $(CPPFLAGS) $(CFLAGS) $(LDFLAGS) -o $@ $<

$(B)/obj/%.o: %.c
	@mkdir -p $(@D)
	$(call say,CC,$<)
	$(Q)$(CC) $(CPPFLAGS) $(CFLAGS) -MMD -MP -c -o $@ $<

-include $(shell find $(B)/obj -name '*.d' 2>/dev/null)

unit: $(B)/tests/unit $(B)/kpipe $(B)/plugins/local-aws.so ## unit tests (CUnit)
	$(B)/tests/unit

plugin-tests: $(PLUGIN_TESTS) ## plugin tests, one program each, through the harness
	@set -e; for t in $(PLUGIN_TESTS); do echo "== $$t"; $$t; done

test: all $(B)/tests/unit $(PLUGIN_TESTS) ## all tests
	@B=$(B) CC="$(CC)" sh tests/run

run: all ## pattern 4 on the embedded local AWS with the real taxi data
	@B=$(B) sh scripts/demo

check: ## the quick gates: format, layers, limits, shell
	@B=$(B) sh ci/quick

golden: all ## write the golden files anew; review them like code
	UPDATE=1 sh tests/golden/run

bench: all ## ratios side by side in one run
	@B=$(B) CC="$(CC)" sh scripts/bench

man: $(B)/kpipe.1 ## the manual page, made from what the program says of itself
$(B)/kpipe.1: core/cli/kpipe.1.in core/obs/events.txt scripts/mkdocs $(B)/kpipe $(PLUGIN_SO)
	$(call say,MAN,$@)
	$(Q)sh scripts/mkdocs $(B)/kpipe >$@.new
	@mv $@.new $@

fmt:
	git ls-files '*.c' '*.h' | xargs clang-format -i

fuzz: $(FUZZERS) ## build the fuzz targets; ci/fuzz does it with clang and runs them

clean:
	rm -rf $(B)

install: all man ## PREFIX=/usr/local DESTDIR=
	install -d $(DESTDIR)$(PREFIX)/bin $(DESTDIR)$(PREFIX)/lib/kpipe/plugins $(DESTDIR)$(PREFIX)/include/kpipe/ext \
	  $(DESTDIR)$(PREFIX)/share/kpipe/template $(DESTDIR)$(PREFIX)/share/man/man1
	install -m 755 $(B)/kpipe $(DESTDIR)$(PREFIX)/bin/kpipe
	install -m 644 $(PLUGIN_SO) $(DESTDIR)$(PREFIX)/lib/kpipe/plugins/
	install -m 644 sdk/include/kpipe/*.h $(DESTDIR)$(PREFIX)/include/kpipe/
	install -m 644 sdk/include/kpipe/ext/*.h $(DESTDIR)$(PREFIX)/include/kpipe/ext/
	install -m 644 sdk/template/* $(DESTDIR)$(PREFIX)/share/kpipe/template/
	install -m 644 $(B)/kpipe.1 $(DESTDIR)$(PREFIX)/share/man/man1/

dist: ## a source archive of what is committed
	git archive --prefix=kpipe-$(VERSION)/ -o kpipe-$(VERSION).tar.gz HEAD

help:
	@grep -hE '^[a-z-]+:.*##' Makefile | sed -E 's/:.*## /\t/' | expand -t 16
