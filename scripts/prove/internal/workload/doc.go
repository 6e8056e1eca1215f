// Package workload implements the clients of the test: many of them, over HTTP and gRPC and at
// every replica. A seed determines the plan of their calls, and each call is recorded with its
// outcome. Readers request the list meanwhile, to check read-your-writes.
//
// A client retries as the API allows. It repeats a creation with the same Idempotency-Key,
// completions and deletions because they are idempotent, and any other call only if the request
// was never sent. Any other outcome is unknown, and the checker resolves it.
package workload
