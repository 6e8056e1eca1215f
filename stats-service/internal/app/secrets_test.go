//go:build unix

package app_test

import (
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"net/http"
	"net/http/httputil"
	"strings"
	"testing"

	goredis "github.com/redis/go-redis/v9"
	"github.com/twmb/franz-go/pkg/kfake"

	"example.com/todo/platform/process/processtest"
	"example.com/todo/platform/process/secrettest"
	"example.com/todo/platform/session"
	"example.com/todo/platform/testenv"
)

func TestNoSecretIsWritten(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		password func(server string) string // that the servers accept
		logged   []string
	}{
		"while servers accept it": {func(server string) string { return secrettest.Mark + "-" + server }, []string{"serving", "malformed token", "HTTP request"}},
		"while servers refuse it": {func(string) string { return "another" }, []string{"WRONGPASS", "not a member of the group", "malformed token"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			redis := testenv.StartRedis(t, "--requirepass", test.password("redis"))
			kafka, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.SeedTopics(6, "task-events", "task-events-dlq"), kfake.EnableSASL(),
				kfake.Superuser("SCRAM-SHA-256", "app", test.password("kafka")))
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(kafka.Close)
			client := goredis.NewClient(&goredis.Options{Addr: redis, Password: test.password("redis")})
			t.Cleanup(func() { client.Close() })
			token, _, err := session.NewStore(client, session.Defaults()).Create(t.Context(), session.User{ID: 7, Role: "user"})
			if err != nil {
				t.Fatal(err)
			}
			secrettest.Check(t, secrettest.Plan{
				Service: processtest.Service{Name: service, Settings: variables},
				Secrets: map[string]string{"redis.password": secrettest.Mark + "-redis", "kafka.sasl_password": secrettest.Mark + "-kafka"},
				Env: []string{
					"AUTH_MODE=on", "REDIS_ADDR=" + redis, "REDIS_TIMEOUT=5s",
					"KAFKA_BROKERS=" + kafka.ListenAddrs()[0], "KAFKA_SASL_MECHANISM=scram-sha-256", "KAFKA_SASL_USERNAME=app",
				},
				Exercise: func(t *testing.T, env []string, conceal func(string)) string {
					conceal(token)
					return sendSecrets(t, env, token)
				},
				Logged: test.logged,
				Traced: true,
			})
		})
	}
}

// sendSecrets sends tokens where they belong and where they do not, and returns the
// responses.
func sendSecrets(t *testing.T, env []string, token string) (responses string) {
	t.Helper()
	addr := ""
	for _, variable := range env {
		if value, found := strings.CutPrefix(variable, "HTTP_ADDR="); found {
			addr = value
		}
	}
	const mark = secrettest.Mark
	jwt := "eyJhbGciOiJSUzI1NiJ9." + mark + ".c2lnbmF0dXJl"
	send := func(target string, header ...string) {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+addr+target, nil)
		if err != nil {
			t.Fatal(err)
		}
		for i := 0; i < len(header); i += 2 {
			r.Header.Add(header[i], header[i+1])
		}
		response, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer response.Body.Close()
		text, err := httputil.DumpResponse(response, true)
		if err != nil {
			t.Fatal(err)
		}
		responses += string(text)
	}
	for _, target := range []string{"/stats", "/stats?scope=all", "/nothing", "/openapi.yaml"} {
		for _, credential := range []string{token, jwt, mark, rand.Text() + mark, mark + token[len(mark):]} {
			send(target, "Authorization", "Bearer "+credential)
			send(target, "Authorization", "Basic "+base64.StdEncoding.EncodeToString([]byte(credential)))
			send(target, "Authorization", credential, "Authorization", "Bearer "+credential)
			send(target, "Cookie", "session="+credential, "Proxy-Authorization", credential)
			send(target, "Cookie", fmt.Sprintf("session=%s; session=%s; %s", credential, token, credential))
			separator := "?"
			if strings.Contains(target, "?") {
				separator = "&"
			}
			send(target + separator + "token=" + credential)
			send(target+separator+"days="+credential, "Authorization", "Bearer "+token)
		}
	}
	send("/"+token, "Authorization", "Bearer "+token)
	send("/stats/"+token, "Authorization", "Bearer "+token)
	send("/stats/" + jwt)
	return responses
}
