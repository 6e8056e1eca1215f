// Package e2e drives the running system from outside, as its users do: over
// HTTP, gRPC, Redis and Kafka. It imports nothing of the services.
//
// The tests start a stack of their own, with real PostgreSQL, Redis and Kafka on
// free ports and in a folder of its own, and stop parts of it on purpose.
// E2E_KAFKA is apache, embedded or best, which is the default: apache if Java 17
// is installed, otherwise embedded.
package e2e
