//go:build unix

package app

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kfake"
	"google.golang.org/grpc/metadata"

	pb "example.com/todo/contracts/gen/task"
	"example.com/todo/platform/process/processtest"
	"example.com/todo/platform/process/secrettest"
	"example.com/todo/platform/testenv"
)

const (
	plantedPassword = secrettest.Mark + " and two kettles"
	plantedJWT      = "eyJhbGciOiJSUzI1NiJ9." + secrettest.Mark + ".c2lnbmF0dXJl"
)

// plan returns the secrets of a service, and servers that accept them or, with another
// password, refuse them.
func plan(t *testing.T, accepted bool) secrettest.Plan {
	t.Helper()
	passwordOf := func(server string) string {
		if accepted {
			return secrettest.Mark + "-" + server
		}
		return "another"
	}
	dsn := migratedDatabase(t)
	role := strings.TrimPrefix(dsn.Path, "/")
	admin := openServer(t)
	admin.MustExec(`CREATE ROLE ` + role + ` SUPERUSER LOGIN PASSWORD '` + passwordOf("postgres") + `'`)
	t.Cleanup(func() { admin.MustExec(`DROP ROLE ` + role) })
	dsn.User = url.UserPassword(role, secrettest.Mark+"-postgres")
	redis := testenv.StartRedis(t, "--requirepass", passwordOf("redis"))
	kafka, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.SeedTopics(6, "task-events"), kfake.EnableSASL(), kfake.Superuser("SCRAM-SHA-512", "app", passwordOf("kafka")))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(kafka.Close)
	return secrettest.Plan{
		Service: processtest.Service{Name: name, Settings: environment},
		Secrets: map[string]string{
			"postgres.dsn": dsn.String(), "redis.password": secrettest.Mark + "-redis", "redis_cache.password": secrettest.Mark + "-redis",
			"kafka.sasl_password": secrettest.Mark + "-kafka",
		},
		Env: []string{
			"AUTH_MODE=on", "AUTH_SIGNUP=open", "AUTH_OIDC_ISSUER=" + newIssuer(t).url, "AUTH_OIDC_AUDIENCE=" + audience, "RATE_LIMIT_REQUESTS=10000",
			"REDIS_ADDR=" + redis, "REDIS_CACHE_ADDR=" + redis, "REDIS_TIMEOUT=5s", "REDIS_CACHE_TIMEOUT=5s",
			"KAFKA_BROKERS=" + kafka.ListenAddrs()[0], "KAFKA_SASL_MECHANISM=scram-sha-512", "KAFKA_SASL_USERNAME=app",
		},
		Traced: true,
	}
}

func TestNoSecretIsWrittenWhileServersAcceptIt(t *testing.T) {
	t.Parallel()
	p := plan(t, true)
	p.Logged = []string{"serving", "malformed token", "POST /sessions", "/task.TaskService/CountTasks"}
	p.Exercise = func(t *testing.T, env []string, conceal func(string)) string {
		c := secretClient{T: t, http: lookup(env, "HTTP_ADDR"), grpc: lookup(env, "GRPC_ADDR")}
		account := fmt.Sprintf(`{"email":"ann@example.com","password":%q}`, plantedPassword)
		testenv.Eventually(t, "a user is made", func() bool { return strings.Contains(c.post("/users", account), "ann@example.com") })
		var started struct{ Token string }
		testenv.Eventually(t, "the user has signed in", func() bool {
			return json.Unmarshal([]byte(c.send("POST", "/sessions", account)), &started) == nil && started.Token != ""
		})
		conceal(started.Token)
		testenv.Eventually(t, "a list is served", func() bool { return c.send("GET", "/tasks", "", "Authorization", "Bearer "+started.Token) == "[]" })
		c.sendSecrets(started.Token)
		c.send("DELETE", "/sessions", "", "Authorization", "Bearer "+started.Token)
		c.sendSecrets(started.Token)
		return c.responses.String()
	}
	secrettest.Check(t, p)
}

func TestNoSecretIsWrittenWhileServersRefuseIt(t *testing.T) {
	t.Parallel()
	p := plan(t, false)
	p.Logged = []string{"WRONGPASS", "password authentication failed", "forwarding failed", "POST /sessions"}
	p.Exercise = func(t *testing.T, env []string, _ func(string)) string {
		c := secretClient{T: t, http: lookup(env, "HTTP_ADDR"), grpc: lookup(env, "GRPC_ADDR")}
		c.sendSecrets(strings.Repeat("A", 40) + "BBA")
		return c.responses.String()
	}
	secrettest.Check(t, p)
}

// secretClient sends requests with secrets, and keeps the responses.
type secretClient struct {
	*testing.T
	http, grpc string
	responses  bytes.Buffer
}

// send sends a request with the header, names and values, and returns the body of the
// response.
func (c *secretClient) send(method, target, body string, header ...string) string {
	c.Helper()
	r, err := http.NewRequestWithContext(c.Context(), method, "http://"+c.http+target, strings.NewReader(body))
	if err != nil {
		c.Fatal(err)
	}
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	for i := 0; i < len(header); i += 2 {
		r.Header.Add(header[i], header[i+1])
	}
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		c.Fatal(err)
	}
	defer response.Body.Close()
	text, _ := io.ReadAll(response.Body)
	if response.StatusCode != http.StatusCreated { // that of a sign-in has the token
		_ = response.Header.Write(&c.responses)
		c.responses.Write(text)
	}
	return string(text)
}

