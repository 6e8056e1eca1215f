package main

import (
	"io"
	"net/http"
	"strings"
	"testing"

	"example.com/todo/platform/testenv"
)

// The tests of this file run the images as the compose files do. They pass with upstream's images, too.

func postgresOptions(more ...string) []string {
	return append([]string{"--env", "POSTGRES_USER=todo", "--env", "POSTGRES_PASSWORD=secret", "--env", "POSTGRES_DB=tasks"}, more...)
}

// psql runs SQL over TCP, from the address that other containers have, with a password.
func (c *container) psql(password, sql string) (string, error) {
	address := mustRun(c.t, c.d, "inspect", "--format", "{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}", c.name)
	return c.d.run(c.t.Context(), "exec", "--env", "PGPASSWORD="+password, c.name,
		"psql", "--host", address, "--username", "todo", "--dbname", "tasks", "--no-align", "--tuples-only", "--command", sql)
}

func (c *container) mustPsql(sql string) string {
	c.t.Helper()
	out, err := c.psql("secret", sql)
	if err != nil {
		c.t.Fatal(err)
	}
	return out
}

func TestPostgresCreatesItsDatabaseOnceAndKeepsIt(t *testing.T) {
	t.Parallel()
	d := requireImages(t, "postgres:18")
	scripts := writeFiles(t, map[string]string{
		"1-table.sql": "CREATE TABLE greetings (word text);",
		"2-row.sh":    `psql --username "$POSTGRES_USER" --dbname "$POSTGRES_DB" --command "INSERT INTO greetings VALUES ('hello')"`,
	})
	c := start(t, d, "postgres:18", postgresOptions("--volume", scripts+":/docker-entrypoint-initdb.d:ro"), "-c", "max_connections=33")
	ready := []string{"pg_isready", "--host", "127.0.0.1", "--username", "todo", "--dbname", "tasks"}
	c.waitUntil(ready...)
	c.checkUser("999")
	c.restart()
	c.waitUntil(ready...)
	got := c.mustPsql("SELECT word, current_user, current_database(), current_setting('max_connections'), current_setting('data_directory') FROM greetings")
	if want := "hello|todo|tasks|33|/var/lib/postgresql/18/docker"; got != want {
		t.Errorf("the database says %q, want %q", got, want)
	}
	if version := c.mustPsql("SHOW server_version"); !strings.HasPrefix(version, "18.") {
		t.Errorf("the server is %s, want 18", version)
	}
	if _, err := c.psql("wrong", "SELECT 1"); err == nil || !strings.Contains(err.Error(), "password authentication failed") {
		t.Errorf("with a wrong password: %v", err)
	}
	c.stop()
}

func TestPostgresRunsWithoutPrivileges(t *testing.T) {
	t.Parallel()
	d := requireImages(t, "postgres:18")
	c := start(t, d, "postgres:18", postgresOptions(append(hardened,
		"--user", "postgres", "--tmpfs", "/tmp", "--tmpfs", "/var/run/postgresql:uid=999,gid=999,mode=3775")...))
	c.waitUntil("pg_isready", "--host", "127.0.0.1", "--username", "todo", "--dbname", "tasks")
	if got := c.mustPsql("SELECT 1 + 1"); got != "2" {
		t.Errorf("1 + 1 = %s", got)
	}
	c.stop()
}

// compose/secure.yaml relies on both.
func TestPostgresTakesItsPasswordFromAFileAndHasOpenSSL(t *testing.T) {
	t.Parallel()
	d := requireImages(t, "postgres:18")
	dir := writeFiles(t, map[string]string{"password": "secret\n"})
	c := start(t, d, "postgres:18", []string{
		"--env", "POSTGRES_USER=todo", "--env", "POSTGRES_DB=tasks", "--env", "POSTGRES_PASSWORD_FILE=/run/secrets/password",
		"--volume", dir + ":/run/secrets:ro",
	})
	c.waitUntil("pg_isready", "--host", "127.0.0.1", "--username", "todo", "--dbname", "tasks")
	if got := c.mustPsql("SELECT 1 + 1"); got != "2" {
		t.Errorf("1 + 1 = %s", got)
	}
	if version := c.exec("openssl", "version"); !strings.HasPrefix(version, "OpenSSL 3.") {
		t.Errorf("openssl is %s, want 3", version)
	}
}

func TestPostgresSaysThatItsPasswordIsMissing(t *testing.T) {
	t.Parallel()
	d := requireImages(t, "postgres:18")
	c := start(t, d, "postgres:18", []string{"--env", "POSTGRES_USER=todo"})
	testenv.EventuallyWithin(t, startTimeout, "the container ends", func() bool {
		return mustRun(t, d, "inspect", "--format", "{{.State.Running}}", c.name) == "false"
	})
	if code, printed := c.exitCode(), c.logs(); code != "1" || !strings.Contains(printed, "POSTGRES_PASSWORD") {
		t.Errorf("exit code %s, and it says %q", code, printed)
	}
}

