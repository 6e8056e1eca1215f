// Package cluster is the real system, for a proof: PostgreSQL, two Redis servers, Kafka and two replicas
// of every service, in a folder of its own and on free ports of 127.0.0.1. Every program is kept
// running, and can be killed, frozen and held; the services reach every server over a link that can be
// harmed. Whoever looks on reaches the servers without one.
package cluster
