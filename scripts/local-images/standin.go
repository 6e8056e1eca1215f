package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"

	"example.com/todo/scripts/internal/binaries"
)

// standIn describes how an image is made that has the name and the behaviour of one of upstream's.
type standIn struct {
	image  string
	folder string // below standins, with the Dockerfile
	target string // stage of the Dockerfile, "" for the last one
	// madeOf says what the image was made of. Its %s, if it has one, is the output of the shell command version in
	// the image.
	madeOf, version string
	sources         func(context.Context, *machine) ([]source, error)
}

// debian is the Debian release of the stand-ins.
const debian = "Debian 12"

// baseImage is the local image that the stand-ins are built on.
var baseImage = standIn{
	image: "todo/stand-in-base:bookworm", folder: "base",
	madeOf: debian + " of debootstrap", sources: baseSources,
}

var standIns = []standIn{
	{
		image: "golang:1.26", folder: "golang", madeOf: "%s of this machine on " + debian,
		version: "go env GOVERSION", sources: golangSources,
	},
	{
		image: "gcr.io/distroless/static-debian12:nonroot", folder: "distroless",
		madeOf: "the users, time zones and certificate authorities of " + debian,
	},
	{
		image: "postgres:18", folder: "postgres",
		madeOf:  "PostgreSQL %s on " + debian,
		version: `echo "$(postgres --version | cut -d' ' -f3) of Maven's embedded-postgres-binaries with psql $(psql --version | cut -d' ' -f3)"`,
		sources: postgresSources,
	},
	{
		image: "redis:7", folder: "redis", madeOf: "Redis %s of " + debian, version: packageVersion("redis-server"),
	},
	{
		image: "apache/kafka:4.4.0", folder: "kafka",
		madeOf: "Kafka %s on " + debian, version: jarVersions("/opt/kafka/libs", "kafka-clients"),
		sources: jarSources("kafka", "kafka-tools"),
	},
	{
		image: "confluentinc/cp-zookeeper:7.5.0", folder: "confluent", target: "zookeeper",
		madeOf: "ZooKeeper %s on " + debian, version: jarVersions("/usr/share/java/kafka", "zookeeper"),
		sources: jarSources("kafka-zookeeper"),
	},
	{
		image: "confluentinc/cp-kafka:7.5.0", folder: "confluent", target: "kafka",
		madeOf: "Kafka %s on " + debian, version: jarVersions("/usr/share/java/kafka", "kafka-clients"),
		sources: jarSources("kafka-zookeeper"),
	},
	{
		image: "haproxy:3.0", folder: "haproxy", madeOf: "HAProxy %s of " + debian, version: packageVersion("haproxy"),
	},
	{
		image: "prom/prometheus:v2.55.1", folder: "prometheus",
		madeOf: "Prometheus %s of " + debian, version: packageVersion("prometheus"),
	},
	{
		image: "prom/alertmanager:v0.28.1", folder: "alertmanager",
		madeOf: "Alertmanager %s of " + debian, version: packageVersion("prometheus-alertmanager"),
	},
}

// packageVersion returns a shell command that prints the version of a Debian package.
func packageVersion(name string) string {
	return "dpkg-query --show --showformat '${source:Upstream-Version}' " + name
}

// jarVersions returns a shell command that prints the version of a jar in dir, and where it is from.
func jarVersions(dir, jar string) string {
	return fmt.Sprintf(`cd %s && echo "$(ls %s-[0-9]*.jar | sed 's/%s-\(.*\).jar/\1/') of Maven's jars, with $(java -version 2>&1 | sed -n 's/.*Runtime Environment (build \([^ )]*\).*/Java \1/p')"`, dir, jar, jar)
}

// machine is this computer: it has what the stand-ins are made with.
type machine struct {
	finder      binaries.Finder
	authorities string // path of the certificate authorities
}

// postgresSources returns the pinned PostgreSQL.
func postgresSources(ctx context.Context, m *machine) ([]source, error) {
	finder := m.finder
	finder.FetchedOnly = true
	bin, err := finder.Postgres(ctx)
	if err != nil {
		return nil, err
	}
	dir := filepath.Dir(bin)
	return []source{{name: "postgresql", path: dir, version: filepath.Base(dir)}}, nil
}

// jarSources returns the pinned jars of the programs, in a folder libs.
func jarSources(programs ...string) func(context.Context, *machine) ([]source, error) {
	return func(ctx context.Context, m *machine) ([]source, error) {
		var sources []source
		for _, program := range programs {
			paths, err := m.finder.Jars(ctx, program)
			if err != nil {
				return nil, err
			}
			for _, path := range paths {
				// The folder of a jar in the cache is its checksum.
				sources = append(sources, source{name: "libs/" + filepath.Base(path), path: path, version: filepath.Base(filepath.Dir(path))})
			}
		}
		return sources, nil
	}
}

// golangSources returns the Go toolchain of this machine and its settings.
func golangSources(ctx context.Context, _ *machine) ([]source, error) {
	settings := []string{"GOPROXY", "GOSUMDB", "GOPRIVATE", "GONOPROXY", "GONOSUMDB", "GOINSECURE"}
	text, err := output(ctx, exec.CommandContext(ctx, "go", append([]string{"env", "-json", "GOROOT", "GOVERSION"}, settings...)...))
	if err != nil {
		return nil, err
	}
	var values map[string]string
	if err := json.Unmarshal([]byte(text), &values); err != nil {
		return nil, fmt.Errorf("parse the output of go env: %w", err)
	}
	var env strings.Builder
	for _, name := range settings {
		if values[name] != "" {
			fmt.Fprintf(&env, "%s=%s\n", name, values[name])
		}
	}
	env.WriteString("GOTOOLCHAIN=local\n")
	return []source{
		{name: "go", path: values["GOROOT"], version: values["GOVERSION"] + " " + runtime.GOARCH},
		{name: "go.env", content: env.String()},
	}, nil
}