func TestRedisServesOtherContainersAndKeepsItsData(t *testing.T) {
	t.Parallel()
	d := requireImages(t, "redis:7")
	network := newNetwork(t, d)
	for name, options := range map[string][]string{
		"as root":            nil,
		"without privileges": append(hardened, "--user", "redis"),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := start(t, d, "redis:7", append(options, "--network", network),
				"redis-server", "--appendonly", "yes", "--save", "", "--maxmemory-policy", "noeviction")
			c.waitUntil("redis-cli", "ping")
			c.checkUser("999")
			client := func(command ...string) string {
				return mustRun(t, d, append([]string{"run", "--rm", "--network", network, "redis:7", "redis-cli", "-h", c.name}, command...)...)
			}
			if got := client("SET", "word", "hello"); got != "OK" {
				t.Errorf("SET: %s", got)
			}
			c.restart()
			c.waitUntil("redis-cli", "ping")
			if got := client("GET", "word"); got != "hello" {
				t.Errorf("GET after a restart: %q", got)
			}
			if got := client("CONFIG", "GET", "appendonly"); got != "appendonly\nyes" {
				t.Errorf("CONFIG GET: %q", got)
			}
			c.stop()
		})
	}
}

func TestKafkaKeepsARecord(t *testing.T) {
	t.Parallel()
	d := requireImages(t, "apache/kafka:4.4.0")
	c := start(t, d, "apache/kafka:4.4.0", append(unprivileged,
		"--hostname", "kafka", "--memory", "480m",
		"--env", "KAFKA_NODE_ID=1",
		"--env", "KAFKA_PROCESS_ROLES=broker,controller",
		"--env", "KAFKA_CONTROLLER_QUORUM_VOTERS=1@kafka:9093",
		"--env", "KAFKA_CONTROLLER_LISTENER_NAMES=CONTROLLER",
		"--env", "KAFKA_LISTENERS=INTERNAL://:9092,CONTROLLER://:9093",
		"--env", "KAFKA_ADVERTISED_LISTENERS=INTERNAL://kafka:9092",
		"--env", "KAFKA_LISTENER_SECURITY_PROTOCOL_MAP=INTERNAL:PLAINTEXT,CONTROLLER:PLAINTEXT",
		"--env", "KAFKA_INTER_BROKER_LISTENER_NAME=INTERNAL",
		"--env", "KAFKA_OFFSETS_TOPIC_REPLICATION_FACTOR=1",
		"--env", "KAFKA_GROUP_INITIAL_REBALANCE_DELAY_MS=0",
		"--env", "KAFKA_AUTO_CREATE_TOPICS_ENABLE=false",
		"--env", "KAFKA_LOG_DIRS=/var/lib/kafka/data",
		"--env", "KAFKA_HEAP_OPTS=-Xmx256m",
		"--env", "CLUSTER_ID=4L6g3nShT-eMCtK--X86sw",
	))
	checkBroker(c, "/opt/kafka/bin/", ".sh")
}

// checkBroker stores a record, restarts the broker, and reads the record.
func checkBroker(c *container, prefix, suffix string) {
	c.t.Helper()
	run := func(name, arguments string) string {
		c.t.Helper()
		return c.exec("bash", "-euc", prefix+name+suffix+" --bootstrap-server kafka:9092 "+arguments)
	}
	ready := []string{prefix + "kafka-broker-api-versions" + suffix, "--bootstrap-server", "kafka:9092"}
	c.waitUntil(ready...)
	c.checkUser("1000")
	run("kafka-topics", "--create --topic events --partitions 3 --replication-factor 1 --config retention.ms=-1")
	run("kafka-console-producer", "--topic events <<<hello")
	c.restart()
	c.waitUntil(ready...)
	if got := run("kafka-console-consumer", "--topic events --from-beginning --max-messages 1 --timeout-ms 60000"); got != "hello" {
		c.t.Errorf("the record is %q", got)
	}
	if got := run("kafka-configs", "--describe --entity-type topics --entity-name events"); !strings.Contains(got, "retention.ms=-1") {
		c.t.Errorf("the topic's settings are %q", got)
	}
	if got := run("kafka-consumer-groups", "--list"); !strings.HasPrefix(got, "console-consumer-") {
		c.t.Errorf("the consumer's group is %q", got)
	}
	c.stop()
}

