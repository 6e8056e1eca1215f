package binaries

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

var (
	javaVersion    = versionPattern(`version "`)
	javaMinVersion = version{major: 17}
)

// Kafka holds the paths that run the real Kafka.
type Kafka struct {
	Java      string // path of java
	Classpath string // Kafka's jars
}

// Kafka finds Java and downloads Kafka.
func (f Finder) Kafka(ctx context.Context) (Kafka, error) {
	java, err := f.Java(ctx)
	if err != nil {
		return Kafka{}, fmt.Errorf("%w; without Java, use the embedded Kafka", err)
	}
	pins, err := artifactsOf("kafka")
	if err != nil {
		return Kafka{}, err
	}
	jars, err := f.Cache.ensure(ctx, "Kafka", pins)
	if err != nil {
		return Kafka{}, err
	}
	return Kafka{Java: java, Classpath: strings.Join(jars, string(os.PathListSeparator))}, nil
}

// Java returns the path of java in JAVA_HOME or, if that is not set, on PATH. Its version must be 17 or newer.
func (f Finder) Java(ctx context.Context) (path string, err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("the real Kafka needs Java %d or newer: %w", javaMinVersion.major, err)
		}
	}()
	path = filepath.Join(os.Getenv("JAVA_HOME"), "bin", "java")
	if os.Getenv("JAVA_HOME") == "" {
		if path, err = exec.LookPath("java"); err != nil {
			return "", err
		}
	}
	v, err := readVersion(ctx, javaVersion, path, "-version")
	if err == nil && v.before(javaMinVersion) {
		err = fmt.Errorf("%s is version %s", path, v)
	}
	return path, err
}
