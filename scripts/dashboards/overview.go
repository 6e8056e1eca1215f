package main

// overview returns the rows of "Todo overview": first what users see, then each part from
// the request to its effects.
func overview(completions row) []row {
	return []row{
		completions, glanceRow(), httpRow(), grpcRow(), limitsRow(),
		cacheRow(), outboxRow(), consumersRow(), storesRow(), runtimeRow(),
	}
}

// completionsRow is a row of its own: its first and last panel need a plugin that Grafana
// downloads, so a first start without a network leaves only these empty.
func completionsRow() row {
	return row{"Tasks completed", []panel{
		{
			kind: value, title: "Completed today, from Redis through /stats", unit: "short", width: 6, height: 8,
			description: "Tasks completed on the current UTC day, as stats-service counts them in Redis and GET /stats serves them.",
			targets:     fromStats("?days=1", "", column{"completed_today", "completed today", "number"}),
		},
		completedToday("Completed today, as a metric", "The same figure as a Prometheus gauge that stats-service reads on the same path.", 6),
		completedOverTime(6),
		{
			kind: bars, title: "Completed by day, from /stats", unit: "short", width: 6,
			description: "Tasks completed on each of the last 14 UTC days, as GET /stats serves them.",
			targets:     fromStats("?days=14", "by_day", column{"day", "day", "string"}, column{"completed", "completed", "number"}),
		},
	}}
}

// completionsGaugeRow is the row of a system with sign-in, where GET /stats needs a session.
func completionsGaugeRow() row {
	return row{"Tasks completed", []panel{
		completedToday("Completed today", "Tasks completed by all users on the current UTC day, as stats-service counts them in Redis.", 8),
		completedOverTime(16),
	}}
}

func completedToday(title, description string, width uint32) panel {
	return panel{
		kind: value, title: title, unit: "short", width: width, height: 8,
		description: description,
		targets:     atOnce(query{expr: maximum("", "stats_completed_today_tasks")}),
	}
}

func completedOverTime(width uint32) panel {
	return panel{
		title: "Completed today over time", unit: "short", width: width,
		description: "The gauge over time; it starts again from 0 at midnight UTC.",
		targets:     overTime(query{maximum("", "stats_completed_today_tasks"), "completed today"}),
	}
}

func glanceRow() row {
	failures := `code=~"5.."`
	return row{"At a glance", []panel{
		{
			kind: value, title: "Cache hit rate", unit: "percentunit", width: 4, warn: 0.5, alarm: 0.2, max: new(1.0),
			description: "Share of the list requests that Redis answered.",
			targets:     atOnce(query{expr: hitRate()}),
		},
		{
			kind: value, title: "Requests", unit: "reqps", width: 4,
			description: "HTTP requests and gRPC calls per second.",
			targets:     atOnce(query{expr: total(sum("", rate("http_requests_total")), sum("", rate("grpc_server_handled_total")))}),
		},
		{
			kind: value, title: "HTTP errors", unit: "percentunit", width: 4, warn: 0.001, alarm: 0.01, max: new(1.0),
			description: "Share of the HTTP requests that were answered with a 5xx status.",
			targets:     atOnce(query{expr: share(sum("", rate("http_requests_total", failures)), sum("", rate("http_requests_total")))}),
		},
		{
			kind: value, title: "HTTP latency, p99", unit: "s", width: 4, warn: 0.25, alarm: 1,
			description: "99% of the HTTP requests are answered within this time; streams are left out.",
			targets:     atOnce(query{expr: quantile(0.99, "", "http_request_duration_seconds", noStreams)}),
		},
		{
			kind: value, title: "Oldest event not sent", unit: "s", width: 4, warn: 5, alarm: 60,
			description: "Age of the oldest event that Kafka or the live feed has not got yet.",
			targets:     atOnce(query{expr: maximum("", selector("todo_outbox_oldest_seconds"))}),
		},
		{
			kind: value, title: "Consumer lag", unit: "short", width: 4, warn: 100, alarm: 10_000,
			description: "Records in Kafka that a consumer has not handled yet, over all groups.",
			targets:     atOnce(query{expr: sum("", selector("kafka_consumer_lag_records"))}),
		},
	}}
}

// hitRate is the share of lists that were answered from Redis.
func hitRate() string {
	hits, misses := sum("", rate("cache_hits_total")), sum("", rate("cache_misses_total"))
	return hits + " / (" + hits + " + " + misses + ")"
}

// noStreams leaves out the stream of changes, which lasts as long as its client wants.
const noStreams = `route!="GET /events"`

