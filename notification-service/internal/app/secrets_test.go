//go:build unix

package app_test

import (
	"encoding/base64"
	"io"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"

	"github.com/twmb/franz-go/pkg/kfake"

	"example.com/todo/notification-service/internal/app"
	"example.com/todo/platform/process/processtest"
	"example.com/todo/platform/process/secrettest"
	"example.com/todo/platform/testenv"
)

// plantedSecret is a valid secret of a webhook whose base64 has the mark.
var plantedSecret = "whsec_" + secrettest.Mark + base64.StdEncoding.EncodeToString(make([]byte, 30))

func TestNoSecretIsWritten(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		password func(server string) string // that the servers accept
		accepted bool
		logged   []string
	}{
		"while servers accept it": {func(server string) string { return secrettest.Mark + "-" + server }, true, []string{"webhook"}},
		"while servers refuse it": {func(string) string { return "another" }, false, []string{"WRONGPASS", "not a member of the group"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			redis := testenv.StartRedis(t, "--requirepass", test.password("redis"))
			kafka, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.SeedTopics(6, "task-events", "task-events-dlq"), kfake.EnableSASL(),
				kfake.Superuser("PLAIN", "app", test.password("kafka")))
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(kafka.Close)
			// It rejects each request once, with the headers of the request in the response.
			var requests atomic.Int64
			receiver := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if requests.Add(1) == 1 {
					w.WriteHeader(http.StatusInternalServerError)
					_ = r.Header.Write(w)
					_, _ = io.WriteString(w, plantedSecret)
				}
			}))
			t.Cleanup(receiver.Close)
			secrettest.Check(t, secrettest.Plan{
				Service: processtest.Service{Name: service, Settings: variables},
				Secrets: map[string]string{
					"redis.password": secrettest.Mark + "-redis", "kafka.sasl_password": secrettest.Mark + "-kafka", "webhook.secret": plantedSecret,
				},
				Env: []string{
					"REDIS_ADDR=" + redis, "REDIS_TIMEOUT=5s", "WEBHOOK_URL=" + receiver.URL, "WEBHOOK_ALLOW_PRIVATE=true",
					"KAFKA_BROKERS=" + kafka.ListenAddrs()[0], "KAFKA_SASL_MECHANISM=plain", "KAFKA_SASL_USERNAME=app",
				},
				Exercise: func(t *testing.T, env []string, _ func(string)) string {
					if !test.accepted {
						return ""
					}
					cfg, err := app.Load("", env)
					if err != nil {
						t.Fatal(err)
					}
					sendCompletions(t, cfg, "e1")
					testenv.Eventually(t, "the notification is sent", func() bool { return requests.Load() > 1 })
					return ""
				},
				Logged: test.logged,
			})
		})
	}
}
