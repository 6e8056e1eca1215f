package main

// objectives returns the rows of "Todo objectives", which shows what the rules in
// compose/prometheus/rules record: the service level objectives and the alerts.
func objectives() []row {
	return []row{
		{"Objectives", []panel{
			{
				kind: value, title: "Objectives", unit: "percentunit", width: 12, height: 6,
				description: "Share of events that has to be good over 30 days, by objective.",
				targets:     atOnce(query{"slo:objective:ratio", "{{slo}}"}),
			},
			{
				kind: value, title: "Good events in the last 3 days", unit: "percentunit", width: 12, height: 6,
				description: "Share of the events of the last 3 days that were good, by objective.",
				targets:     atOnce(query{"1 - avg_over_time(slo:bad_events:rate5m[3d]) / (avg_over_time(slo:events:rate5m[3d]) > 0)", "{{job}} {{slo}}"}),
			},
		}},
		{"Error budgets", []panel{
			burnRate("5 minutes", "5m"), burnRate("1 hour", "1h"), burnRate("6 hours", "6h"), burnRate("3 days", "3d"),
			{
				title: "Events", unit: "cps", width: 12,
				description: "Events per second that an objective counts; for relay freshness an event is a second.",
				targets:     overTime(query{"slo:events:rate5m", "{{job}} {{slo}}"}),
			},
			{
				title: "Bad events", unit: "cps", width: 12,
				description: "Events per second that were not as the objective demands.",
				targets:     overTime(query{"slo:bad_events:rate5m", "{{job}} {{slo}}"}),
			},
		}},
		{"Alerts", []panel{{
			title: "Firing alerts", unit: "short", width: 24,
			description: "Number of alerts that fire, by name and severity; the runbook in compose/prometheus has a section for each.",
			targets:     overTime(query{sum("alertname, severity", `ALERTS{alertstate="firing"}`), "{{alertname}}, {{severity}}"}),
		}}},
	}
}

// burnRate returns the panel of the rate at which error budgets were spent during a window.
func burnRate(words, window string) panel {
	return panel{
		title: "Burn rate of " + words, unit: "short", width: 12, warn: 1, alarm: 14.4,
		description: "How many times as fast as the objective allows its error budget was spent; at 1 it lasts exactly 30 days. Fewer than 0.1 events a second count as 0.1.",
		targets:     overTime(query{"slo:error:ratio_" + window + " / on (slo) group_left () (1 - slo:objective:ratio)", "{{job}} {{slo}}"}),
	}
}
