# The workspace's commands. Each module has a Makefile of its own with the same
# targets; the ones here run them in every module.

MODULES  := contracts platform todo-service notification-service stats-service scripts
DEVSTACK := .dev/bin/devstack
PROVE    := .dev/bin/prove
KAFKA    ?= embedded

.DEFAULT_GOAL := help
.PHONY: help run stop start reset test test-modules build vet lint layers style generate breaking compose-check deploy-check images test-compose bench-cache bench-sign-in prove prove-mutants prove-versions prove-watch bench-events bench-edge bench-page load fuzz fuzz-api

help: ## Show this help
	@awk 'BEGIN {FS = ":.*## "} /^[a-z0-9-]+:.*## / {printf "  make %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

run: $(DEVSTACK) ## Run the whole system from source, without Docker (KAFKA=apache for the real Kafka, SECURE=1 for sign-in and TLS)
	@exec $(DEVSTACK) run --kafka=$(KAFKA) $(if $(filter-out 0,$(SECURE)),--secure)

stop: $(DEVSTACK) ## Stop one part of the running system: make stop PART=kafka
	@exec $(DEVSTACK) stop $(PART)

start: $(DEVSTACK) ## Start it again: make start PART=kafka
	@exec $(DEVSTACK) start $(PART)

reset: $(DEVSTACK) ## Remove the data of make run
	@exec $(DEVSTACK) reset

test: $(DEVSTACK) ## Every test, on real PostgreSQL, Redis and Kafka
	@$(DEVSTACK) with --postgres --redis --kafka=best -- $(MAKE) --no-print-directory test-modules

test-modules:
	@set -e; for module in $(MODULES); do $(MAKE) --no-print-directory -C $$module test; done

build vet: ## Build or vet every module on its own
	@set -e; for module in $(MODULES); do echo "== $@ $$module"; $(MAKE) --no-print-directory -C $$module $@; done

lint: layers style workflows ## Lint every module, and check the imports, the style and the CI workflows
	@$(MAKE) --no-print-directory -C contracts golangci-lint
	@set -e; for module in $(MODULES); do echo "== lint $$module"; $(MAKE) --no-print-directory -C $$module lint; done

layers: ## Check the import rules over the whole dependency graph
	@cd scripts && GOWORK=off go test -count=1 ./check/imports

style: ## Check words, names, sizes and exports, which the linter cannot
	@cd scripts && GOWORK=off go test -count=1 ./check/style

.PHONY: workflows
workflows: ## Check the CI workflows
	@$(MAKE) --no-print-directory -C contracts actionlint
	@.cache/bin/actionlint
	@cd scripts && GOWORK=off go test -count=1 ./check/workflows

generate: ## Regenerate the code from the contracts
	@$(MAKE) --no-print-directory -C contracts generate

breaking: ## Compare the contracts with the released ones
	@$(MAKE) --no-print-directory -C contracts breaking

compose-check: ## Check the compose files
	@for variant in "" zookeeper scale secure; do $(or $(DOCKER),docker) compose -f compose/compose.yaml $${variant:+-f compose/$$variant.yaml} config --quiet || exit 1; done

images: ## Build the images of the services
	@set -e; for service in todo-service notification-service stats-service; do $(MAKE) --no-print-directory -C $$service image; done

test-compose: ## Build the images, and run the system in containers through the end-to-end tests
	@cd scripts && GOWORK=off go run ./local-images
	@$(MAKE) --no-print-directory images
	@$(MAKE) --no-print-directory -C scripts test-compose

deploy-check: ## Render the Kubernetes manifests and validate them, without a cluster
	@cd scripts && GOWORK=off go test -count=1 ./check/deploy
	@scripts/check/deploy/validate

bench-cache: $(DEVSTACK) ## Measure a list from PostgreSQL against one from the cache
	@$(DEVSTACK) with --postgres --redis -- $(MAKE) --no-print-directory -C todo-service bench-cache

bench-sign-in: $(DEVSTACK) ## Measure lists during an attack on an account, and the times of another's task and of none; both have a limit
	@$(DEVSTACK) with --postgres --redis -- $(MAKE) --no-print-directory -C todo-service bench-sign-in

bench-events: $(DEVSTACK) ## Measure the relay and the consumers against kcat, on the real Kafka
	@$(DEVSTACK) with --postgres --redis --kafka=apache -- $(MAKE) --no-print-directory -C scripts bench-events

