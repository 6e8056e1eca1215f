package configtest

import "strings"

// WithShared adds to own, the invalid values of a service's own settings by environment variable, those of the sections
// that services share. A section is named by the prefix of its variables: HTTP, OPS, REDIS, REDIS_CACHE, KAFKA, LOG or
// TRACING.
func WithShared(own map[string][]string, sections ...string) map[string][]string {
	for _, section := range sections {
		for key, values := range sharedCases[strings.TrimSuffix(section, "_CACHE")] {
			own[section+"_"+key] = values
		}
	}
	return own
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
