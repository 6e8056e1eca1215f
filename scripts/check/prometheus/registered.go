package prometheus

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"example.com/todo/platform/metrics"
)

// libraryMetrics are registered by libraries and by Prometheus itself.
var libraryMetrics = []string{
	"up", // of each target of Prometheus
	"prometheus_notifications_dropped_total", "prometheus_rule_evaluation_failures_total",
	"go_sql_max_open_connections", "go_sql_wait_duration_seconds_total", // of the collector in platform/postgres
	"grpc_server_handled_total", "grpc_server_handling_seconds", // of the interceptors in platform/grpcserver
}

// metricName is a name of at least two words.
var metricName = regexp.MustCompile(`^[a-z]+(_[a-z0-9]+)+$`)

// registeredMetrics returns the metrics that the services below root may register: those of every registry, of libraries,
// and each name in a file that imports the client library. A histogram is there once, without _bucket.
func registeredMetrics(root string) (map[string]bool, error) {
	names := map[string]bool{}
	families, err := metrics.New("check").Gather()
	if err != nil {
		return nil, err
	}
	for _, family := range families {
		names[family.GetName()] = true
	}
	for _, name := range libraryMetrics {
		names[name] = true
	}
	for _, module := range []string{"platform", "todo-service", "notification-service", "stats-service"} {
		err := filepath.WalkDir(filepath.Join(root, module), func(path string, _ fs.DirEntry, err error) error {
			if err != nil || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
				return err
			}
			return addMetricNames(names, path)
		})
		if err != nil {
			return nil, err
		}
	}
	return names, nil
}

func addMetricNames(names map[string]bool, path string) error {
	file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
	if err != nil {
		return err
	}
	importsClient := func(i *ast.ImportSpec) bool {
		return strings.HasPrefix(i.Path.Value, `"github.com/prometheus/client_golang/`)
	}
	if !slices.ContainsFunc(file.Imports, importsClient) {
		return nil
	}
	ast.Inspect(file, func(node ast.Node) bool {
		if literal, ok := node.(*ast.BasicLit); ok && literal.Kind == token.STRING {
			if text, err := strconv.Unquote(literal.Value); err == nil && metricName.MatchString(text) {
				names[text] = true
			}
		}
		return true
	})
	return nil
}
