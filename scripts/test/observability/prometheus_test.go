package observability

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"syscall"
	"testing"
	"time"

	"github.com/prometheus/client_golang/api"
	promapi "github.com/prometheus/client_golang/api/prometheus/v1"
	"github.com/prometheus/common/model"
	"go.yaml.in/yaml/v3"

	"example.com/todo/platform/testenv"
)

const configDir = "../../../compose/prometheus"

// prometheus is a running Prometheus.
type prometheus struct {
	promapi.API
	began          time.Time
	scrapeInterval time.Duration
}

// startPrometheus runs Prometheus with the repository's configuration until the test ends.
// addresses has the target of each job.
func startPrometheus(t *testing.T, addresses map[string]string) *prometheus {
	t.Helper()
	program, err := exec.LookPath("prometheus")
	switch {
	case err == nil:
	case os.Getenv("CI") == "true":
		t.Fatal("prometheus is not on the PATH, and under CI=true a skipped test is a failure: apt-get install prometheus")
	default:
		t.Skip("prometheus is not on the PATH: apt-get install prometheus")
	}
	addr := testenv.FreeAddr(t)
	addresses["prometheus"] = addr
	p := &prometheus{began: time.Now()}
	dir := t.TempDir()
	config := filepath.Join(dir, "prometheus.yml")
	p.scrapeInterval = writeConfig(t, config, addresses)
	output, err := os.Create(filepath.Join(dir, "output.log"))
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(program, "--config.file="+config, "--storage.tsdb.path="+filepath.Join(dir, "data"), "--web.listen-address="+addr)
	cmd.Stdout, cmd.Stderr = output, output
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		_ = cmd.Wait()
		_ = output.Close()
	})
	client, err := api.NewClient(api.Config{Address: "http://" + addr})
	if err != nil {
		t.Fatal(err)
	}
	p.API = promapi.NewAPI(client)
	testenv.Eventually(t, "Prometheus has scraped every service", func() bool {
		for job := range addresses {
			if up, err := p.value(t.Context(), fmt.Sprintf("min(up{job=%q})", job)); err != nil || up != 1 {
				return false
			}
		}
		return true
	})
	return p
}

// writeConfig writes the repository's configuration with each job's target replaced, and
// without Alertmanager, which does not run. It returns the scrape interval.
func writeConfig(t *testing.T, file string, addresses map[string]string) time.Duration {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(configDir, "prometheus.yml"))
	if err != nil {
		t.Fatal(err)
	}
	var config struct {
		Global    map[string]any   `yaml:"global"`
		RuleFiles []string         `yaml:"rule_files"`
		Alerting  any              `yaml:"alerting,omitempty"`
		Jobs      []map[string]any `yaml:"scrape_configs"`
	}
	decoder := yaml.NewDecoder(bytes.NewReader(text))
	decoder.KnownFields(true)
	if err := decoder.Decode(&config); err != nil {
		t.Fatal(err)
	}
	config.Alerting = nil
	for i, pattern := range config.RuleFiles {
		if config.RuleFiles[i], err = filepath.Abs(filepath.Join(configDir, pattern)); err != nil {
			t.Fatal(err)
		}
	}
	left := map[string]bool{}
	var jobs []map[string]any
	for _, job := range config.Jobs {
		name := job["job_name"].(string)
		if left[name] = true; name == "alertmanager" {
			continue
		}
		delete(job, "dns_sd_configs")
		job["static_configs"] = []map[string]any{{"targets": []string{addresses[name]}}}
		if jobs = append(jobs, job); addresses[name] == "" {
			t.Fatalf("prometheus.yml has the job %s, which this test does not know", name)
		}
	}
	for name := range addresses {
		if !left[name] {
			t.Fatalf("prometheus.yml has no job %s", name)
		}
	}
	config.Jobs = jobs
	written, err := yaml.Marshal(config)
	if err == nil {
		err = os.WriteFile(file, written, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	interval, err := model.ParseDuration(fmt.Sprint(config.Global["scrape_interval"]))
	if err != nil {
		t.Fatal(err)
	}
	return time.Duration(interval)
}

// errNoValue means that an expression gave no finite value.
var errNoValue = errors.New("no finite value")

// value executes an expression now and returns its first finite value.
func (p *prometheus) value(ctx context.Context, expr string) (float64, error) {
	result, _, _, err := p.Query(ctx, expr, time.Now())
	if err != nil {
		return 0, err
	}
	switch result := result.(type) {
	case model.Vector:
		for _, sample := range result {
			if isFinite(sample.Value) {
				return float64(sample.Value), nil
			}
		}
	case *model.Scalar:
		return float64(result.Value), nil
	}
	return 0, errNoValue
}

// series executes an expression from the start of Prometheus to now, in steps of the scrape interval.
func (p *prometheus) series(ctx context.Context, expr string) (model.Matrix, error) {
	result, _, _, err := p.QueryRange(ctx, expr, promapi.Range{Start: p.began, End: time.Now(), Step: p.scrapeInterval})
	if err != nil {
		return nil, err
	}
	return result.(model.Matrix), nil
}

// check returns nil when the expression gives a finite value, now or over time, and each
// label of its legend is one of a series.
func (p *prometheus) check(ctx context.Context, e expression) error {
	if !e.ranged {
		_, err := p.value(ctx, e.promql)
		return err
	}
	matrix, err := p.series(ctx, e.promql)
	if err != nil {
		return err
	}
	finite := slices.ContainsFunc(matrix, func(s *model.SampleStream) bool {
		return slices.ContainsFunc(s.Values, func(pair model.SamplePair) bool { return isFinite(pair.Value) })
	})
	if !finite {
		return errNoValue
	}
	for _, found := range labelTemplate.FindAllStringSubmatch(e.legend, -1) {
		label := model.LabelName(found[1])
		if !slices.ContainsFunc(matrix, func(s *model.SampleStream) bool { return s.Metric[label] != "" }) {
			return fmt.Errorf("no series has the label %s of the legend", label)
		}
	}
	return nil
}

func isFinite(v model.SampleValue) bool {
	return !math.IsNaN(float64(v)) && !math.IsInf(float64(v), 0)
}

// isInvalid reports whether Prometheus rejected the expression itself.
func isInvalid(err error) bool {
	var apiError *promapi.Error
	return errors.As(err, &apiError) && apiError.Type == promapi.ErrBadData
}
