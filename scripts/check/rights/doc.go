// Package rights checks what each service may do in PostgreSQL, Redis and Kafka: what its code needs, and nothing else.
package rights
