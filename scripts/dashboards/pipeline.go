package main

func cacheRow() row {
	return row{"Cached list", []panel{
		{
			title: "Hit rate", unit: "percentunit", width: 12, max: new(1.0),
			description: "Share of the list requests that Redis answered.",
			targets:     overTime(query{hitRate(), "hit rate"}),
		},
		{
			title: "Lists and failures", unit: "ops", width: 12,
			description: "Lists per second from Redis and from the database, failed calls of the cache, and lists and invalidations that it did not confirm.",
			targets: overTime(
				query{sum("", rate("cache_hits_total")), "hits"},
				query{sum("", rate("cache_misses_total")), "misses"},
				query{sum("", rate("todo_cache_errors_total")), "failed calls"},
				query{sum("", rate("todo_cache_fills_refused_total")), "fills overtaken by a write"},
				query{sum("", rate("todo_cache_unconfirmed_invalidations_total")), "invalidations without confirmation"},
			),
		},
	}}
}

func outboxRow() row {
	return row{"Outbox", []panel{
		{
			title: "Age of the oldest event not sent", unit: "s", width: 8, warn: 5, alarm: 60,
			description: "How long the oldest event waits, by destination; 0 when all are sent.",
			targets:     overTime(query{maximum("cursor", selector("todo_outbox_oldest_seconds")), "{{cursor}}"}),
		},
		{
			title: "Backlog", unit: "short", width: 8,
			description: "Events that are not sent yet, by destination.",
			targets:     overTime(query{maximum("cursor", selector("todo_outbox_backlog_events")), "{{cursor}}"}),
		},
		{
			title: "Sends to Kafka", unit: "s", width: 8,
			description: "Duration of sends to Kafka until all replicas acknowledged them.",
			targets:     overTime(quantiles("kafka_producer_send_seconds", `result="ok"`)...),
		},
		{
			title: "Failed sends to Kafka", unit: "ops", width: 8,
			description: "Sends to Kafka per second that failed; the relay repeats them.",
			targets:     overTime(query{sum("", rate("kafka_producer_send_seconds_count", `result="error"`)), "failed"}),
		},
	}}
}

func consumersRow() row {
	return row{"Consumers", []panel{
		{
			title: "Lag by group", unit: "short", width: 8, warn: 100, alarm: 10_000,
			description: "Records in Kafka that the group has not handled yet.",
			targets:     overTime(query{sum("group", selector("kafka_consumer_lag_records")), "{{group}}"}),
		},
		{
			title: "Records by outcome", unit: "cps", width: 8,
			description: "Records per second that a group is done with: handled, dead-lettered, or skipped.",
			targets:     overTime(query{sum("group, outcome", rate("kafka_consumer_records_total")), "{{group}} {{outcome}}"}),
		},
		{
			title: "Handler duration, p95", unit: "s", width: 8,
			description: "95% of the calls of a group's handler take at most this time.",
			targets:     overTime(query{quantile(0.95, "group", "kafka_consumer_handle_seconds"), "{{group}}"}),
		},
		{
			title: "Retries", unit: "cps", width: 8,
			description: "Times per second that records were given to the handler again after an error that can pass.",
			targets:     overTime(query{sum("group", rate("kafka_consumer_retries_total")), "{{group}}"}),
		},
		{
			title: "Dead letters", unit: "short", width: 8,
			description: "Records that went to the dead letter queue since the process started.",
			targets:     overTime(query{sum("group", selector("kafka_consumer_records_total", `outcome="dead_lettered"`)), "{{group}}"}),
		},
		{
			title: "Alarms", unit: "short", width: 8,
			description: "Lost records, batches that cannot be decoded and replaced topics since the process started, and handlers that do not return; any of them is an alarm.",
			targets: overTime(
				query{sum("group", selector("kafka_consumer_lost_records_total")), "lost records, {{group}}"},
				query{sum("group", selector("kafka_consumer_undecodable_batches_total")), "undecodable batches, {{group}}"},
				query{sum("group", selector("kafka_consumer_overdue_handlers")), "overdue handlers, {{group}}"},
				query{sum("group", selector("kafka_consumer_replaced_topics_total")), "replaced topics, {{group}}"},
			),
		},
		{
			title: "Events in notification-service", unit: "cps", width: 12,
			description: "Events per second: sent, recognised as duplicate or redelivered, and ignored.",
			targets:     overTime(query{sum("outcome", rate("notification_events_total")), "{{outcome}}"}),
		},
		{
			title: "Events in stats-service", unit: "cps", width: 12,
			description: "Events per second: counted, recognised as duplicate, and ignored.",
			targets:     overTime(query{sum("outcome", rate("stats_events_total")), "{{outcome}}"}),
		},
	}}
}

