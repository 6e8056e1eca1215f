package tlsconfig_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"example.com/todo/platform/config"
	"example.com/todo/platform/testenv"
	"example.com/todo/platform/testenv/testca"
	"example.com/todo/platform/tlsconfig"
)

func TestMain(m *testing.M) { testenv.Main(m) }

// settings has a listener and a client, as the services do.
type settings struct {
	HTTP struct {
		tlsconfig.ServerFiles
		Sources config.Sources
	} `config:"http"`
	Redis struct {
		tlsconfig.ClientFiles
		Sources config.Sources
	} `config:"redis"`
}

func (s settings) Validate() error { return nil }

// load returns the settings of the environment, of which each %s is a path.
func load(environ ...string) (settings, error) {
	var s settings
	return s, config.Load(&s, "", environ)
}

func mustLoad(t *testing.T, environ ...string) settings {
	t.Helper()
	s, err := load(environ...)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func writeFile(t *testing.T, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "file.pem")
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestFilesThatCannotBeUsedAreOneErrorAboutTheirSetting(t *testing.T) {
	t.Parallel()
	ca := testca.New(t)
	pair, other := ca.Issue("localhost"), ca.Issue("localhost")
	content, err := os.ReadFile(pair.Cert)
	if err != nil {
		t.Fatal(err)
	}
	certificate := string(content)
	const encrypted = "-----BEGIN ENCRYPTED PRIVATE KEY-----\naHVudGVyMg==\n-----END ENCRYPTED PRIVATE KEY-----\n"
	const damaged = "-----BEGIN CERTIFICATE-----\naHVudGVyMg==\n-----END CERTIFICATE-----\n"
	for name, tt := range map[string]struct {
		environ []string
		setting string
		want    string
	}{
		"certificate without key":      {[]string{"HTTP_TLS_CERT=" + pair.Cert}, "HTTP_TLS_CERT", "is a certificate without its private key: set tls_key"},
		"key without certificate":      {[]string{"HTTP_TLS_KEY=" + pair.Key}, "HTTP_TLS_KEY", "is a private key without its certificate: set tls_cert"},
		"client CA without TLS":        {[]string{"HTTP_TLS_CLIENT_CA=" + ca.File}, "HTTP_TLS_CLIENT_CA", "for which the listener needs TLS: set tls_cert and tls_key"},
		"no certificate file":          {[]string{"HTTP_TLS_CERT=/not/there", "HTTP_TLS_KEY=" + pair.Key}, "HTTP_TLS_CERT", "names a file that does not exist"},
		"no key file":                  {[]string{"HTTP_TLS_CERT=" + pair.Cert, "HTTP_TLS_KEY=/not/there"}, "HTTP_TLS_KEY", "names a file that does not exist"},
		"a directory":                  {[]string{"HTTP_TLS_CERT=" + t.TempDir(), "HTTP_TLS_KEY=" + pair.Key}, "HTTP_TLS_CERT", "names a directory instead of a file"},
		"a device":                     {[]string{"HTTP_TLS_CERT=/dev/null", "HTTP_TLS_KEY=" + pair.Key}, "HTTP_TLS_CERT", "instead of a regular file"},
		"too large":                    {[]string{"HTTP_TLS_CERT=" + writeFile(t, strings.Repeat("x", 1<<20+1)), "HTTP_TLS_KEY=" + pair.Key}, "HTTP_TLS_CERT", "names a file of more than 1048576 bytes"},
		"the key as certificate":       {[]string{"HTTP_TLS_CERT=" + pair.Key, "HTTP_TLS_KEY=" + pair.Cert}, "HTTP_TLS_CERT", "names a file without a certificate"},
		"text as certificate":          {[]string{"HTTP_TLS_CERT=" + writeFile(t, "hunter2"), "HTTP_TLS_KEY=" + pair.Key}, "HTTP_TLS_CERT", "names a file without a certificate"},
		"a damaged certificate":        {[]string{"HTTP_TLS_CERT=" + writeFile(t, damaged), "HTTP_TLS_KEY=" + pair.Key}, "HTTP_TLS_CERT", "names a file with a damaged certificate"},
		"a chain that is cut off":      {[]string{"HTTP_TLS_CERT=" + writeFile(t, certificate+certificate[:len(certificate)/2]), "HTTP_TLS_KEY=" + pair.Key}, "HTTP_TLS_CERT", "whose last certificate is cut off"},
		"authorities that are cut off": {[]string{"REDIS_TLS=true", "REDIS_TLS_CA=" + writeFile(t, certificate+certificate[:len(certificate)/2])}, "REDIS_TLS_CA", "whose last certificate is cut off"},
		"the certificate as key":       {[]string{"HTTP_TLS_CERT=" + pair.Cert, "HTTP_TLS_KEY=" + pair.Cert}, "HTTP_TLS_KEY", "without a private key that can be used"},
		"an encrypted key":             {[]string{"HTTP_TLS_CERT=" + pair.Cert, "HTTP_TLS_KEY=" + writeFile(t, encrypted)}, "HTTP_TLS_KEY", "it must be PEM, and not encrypted"},
		"key of another certificate":   {[]string{"HTTP_TLS_CERT=" + pair.Cert, "HTTP_TLS_KEY=" + other.Key}, "HTTP_TLS_KEY", "names the private key of another certificate than tls_cert"},
		"client CA without a content":  {[]string{"HTTP_TLS_CERT=" + pair.Cert, "HTTP_TLS_KEY=" + pair.Key, "HTTP_TLS_CLIENT_CA=" + writeFile(t, "")}, "HTTP_TLS_CLIENT_CA", "names a file without a certificate"},
		"CA of a client without TLS":   {[]string{"REDIS_TLS_CA=" + ca.File}, "REDIS_TLS_CA", "has no effect without TLS: set tls to true"},
		"key of a client without TLS":  {[]string{"REDIS_TLS_KEY=" + pair.Key}, "REDIS_TLS_KEY", "has no effect without TLS: set tls to true"},
		"CA of a client":               {[]string{"REDIS_TLS=true", "REDIS_TLS_CA=" + t.TempDir()}, "REDIS_TLS_CA", "names a directory instead of a file"},
		"client certificate":           {[]string{"REDIS_TLS=true", "REDIS_TLS_CERT=" + pair.Cert}, "REDIS_TLS_CERT", "is a certificate without its private key: set tls_key"},
	} {
		_, err := load(tt.environ...)
		text := fmt.Sprint(err)
		if !strings.Contains(text, " from environment "+tt.setting+": ") || !strings.Contains(text, tt.want) || strings.Contains(text, "\n") || strings.Contains(text, "hunter2") {
			t.Errorf("%s: got %v, want one line about %s with %q", name, err, tt.setting, tt.want)
		}
	}
	for _, environ := range [][]string{
		nil, {"REDIS_TLS=true"},
		{"HTTP_TLS_CERT=" + pair.Cert, "HTTP_TLS_KEY=" + pair.Key, "HTTP_TLS_CLIENT_CA=" + ca.File, "REDIS_TLS=true", "REDIS_TLS_CA=" + ca.File, "REDIS_TLS_CERT=" + other.Cert, "REDIS_TLS_KEY=" + other.Key},
	} {
		if _, err := load(environ...); err != nil {
			t.Errorf("%s: %v", environ, err)
		}
	}
}

// An expired certificate is a warning of the Monitor: the service starts.
func TestExpiredCertificateOfAListenerIsAccepted(t *testing.T) {
	t.Parallel()
	pair := testca.New(t).IssueUntil(time.Now().Add(-time.Hour), "localhost")
	if _, err := load("HTTP_TLS_CERT="+pair.Cert, "HTTP_TLS_KEY="+pair.Key); err != nil {
		t.Error(err)
	}
}
