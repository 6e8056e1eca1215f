// Package consumer implements a consumer group: a Group gives batches of records to a
// Handler, in order, retries transient failures, and dead-letters records that can
// never be handled.
//
// A member's life, from one rebalance to the next:
//
//	Run ─> runMembership: connect, check both topics, join the group
//	          │
//	          v
//	       Setup: per partition, resolve the start position
//	          │      stored offset (OffsetStore), else committed offset, else the log's start
//	          v
//	       ConsumeClaim: one partitionConsumer per partition, until
//	          │      a rebalance, Run's context, a replaced topic, or a partition's error
//	          v
//	       Cleanup ──> join again, at once after a rebalance, else after a delay
//
// A partition in a session:
//
//	acquire the quarantine state
//	     v
//	prefetch the next batch <────────────────────────────────┐
//	     v                                                   │
//	skip replays for other groups                            │ the batch is done
//	     v                                                   │
//	execute: Begin, Handle, watchdog ─── handled ────> advance: mark the offset
//	     │ error              ^                              ^
//	     v                    │ transient: after a delay     │
//	handleFailure ────────────┘                              │ acknowledged
//	     │ permanent, 5 panics, 5 crashes                    │
//	     v                                                   │
//	publish the dead letter ─────────────────────────────────┘
//
// A batch that is in progress when the session ends has five seconds more (drainTimeout).
//
// A call of the handler ends with its context after a minute, or five seconds after its
// session. If it has not returned twelve seconds later, the goroutines' stacks are
// logged and Run returns an error. A record whose handling hangs is then treated like
// one that crashes its process. Otherwise its partition would stand still while the
// member's heartbeats continue.
//
// A dead letter keeps the key, value and headers of the original, followed by those of
// package headers. It may be written twice, when a process dies between Kafka's
// acknowledgement and the next commit: original-partition and original-offset tell. If
// the original cannot be decoded, or Kafka refuses the dead letter, it is written
// without the contents.
//
// A Group counts, by the label group:
//
//	kafka_consumer_records_total{outcome}     records done: handled, dead_lettered, skipped
//	kafka_consumer_retries_total              calls of the handler after an error
//	kafka_consumer_lost_records_total         records deleted from the log before they were read: alarm on any
//	kafka_consumer_replaced_topics_total      offsets and sessions found to be of an earlier topic of that name: alarm on any
//	kafka_consumer_overdue_handlers           calls of the handler that have not returned though their context has ended: alarm on any;
//	                                          the process ends if one does not return within twelve seconds
//	kafka_consumer_undecodable_batches_total  batches met that cannot be unpacked or decoded: alarm on any
//	kafka_consumer_reported_errors_total      errors that Kafka or Sarama reported, other than about the connection
//	kafka_consumer_handle_seconds             durations of the handler's calls, a histogram
//	kafka_consumer_lag_records{partition}     records not done, in this member's partitions, moving or held;
//	                                          the log's ends are requested every 2 s
package consumer