func storesRow() row {
	return row{"PostgreSQL and Redis", []panel{
		{
			title: "PostgreSQL statements", unit: "s", width: 8,
			description: "Duration of statements until their first row or their end.",
			targets:     overTime(quantiles("postgres_statement_seconds")...),
		},
		{
			title: "Redis round trips, p95", unit: "s", width: 8,
			description: "95% of the commands and pipelines take at most this time, the wait for a connection included.",
			targets:     overTime(query{quantile(0.95, "job, instance, server", "redis_roundtrip_seconds"), "{{job}} {{instance}} {{server}}"}),
		},
		{
			title: "Failures", unit: "ops", width: 8,
			description: "Statements and round trips per second that failed.",
			targets: overTime(
				query{sum("job, instance", rate("postgres_statement_seconds_count", `result="error"`)), "PostgreSQL, {{job}} {{instance}}"},
				query{sum("job, instance, server", rate("redis_roundtrip_seconds_count", `result="error"`)), "{{server}}, {{job}} {{instance}}"},
			),
		},
		{
			title: "PostgreSQL pool", unit: "short", width: 8,
			description: "Connections of the pool that are in use, open, and allowed.",
			targets: overTime(
				query{selector("go_sql_in_use_connections"), "in use, {{job}} {{instance}}"},
				query{selector("go_sql_open_connections"), "open, {{job}} {{instance}}"},
				query{selector("go_sql_max_open_connections"), "allowed, {{job}} {{instance}}"},
			),
		},
		{
			title: "Redis pools", unit: "short", width: 8,
			description: "Connections of each pool for commands, by state.",
			targets:     overTime(query{selector("redis_pool_connections"), "{{job}} {{instance}} {{server}} {{state}}"}),
		},
		{
			title: "Waiting for a connection", unit: "ops", width: 8,
			description: "Times per second that a statement waited for a connection, and that a command did not get one in time.",
			targets: overTime(
				query{sum("job, instance", rate("go_sql_wait_count_total")), "PostgreSQL waits, {{job}} {{instance}}"},
				query{sum("job, instance, server", rate("redis_pool_timeouts_total")), "{{server}} timeouts, {{job}} {{instance}}"},
			),
		},
	}}
}

func runtimeRow() row {
	return row{"Processes and the Go runtime", []panel{
		{
			title: "CPU", unit: "percentunit", width: 8,
			description: "Processor time per second; 100% is one processor.",
			targets:     overTime(query{rate("process_cpu_seconds_total"), "{{job}} {{instance}}"}),
		},
		{
			title: "Memory", unit: "bytes", width: 8,
			description: "Resident memory of the process, and the part of it that holds objects of the heap.",
			targets: overTime(
				query{selector("process_resident_memory_bytes"), "resident, {{job}} {{instance}}"},
				query{selector("go_memstats_heap_alloc_bytes"), "heap, {{job}} {{instance}}"},
			),
		},
		{
			title: "Garbage collection", unit: "percentunit", width: 8,
			description: "Share of the time in which a garbage collection stopped the program.",
			targets:     overTime(query{rate("go_gc_duration_seconds_sum"), "{{job}} {{instance}}"}),
		},
		{
			title: "Goroutines", unit: "short", width: 8,
			description: "Goroutines that exist.",
			targets:     overTime(query{selector("go_goroutines"), "{{job}} {{instance}}"}),
		},
		{
			title: "Open files", unit: "percentunit", width: 8, max: new(1.0), warn: 0.7, alarm: 0.9,
			description: "Open file descriptors, connections included, as a share of the limit.",
			targets:     overTime(query{selector("process_open_fds") + " / " + selector("process_max_fds"), "{{job}} {{instance}}"}),
		},
		{
			title: "Uptime", unit: "s", width: 8,
			description: "Time since the process started.",
			targets:     overTime(query{"time() - " + selector("process_start_time_seconds"), "{{job}} {{instance}}"}),
		},
	}}
}
