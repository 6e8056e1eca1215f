package prometheus

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

const (
	root   = "../../.."
	folder = root + "/compose/prometheus"
)

// runTool runs a program of Debian's packages of Prometheus in compose/. A missing one is a failure under CI=true.
func runTool(t *testing.T, name string, args ...string) {
	t.Helper()
	if _, err := exec.LookPath(name); err != nil {
		message := name + " is missing: apt-get install prometheus prometheus-alertmanager"
		if os.Getenv("CI") == "true" {
			t.Fatal(message)
		}
		t.Skip(message)
	}
	command := exec.CommandContext(t.Context(), name, args...)
	command.Dir = filepath.Join(root, "compose")
	if output, err := command.CombinedOutput(); err != nil {
		t.Errorf("%s: %v\n%s", command, err, output)
	}
}

func rulesOf(t *testing.T) []rule {
	t.Helper()
	rules, err := loadRules(folder + "/rules/*.yml")
	if err != nil {
		t.Fatal(err)
	}
	return rules
}

func reportAll(t *testing.T, found []string) {
	t.Helper()
	for _, finding := range found {
		t.Error(finding)
	}
}

func TestPrometheusAcceptsConfigurationAndRules(t *testing.T) {
	t.Parallel()
	runTool(t, "promtool", "check", "config", "prometheus/prometheus.yml")
}

func TestAlertmanagerAcceptsItsConfiguration(t *testing.T) {
	t.Parallel()
	runTool(t, "amtool", "check-config", "alertmanager/alertmanager.yml")
}

func TestAlertmanagerRoutesBySeverity(t *testing.T) {
	t.Parallel()
	for labels, receiver := range map[string]string{"severity=page": "page", "severity=ticket": "ticket", "severity=other": "none"} {
		runTool(t, "amtool", "config", "routes", "test", "--config.file=alertmanager/alertmanager.yml", "--verify.receivers="+receiver, labels)
	}
}

func TestRulesPassTheirTests(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob(folder + "/tests/*_test.yml")
	if err != nil || len(files) == 0 {
		t.Fatalf("no tests in %s/tests, %v", folder, err)
	}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			t.Parallel()
			runTool(t, "promtool", "test", "rules", "prometheus/tests/"+filepath.Base(file))
		})
	}
}

func TestEachRuleHasATest(t *testing.T) {
	t.Parallel()
	files, err := loadAll[testFile](folder + "/tests/*_test.yml")
	if err != nil {
		t.Fatal(err)
	}
	reportAll(t, findUntested(rulesOf(t), files))
}

func TestEachMetricIsRegisteredByTheCode(t *testing.T) {
	t.Parallel()
	registered, err := registeredMetrics(root)
	if err != nil {
		t.Fatal(err)
	}
	reportAll(t, findUnknownMetrics(rulesOf(t), registered))
}

func TestEachAlertLeadsToItsRunbookSection(t *testing.T) {
	t.Parallel()
	runbook, err := os.ReadFile(folder + "/RUNBOOK.md")
	if err != nil {
		t.Fatal(err)
	}
	reportAll(t, findRunbookErrors(rulesOf(t), string(runbook)))
}

// A heading's anchor on GitHub is the heading in lower case, with hyphens for spaces, without punctuation.
func TestRunbookLinksLeadToFilesAndHeadings(t *testing.T) {
	t.Parallel()
	runbook, err := os.ReadFile(folder + "/RUNBOOK.md")
	if err != nil {
		t.Fatal(err)
	}
	links := regexp.MustCompile(`\]\(([^)#:]*)(?:#([^)]*))?\)`).FindAllStringSubmatch(string(runbook), -1)
	if len(links) == 0 {
		t.Error("there are no links")
	}
	punctuation := regexp.MustCompile(`[^a-z0-9 _-]`)
	for _, link := range links {
		target := filepath.Join(folder, link[1])
		if link[1] == "" {
			target = folder + "/RUNBOOK.md"
		}
		content, err := os.ReadFile(target)
		if err != nil {
			t.Error(err)
			continue
		}
		found := link[2] == ""
		for line := range strings.Lines(string(content)) {
			if heading, ok := strings.CutPrefix(strings.TrimLeft(strings.TrimSpace(line), "#"), " "); ok && strings.HasPrefix(line, "#") {
				anchor := strings.ReplaceAll(punctuation.ReplaceAllString(strings.ToLower(heading), ""), " ", "-")
				found = found || anchor == link[2]
			}
		}
		if !found {
			t.Errorf("a link leads to %s#%s, which is no heading", link[1], link[2])
		}
	}
}

func TestEachShortAlertHasAFaultThatFiresIt(t *testing.T) {
	t.Parallel()
	content, err := os.ReadFile(folder + "/tests/live.yml")
	if err != nil {
		t.Fatal(err)
	}
	live, err := loadLiveAlerts(content)
	if err != nil {
		t.Fatal(err)
	}
	reportAll(t, findMissingFaults(rulesOf(t), live))
}
