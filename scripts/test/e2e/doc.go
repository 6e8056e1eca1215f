// Package e2e drives the running system from outside, as its users do: over
// HTTP, gRPC, Redis and Kafka. It imports nothing of the services.
//
// The tests start a system of their own on free ports, with real PostgreSQL,
// Redis and Kafka, and stop parts of it on purpose. E2E_SYSTEM selects how it
// runs: devstack, which is the default, builds the services and starts them as
// processes; compose runs their images, which must exist, in containers.
// E2E_VARIANT then names a file that compose.yaml is combined with, and a few
// tests run against it.
//
// E2E_SECURE=1 runs the system with sign-in, TLS and SASL, and each test as a user of its own. The variant secure does so in
// containers.
//
// E2E_KAFKA is the Kafka of devstack: apache, embedded or best, which is the
// default: apache if Java 17 is installed, otherwise embedded.
package e2e
