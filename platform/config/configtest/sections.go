package configtest

import "maps"

// Shared returns invalid values, by environment variable, for sections that services share. A section is named by the
// prefix of its variables: HTTP, OPS, REDIS, REDIS_CACHE, KAFKA, LOG or TRACING.
func Shared(sections ...string) map[string][]string {
	invalid := map[string][]string{}
	for _, section := range sections {
		settings := sharedCases[section]
		if section == "REDIS_CACHE" {
			settings = sharedCases["REDIS"]
		}
		for key, values := range settings {
			invalid[section+"_"+key] = values
		}
	}
	return invalid
}

// Merge returns the union of the maps.
func Merge(all ...map[string][]string) map[string][]string {
	merged := map[string][]string{}
	for _, one := range all {
		maps.Copy(merged, one)
	}
	return merged
}

var sharedCases = map[string]map[string][]string{
	"HTTP": {
		"ADDR":                ListenAddrs,
		"READ_HEADER_TIMEOUT": append([]string{"0s", "25h"}, Durations...),
		"READ_TIMEOUT":        append([]string{"25h"}, Durations...),
		"IDLE_TIMEOUT":        append([]string{"0s", "25h"}, Durations...),
		"MAX_HEADER_BYTES":    append([]string{"0", "1", "100000000"}, Numbers...),
		"REQUEST_TIMEOUT":     append([]string{"25h"}, Durations...),
		"DRAIN_TIMEOUT":       append([]string{"25h"}, Durations...),
		"MAX_CONNS":           append([]string{"0", "2000000"}, Numbers...),
		"ALLOWED_HOSTS":       hosts,
		"CORS_ORIGINS": {
			`"https://app.example.com"`, "https://app.example.com\n", "app.example.com", "https://app.example.com/", "https://app.example.com:0", "https://app.example.com:65536", "https://app.example.com:",
			"https://me:hunter2@app.example.com", "https://app..example.com", "https://app.example.com,*", "https://*.example.com", "ftp://app.example.com", "null", "https://127.1",
		},
	},
	"OPS": {
		"ADDR":          ListenAddrs,
		"PPROF":         Booleans,
		"MAX_CONNS":     append([]string{"0", "100000"}, Numbers...),
		"ALLOWED_HOSTS": hosts,
	},
	"REDIS": {
		"ADDR":       append([]string{"a:1,", "a:1,,b:2", "localhost:6379/0", "redis://localhost:6379"}, ServerAddrs...),
		"USERNAME":   Words,
		"PASSWORD":   Secrets,
		"DB":         Numbers,
		"MASTER":     Words,
		"KEY_PREFIX": Words,
		"POOL_SIZE":  append([]string{"0", "100000"}, Numbers...),
		"TIMEOUT":    append([]string{"0s", "1h"}, Durations...),
	},
	"KAFKA": {
		"BROKERS":     append([]string{",", "a:1,b", `["a:1"]`, "SASL_SSL://a:1"}, ServerAddrs...),
		"CLIENT_ID":   Words,
		"PARTITIONS":  append([]string{"0", "1000000"}, Numbers...),
		"INSTANCE_ID": append([]string{".", "..", "reader/0"}, Words...),
	},
	"LOG": {
		"LEVEL":  {`"INFO"`, "loud", "INFO+1", "ERROR+100", "4", "INFO "},
		"FORMAT": {`"json"`, "xml", "JSON", "json "},
	},
	"TRACING": {
		"ENDPOINT": append([]string{
			"http://", "http://collector", "https://collector/", "grpc://collector:4317", "http://collector:4318/v1/traces", "http://collector:4317?a=b",
			"http://me:hunter2@collector:4317", "http://collector:0", "http://collector:65536", `"http://collector:4317"`, "collector:4317/v1/traces",
		}, ServerAddrs...),
		"SAMPLE_RATIO": {`"1"`, "1 ", "-0.1", "1.1", "NaN", "Inf", "half", "10%"},
	},
}
