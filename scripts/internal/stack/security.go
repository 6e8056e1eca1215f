package stack

import (
	"crypto/rand"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"example.com/todo/scripts/internal/localca"
	"example.com/todo/scripts/internal/server"
)

const (
	// operator is the user of Redis and Kafka that may do everything.
	operator = "admin"
	// PostgreSQL's users in roles.sql: migrateUser owns the schema, serviceUser reads and writes its tables.
	migrateUser = "todo_migrate"
	serviceUser = "todo_service"
)

// security is what a secure stack has beside a plain one: certificates, and a password for each user of each server.
type security struct {
	files                  localca.Files
	authorities            *x509.CertPool
	secrets                string // folder with a file for each secret
	postgres, redis, kafka *server.Security
}

// newSecurity makes what is missing in the folder data. The rights of the users are those of the repository in root.
func newSecurity(root, data string) (*security, error) {
	s := &security{secrets: filepath.Join(data, "secrets")}
	// The account of PostgreSQL must be able to enter the folder.
	if err := errors.Join(os.MkdirAll(data, 0o711), os.MkdirAll(s.secrets, 0o700)); err != nil {
		return nil, err
	}
	var err error
	if s.files, err = localca.Ensure(filepath.Join(data, "tls"), time.Now()); err != nil {
		return nil, fmt.Errorf("certificates: %w", err)
	}
	if s.authorities, err = localca.Pool(s.files.CA); err != nil {
		return nil, err
	}
	for _, of := range []struct {
		server **server.Security
		name   string
		rules  string
		users  []string
	}{
		{&s.postgres, "postgres", "roles.sql", []string{migrateUser, serviceUser}},
		{&s.redis, "redis", "users.acl", services},
		{&s.kafka, "kafka", "acls.txt", services},
	} {
		made := &server.Security{
			Cert: s.files.Server.Cert, Key: s.files.Server.Key, CA: s.files.CA,
			Rules: filepath.Join(root, "compose", of.name, of.rules),
		}
		for _, user := range of.users {
			account, err := s.account(of.name, user)
			if err != nil {
				return nil, err
			}
			made.Users = append(made.Users, account)
		}
		*of.server = made
	}
	if s.redis.Operator, err = s.account("redis", operator); err != nil {
		return nil, err
	}
	s.kafka.Operator, err = s.account("kafka", operator)
	return s, err
}

// account returns a server's user with the password in its file, which is made unless it exists.
func (s *security) account(of, user string) (server.Account, error) {
	path := s.passwordPath(of, user)
	content, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		content = []byte(rand.Text() + "\n")
		err = os.WriteFile(path, content, 0o600)
	}
	return server.Account{Name: user, Password: strings.TrimSpace(string(content))}, err
}

func (s *security) passwordPath(of, user string) string {
	return filepath.Join(s.secrets, of+"-"+user)
}

func (s *security) dsnPath(user string) string { return filepath.Join(s.secrets, "dsn-"+user) }

// writeDSNs writes the DSN of each user of PostgreSQL, which has the port of this run, to a file.
func (s *security) writeDSNs(p server.Postgres) error {
	for _, user := range s.postgres.Users {
		if err := os.WriteFile(s.dsnPath(user.Name), []byte(p.DSNOf(user)+"\n"), 0o600); err != nil {
			return err
		}
	}
	return nil
}

// settings are those of a service.
func (s *security) settings(name string) []string {
	settings := []string{
		"AUTH_MODE=on",
		// A secret comes from a file or from a variable. These are the caller's.
		"POSTGRES_DSN=", "REDIS_PASSWORD=", "KAFKA_SASL_PASSWORD=",
		"POSTGRES_DSN_FILE=" + s.dsnPath(serviceUser),
		"REDIS_TLS=true", "REDIS_TLS_CA=" + s.files.CA,
		"REDIS_USERNAME=" + name, "REDIS_PASSWORD_FILE=" + s.passwordPath("redis", name),
		"KAFKA_TLS=true", "KAFKA_TLS_CA=" + s.files.CA,
		"KAFKA_SASL_MECHANISM=scram-sha-512", "KAFKA_SASL_USERNAME=" + name, "KAFKA_SASL_PASSWORD_FILE=" + s.passwordPath("kafka", name),
		"OPS_TLS_CLIENT_CA=" + s.files.CA,
	}
	for _, listener := range []string{"HTTP", "GRPC", "OPS"} {
		settings = append(settings, listener+"_TLS_CERT="+s.files.Server.Cert, listener+"_TLS_KEY="+s.files.Server.Key)
	}
	return settings
}

// env is what an operator needs to reach the parts, beside their addresses: the certificates, and the users of the
// servers.
func (s *security) env(p server.Postgres) []string {
	env := []string{
		"SECURE=1", "TLS_CA=" + s.files.CA, "TLS_CLIENT_CERT=" + s.files.Client.Cert, "TLS_CLIENT_KEY=" + s.files.Client.Key,
		"REDIS_ADMIN_USERNAME=" + s.redis.Operator.Name, "REDIS_ADMIN_PASSWORD=" + s.redis.Operator.Password,
		"KAFKA_ADMIN_USERNAME=" + s.kafka.Operator.Name, "KAFKA_ADMIN_PASSWORD=" + s.kafka.Operator.Password,
	}
	for _, user := range s.postgres.Users {
		variable := map[string]string{migrateUser: "POSTGRES_OWNER_DSN=", serviceUser: "POSTGRES_DSN="}[user.Name]
		env = append(env, variable+p.DSNOf(user))
	}
	return env
}

// KafkaOf returns how the operator reaches the broker of a stack with this environment.
func KafkaOf(env map[string]string) server.KafkaClient {
	client := server.KafkaClient{Addr: env["KAFKA_BROKERS"]}
	if ca := env["TLS_CA"]; ca != "" {
		client.Security = &server.Security{CA: ca, Operator: server.Account{Name: env["KAFKA_ADMIN_USERNAME"], Password: env["KAFKA_ADMIN_PASSWORD"]}}
	}
	return client
}