func httpRow() row {
	const requests, duration = "http_requests_total", "http_request_duration_seconds"
	return row{"HTTP", []panel{
		{
			title: "Requests by route", unit: "reqps", width: 8,
			description: "Requests per second by method and route.",
			targets:     overTime(query{sum("route", rate(requests)), "{{route}}"}),
		},
		{
			title: "Responses by status", unit: "reqps", width: 8,
			description: "Responses per second by status code.",
			targets:     overTime(query{sum("code", rate(requests)), "{{code}}"}),
		},
		{
			title: "Errors by route", unit: "reqps", width: 8,
			description: "Responses with a 5xx status per second by method and route.",
			targets:     overTime(query{sum("route, code", rate(requests, `code=~"5.."`)), "{{route}} {{code}}"}),
		},
		{
			title: "Latency", unit: "s", width: 12, warn: 0.25, alarm: 1,
			description: "Time from a request's header to the end of its response; streams are left out.",
			targets:     overTime(quantiles(duration, noStreams)...),
		},
		{
			title: "Latency by route, p95", unit: "s", width: 12,
			description: "95% of the requests of each method and route are answered within this time; streams are left out.",
			targets:     overTime(query{quantile(0.95, "route", duration, noStreams), "{{route}}"}),
		},
	}}
}

func grpcRow() row {
	const handled, duration = "grpc_server_handled_total", "grpc_server_handling_seconds"
	service, failures := `grpc_service="task.TaskService"`, `grpc_code=~"Unknown|Internal|Unavailable|DeadlineExceeded|DataLoss"`
	return row{"gRPC", []panel{
		{
			title: "Calls by method", unit: "reqps", width: 8,
			description: "Calls per second that ended, by method.",
			targets:     overTime(query{sum("grpc_method", rate(handled, service)), "{{grpc_method}}"}),
		},
		{
			title: "Calls by code", unit: "reqps", width: 8,
			description: "Calls per second that ended, by status code; codes without a call are left out.",
			targets:     overTime(query{sum("grpc_code", rate(handled, service)) + " > 0", "{{grpc_code}}"}),
		},
		{
			title: "Errors by method", unit: "reqps", width: 8,
			description: "Calls per second that failed for a reason of the server, by method.",
			targets:     overTime(query{sum("grpc_method", rate(handled, service, failures)), "{{grpc_method}}"}),
		},
		{
			title: "Latency", unit: "s", width: 12, warn: 0.25, alarm: 1,
			description: "Duration of unary calls.",
			targets:     overTime(quantiles(duration, `grpc_type="unary"`, service)...),
		},
		{
			title: "Latency by method, p95", unit: "s", width: 12,
			description: "95% of the unary calls of each method take at most this time.",
			targets:     overTime(query{quantile(0.95, "grpc_method", duration, `grpc_type="unary"`, service), "{{grpc_method}}"}),
		},
	}}
}

func limitsRow() row {
	return row{"Limits and watchers", []panel{
		{
			title: "Refused by the rate limiter", unit: "reqps", width: 8,
			description: "Requests and calls per second that were refused because their client had used up its budget of requests or streams.",
			targets: overTime(
				query{sum("route", rate("http_requests_total", `code="429"`)), "HTTP {{route}}"},
				query{sum("grpc_method", rate("grpc_server_handled_total", `grpc_code="ResourceExhausted"`)) + " > 0", "gRPC {{grpc_method}}"},
			),
		},
		{
			title: "Passed uncounted", unit: "reqps", width: 8,
			description: "Requests per second that the limiter let pass because Redis did not answer.",
			targets:     overTime(query{sum("job, instance", rate("todo_ratelimit_unavailable_total")), "{{job}} {{instance}}"}),
		},
		{
			title: "Load shedding", unit: "short", width: 8,
			description: "Requests per second that were refused because too many worked on the database, and the number that works on it.",
			targets: overTime(
				query{sum("kind", rate("todo_admission_refused_total")), "refused per second, {{kind}}"},
				query{sum("", selector("todo_admission_in_flight")), "in flight"},
			),
		},
		{
			title: "Watchers", unit: "short", width: 8,
			description: "Open streams of changes over both transports, gRPC health and reflection included.",
			targets:     overTime(query{selector("todo_watchers"), "{{job}} {{instance}}"}),
		},
		{
			title: "Refused watchers and gaps", unit: "short", width: 8,
			description: "Streams per second that were refused, by limit, and announcements that the live feed did not bring in order.",
			targets: overTime(
				query{sum("limit", rate("todo_watchers_refused_total")), "refused per second, {{limit}}"},
				query{sum("", rate("todo_watch_gaps_total")), "gaps per second"},
			),
		},
		{
			title: "Connections", unit: "short", width: 8,
			description: "Open connections by server.",
			targets:     overTime(query{sum("job, instance, server", selector("server_connections")), "{{job}} {{instance}} {{server}}"}),
		},
	}}
}