bench-edge: $(DEVSTACK) ## Measure requests against bare net/http, pgbench and Sarama, on the real Kafka (ONLY=hit,create)
	@$(DEVSTACK) with --postgres --durable --redis --kafka=apache -- $(MAKE) --no-print-directory -C scripts bench-edge ONLY=$(ONLY)

bench-page: $(DEVSTACK) ## Measure the page in a real Chromium: live changes, first paint, clicks, scrolling, size, memory
	@$(DEVSTACK) with --postgres --redis --kafka -- $(MAKE) --no-print-directory -C scripts bench-page

load: $(DEVSTACK) ## Load tests in full: rolling restarts, 5,000 slow senders, 5,000 watchers, a soak of 50,000 tasks
	@$(DEVSTACK) with --postgres --redis --kafka=best -- $(MAKE) --no-print-directory -C scripts load

prove-watch: $(DEVSTACK) ## Check that 100 watchers miss nothing while subscriptions are cut and servers killed
	@$(DEVSTACK) with --postgres --redis -- $(MAKE) --no-print-directory -C todo-service prove-watch

prove: $(PROVE) ## Inject faults into the running system and check every promise (CHANGES=200000 for the long run, SEED, SCENARIO)
	@exec $(PROVE) $(if $(CHANGES),--changes=$(CHANGES)) $(if $(SEED),--seed=$(SEED)) $(if $(SCENARIO),--scenario=$(SCENARIO))

prove-mutants: $(PROVE) ## Bring naive designs back, one by one, and show that the checker catches each (ONLY, SEED)
	@exec $(PROVE) mutants $(if $(ONLY),--only=$(ONLY)) $(if $(SEED),--seed=$(SEED))

prove-versions: $(PROVE) ## Deploy this version over the released one, replica by replica, and judge each mix of both (RELEASED=v0.9.0, CHANGES, SEED)
	@set -e; for scenario in $(or $(SCENARIO),consumers-first producer-first mixed-replicas); do \
		$(PROVE) --scenario=$$scenario --out=.dev/prove/$$scenario.json $(if $(RELEASED),--released=$(RELEASED)) \
			$(if $(CHANGES),--changes=$(CHANGES)) $(if $(SEED),--seed=$(SEED)); \
	done

fuzz: ## Fuzz every decoder, each for FUZZTIME=10s (TARGET: a pattern of their names)
	@scripts/test/fuzz "$(or $(FUZZTIME),10s)" "$(or $(TARGET),.)"

fuzz-api: $(DEVSTACK) ## Fuzz the HTTP APIs with valid and invalid requests from their OpenAPI documents (FUZZ_SECONDS=60, SEED)
	@scripts/test/fuzzapi/fuzzapi $(or $(FUZZ_SECONDS),60)

.PHONY: sbom licences secrets vuln supply-chain
sbom: ## Write a software bill of materials of each program to .dev/sbom
	@$(MAKE) --no-print-directory -C contracts cyclonedx-gomod
	@scripts/sbom .dev/sbom

licences: ## Check the licences of what the services link
	@cd scripts && GOWORK=off go test -count=1 -run EveryLicence ./check/licences

secrets: ## Scan the tree and its whole history for secrets
	@$(MAKE) --no-print-directory -C contracts gitleaks
	@scripts/check/secrets/scan

vuln: ## Look for known vulnerabilities in what the services call; needs vuln.go.dev or GOVULNDB
	@$(MAKE) --no-print-directory -C contracts govulncheck
	@scripts/check/vulnerabilities/scan

supply-chain: sbom licences secrets vuln ## All four: sbom, licences, secrets, vuln

.PHONY: polyrepo
polyrepo: $(DEVSTACK) ## Build, vet and test each module in a folder of its own, without the others (MODULE=todo-service; DOCKER=docker for the images, too)
	@$(MAKE) --no-print-directory -C contracts buf
	@$(DEVSTACK) with --postgres --redis --kafka -- $(MAKE) --no-print-directory -C scripts polyrepo MODULE=$(MODULE) DOCKER=$(DOCKER)

.PHONY: release
release: ## Check a release (VERSION=v0.9.0, MODULE=todo-service for one alone); CREATE=yes makes its tags
	@cd scripts && GOWORK=off go run ./release --tree .. $(if $(CREATE),--create) $(MODULE) $(VERSION)

.PHONY: $(DEVSTACK) $(PROVE)
$(DEVSTACK):
	@mkdir -p $(@D) && cd scripts && GOWORK=off go build -o ../$@ ./devstack

$(PROVE):
	@mkdir -p $(@D) && cd scripts && GOWORK=off go build -o ../$@ ./prove
