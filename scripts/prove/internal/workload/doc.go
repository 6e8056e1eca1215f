// Package workload is the clients of a proof: many of them, over HTTP and gRPC
// and on every replica, whose plan of calls comes from a seed and who write down
// what they were told. They also read the list all the while, as those do who
// want to see their own writes.
//
// A client is careful in the way that the API asks for: it tries a creation again
// under the same Idempotency-Key, completing and deleting because they may be
// repeated, and anything else only when the request certainly never left. What it
// does not know it calls unknown, and leaves to the audit.
package workload