func (c *secretClient) post(target, body string) string {
	c.Helper()
	return c.send("POST", target, body)
}

// sendSecrets sends passwords, tokens and JWTs where they belong and where they do not.
func (c *secretClient) sendSecrets(token string) {
	c.Helper()
	const mark = secrettest.Mark
	for _, body := range []string{
		`{"email":"ann@example.com","password":"` + mark + ` wrong"}`, `{"email":"ann@example.com","password":"` + mark,
		`{"email":"ann@example.com","password":["` + mark + `"]}`, `{"email":["` + mark + `"],"password":7}`,
		`{"email":"ann@example.com","password":"` + mark + `\u0000"}`, `"` + mark + `"`, mark, `{"password":"` + strings.Repeat(mark, 1<<15) + `"}`,
	} {
		c.post("/sessions", body)
		c.post("/users", body)
		c.send("PATCH", "/users/me", body, "Authorization", "Bearer "+token)
	}
	c.send("PATCH", "/users/me", fmt.Sprintf(`{"current_password":"%s","password":"%s"}`, mark, mark), "Authorization", "Bearer "+token)
	for _, credential := range []string{
		"Bearer " + token, "Bearer " + plantedJWT, "Bearer " + mark, mark, "Basic " + base64.StdEncoding.EncodeToString([]byte(mark)), "Basic " + mark,
		"Bearer  " + mark + " " + token, mark + " " + token, "Bearer " + mark + token[len(mark):],
	} {
		for _, target := range []string{"/tasks", "/tasks/1", "/", "/nothing"} {
			c.send("GET", target, "", "Authorization", credential)
			c.send("GET", target, "", "Authorization", credential, "Authorization", credential)
			c.send("GET", target, "", "Proxy-Authorization", credential, "X-Api-Key", credential)
		}
		c.send("POST", "/sessions", "", "Authorization", credential)
		ctx := metadata.AppendToOutgoingContext(c.Context(), "authorization", credential, "cookie", "session="+mark, "token", mark)
		_, err := pb.NewTaskServiceClient(dial(c.T, c.grpc)).CountTasks(ctx, &pb.CountTasksRequest{})
		fmt.Fprintln(&c.responses, err)
	}
	for _, cookie := range []string{"session=" + token, "session=" + mark, "session=" + mark + "; session=" + token, "__Host-session=" + token, mark} {
		c.send("GET", "/tasks", "", "Cookie", cookie)
		c.send("POST", "/tasks", `{"title":"A"}`, "Cookie", cookie, "Origin", "https://evil.example")
		c.send("POST", "/page/tasks", "title=A", "Cookie", cookie, "Origin", "https://evil.example")
	}
	for _, target := range []string{"/tasks", "/", "/sessions", "/nothing", "/events", "/docs"} {
		for _, query := range []string{"token=" + token, "access_token=" + plantedJWT, "password=" + mark, "x=" + mark, token, "token=%zz" + mark} {
			c.send("GET", target+"?"+query, "")
			c.send("GET", target+"?"+query, "", "Authorization", "Bearer "+token)
		}
	}
	for _, path := range []string{"/sessions/", "/tasks/", "/", "/assets/", "/page/tasks/"} {
		for _, method := range []string{"GET", "DELETE", "POST"} {
			c.send(method, path+token, "", "Authorization", "Bearer "+token)
			c.send(method, path+plantedJWT, "")
		}
	}
	c.sendMalformed(token)
}

// sendMalformed sends requests that no client of the library sends.
func (c *secretClient) sendMalformed(token string) {
	c.Helper()
	const mark = secrettest.Mark
	for _, request := range []string{
		"GET http://ann:" + mark + "@localhost/tasks HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n",
		"GET /tasks HTTP/1.1\r\nHost: ann:" + mark + "@localhost\r\nConnection: close\r\n\r\n",
		"GET /tasks HTTP/1.1\r\nHost: localhost\r\nAuthorization Bearer " + mark + "\r\n\r\n",
		"GET /tasks HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer " + token + "\r\n " + mark + "\r\nConnection: close\r\n\r\n",
		"GET /tasks HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer " + mark + "\x00\r\n\r\n",
		"POST /sessions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 500\r\n\r\n{\"email\":\"ann@example.com\",\"password\":\"" + mark,
		"Authorization: Bearer " + token + "\r\n\r\n",
	} {
		for _, addr := range []string{c.http, c.grpc} {
			conn, err := (&net.Dialer{}).DialContext(context.WithoutCancel(c.Context()), "tcp", addr)
			if err != nil {
				c.Fatal(err)
			}
			_, _ = io.WriteString(conn, request)
			_ = conn.(*net.TCPConn).CloseWrite()
			response, _ := io.ReadAll(conn) // the server may reset the connection
			c.responses.Write(response)
			conn.Close()
		}
	}
}