func TestConfluentKafkaKeepsARecordWithZooKeeper(t *testing.T) {
	t.Parallel()
	d := requireImages(t, "confluentinc/cp-zookeeper:7.5.0", "confluentinc/cp-kafka:7.5.0")
	network := newNetwork(t, d)
	zookeeper := start(t, d, "confluentinc/cp-zookeeper:7.5.0", append(unprivileged,
		"--network", network, "--network-alias", "zookeeper", "--memory", "192m",
		"--env", "ZOOKEEPER_CLIENT_PORT=2181", "--env", "ZOOKEEPER_TICK_TIME=2000", "--env", "KAFKA_HEAP_OPTS=-Xmx96m",
	))
	broker := start(t, d, "confluentinc/cp-kafka:7.5.0", append(unprivileged,
		"--network", network, "--network-alias", "kafka", "--memory", "480m",
		"--env", "KAFKA_BROKER_ID=1",
		"--env", "KAFKA_ZOOKEEPER_CONNECT=zookeeper:2181",
		"--env", "KAFKA_LISTENER_SECURITY_PROTOCOL_MAP=INTERNAL:PLAINTEXT,HOST:PLAINTEXT",
		"--env", "KAFKA_ADVERTISED_LISTENERS=INTERNAL://kafka:9092,HOST://localhost:9093",
		"--env", "KAFKA_INTER_BROKER_LISTENER_NAME=INTERNAL",
		"--env", "KAFKA_OFFSETS_TOPIC_REPLICATION_FACTOR=1",
		"--env", "KAFKA_HEAP_OPTS=-Xmx256m",
	))
	zookeeper.waitUntil("zookeeper-shell", "localhost:2181", "ls", "/")
	checkBroker(broker, "", "")
	zookeeper.checkUser("1000")
	zookeeper.stop()
}

func TestHAProxyAnswersByItsConfiguration(t *testing.T) {
	t.Parallel()
	d := requireImages(t, "haproxy:3.0")
	dir := writeFiles(t, map[string]string{"haproxy.cfg": `
defaults
  mode http
  timeout client 5s
  timeout connect 5s
  timeout server 5s
frontend web
  bind :8080
  http-request return status 200 content-type text/plain string "hello"
`})
	c := start(t, d, "haproxy:3.0", append(hardened, "--publish", "127.0.0.1::8080", "--volume", dir+":/usr/local/etc/haproxy:ro"))
	checkHello(t, "http://"+mustRun(t, d, "port", c.name, "8080/tcp"))
	c.checkUser("99")
	c.stop()
}

// checkHello waits until a URL answers hello.
func checkHello(t *testing.T, url string) {
	t.Helper()
	testenv.EventuallyWithin(t, startTimeout, url, func() bool {
		response, err := http.Get(url)
		if err != nil {
			return false
		}
		defer response.Body.Close()
		body, err := io.ReadAll(response.Body)
		return err == nil && string(body) == "hello"
	})
}

func TestPrometheusScrapesItself(t *testing.T) {
	t.Parallel()
	d := requireImages(t, "prom/prometheus:v2.55.1")
	dir := writeFiles(t, map[string]string{"prometheus.yml": `
global: {scrape_interval: 100ms, scrape_timeout: 100ms}
scrape_configs:
  - job_name: itself
    static_configs: [{targets: ["localhost:9090"]}]
`})
	c := start(t, d, "prom/prometheus:v2.55.1", append(hardened, "--volume", dir+":/etc/prometheus:ro"))
	c.waitUntil("wget", "-q", "--spider", "http://localhost:9090/-/ready")
	c.exec("/bin/promtool", "check", "config", "/etc/prometheus/prometheus.yml")
	testenv.EventuallyWithin(t, startTimeout, "a scrape", func() bool {
		return strings.Contains(c.exec("/bin/promtool", "query", "instant", "http://localhost:9090", `up{job="itself"} == 1`), "=> 1")
	})
	c.checkUser("65534")
	c.stop()
}

func TestAlertmanagerKeepsAnAlert(t *testing.T) {
	t.Parallel()
	d := requireImages(t, "prom/alertmanager:v0.28.1")
	dir := writeFiles(t, map[string]string{"alertmanager.yml": "route: {receiver: none}\nreceivers: [{name: none}]\n"})
	c := start(t, d, "prom/alertmanager:v0.28.1", append(hardened, "--volume", dir+":/etc/alertmanager:ro"))
	c.waitUntil("wget", "-q", "--spider", "http://localhost:9093/-/ready")
	c.exec("/bin/amtool", "--alertmanager.url=http://localhost:9093", "cluster", "show")
	c.exec("amtool", "--alertmanager.url", "http://localhost:9093", "alert", "add", "TooHot", "degrees=90")
	if got := c.exec("amtool", "--alertmanager.url", "http://localhost:9093", "alert", "query", "degrees=90"); !strings.Contains(got, "TooHot") {
		t.Errorf("the alerts are %q", got)
	}
	c.checkUser("65534")
	c.stop()
}
