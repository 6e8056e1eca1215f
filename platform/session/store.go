package session

import (
	"context"
	"crypto/rand"
	_ "embed"
	"errors"
	"fmt"
	"strconv"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"example.com/todo/platform/apperr"
)

const (
	maxSessions      = 50 // of one user; the oldest ends
	lastSeenInterval = time.Minute
	// checkTimeout is how long a check waits for Redis: less than the 50 ms in which a
	// request is answered while Redis is frozen.
	checkTimeout = 40 * time.Millisecond
)

var (
	//go:embed lua/check.lua
	checkLua string
	//go:embed lua/peek.lua
	peekLua string
	//go:embed lua/create.lua
	createLua string
	//go:embed lua/list.lua
	listLua string
	//go:embed lua/revoke.lua
	revokeLua string

	checkScript  = goredis.NewScript(checkLua)
	peekScript   = goredis.NewScript(peekLua)
	createScript = goredis.NewScript(createLua)
	listScript   = goredis.NewScript(listLua)
	revokeScript = goredis.NewScript(revokeLua)
)

// Store stores sessions in Redis. Its errors are apperr.Unavailable unless they are
// documented otherwise: a method that fails may have taken effect, and is safe to repeat.
type Store struct {
	client       goredis.UniversalClient
	cfg          Config
	checkTimeout time.Duration
}

// NewStore returns a Store with the key prefix of cfg. It does not dial. The Redis must
// not evict keys: a session in no list of its user survives RevokeAll.
func NewStore(client goredis.UniversalClient, cfg Config) *Store {
	return &Store{client: client, cfg: cfg, checkTimeout: checkTimeout}
}

// Create stores a new session of the user and returns its token, which cannot be read
// again. A user has at most 50 sessions: the oldest end.
func (s *Store) Create(ctx context.Context, user User) (token string, created Session, err error) {
	token = newToken()
	hash, err := hashToken(token)
	if err != nil {
		return "", Session{}, err
	}
	created = Session{ID: rand.Text(), User: user, key: s.sessionKey(hash)}
	times, err := createScript.Run(ctx, s.client, []string{s.listKey(user.ID), created.key},
		hash, created.ID, user.ID, user.Role, min(s.cfg.Idle, s.cfg.MaxAge).Milliseconds(), maxLifetime.Milliseconds(), maxSessions, s.sessionKey("")).Int64Slice()
	if err != nil {
		return "", Session{}, unavailable(fmt.Errorf("create a session: %w", err))
	}
	created.CreatedAt, created.LastSeen, created.ExpiresAt = time.UnixMilli(times[0]), time.UnixMilli(times[0]), time.UnixMilli(times[1])
	return token, created, nil
}

// Check returns the session of a token, and moves its expiry: the session has been used.
// With Config.Idle of 10 minutes or more, Check moves the expiry once a minute, with LastSeen:
// a session may end a minute too early, and never too late. Without a session the error is
// apperr.Unauthenticated. Without an answer of Redis within 40 ms it is apperr.Unavailable.
func (s *Store) Check(ctx context.Context, token string) (Session, error) {
	key, err := s.Key(token)
	if err != nil {
		return Session{}, err
	}
	// Without a circuit breaker: the timeout bounds what a frozen Redis costs a request.
	ctx, cancel := context.WithTimeout(ctx, s.checkTimeout)
	defer cancel()
	script, args := s.CheckScript()
	return s.DecodeCheck(key, script.Run(ctx, s.client, []string{key}, args...))
}

// Peek is Check for a service that only reads sessions: it writes nothing, so the expiry
// does not move.
func (s *Store) Peek(ctx context.Context, token string) (Session, error) {
	key, err := s.Key(token)
	if err != nil {
		return Session{}, err
	}
	ctx, cancel := context.WithTimeout(ctx, s.checkTimeout)
	defer cancel()
	maxAge := s.cfg.MaxAge.Milliseconds()
	reply := peekScript.RunRO(ctx, s.client, []string{key}, maxAge)
	if goredis.HasErrorPrefix(reply.Err(), "unknown command") { // EVALSHA_RO, which Redis has since 7.0
		reply = peekScript.Run(ctx, s.client, []string{key}, maxAge)
	}
	return s.DecodeCheck(key, reply)
}

// Key returns the key of the token's session in Redis. If the text cannot be a token, the
// error is apperr.Unauthenticated.
func (s *Store) Key(token string) (string, error) {
	hash, err := hashToken(token)
	if err != nil {
		return "", err
	}
	return s.sessionKey(hash), nil
}

// CheckScript returns the script and the arguments of Check, for a pipeline of the caller.
// The script's only key is that of Key. The arguments are equal for all sessions.
func (s *Store) CheckScript() (script *goredis.Script, args []any) {
	return checkScript, []any{s.cfg.Idle.Milliseconds(), s.cfg.MaxAge.Milliseconds(), lastSeenInterval.Milliseconds()}
}

// DecodeCheck returns the result of Check from the reply to CheckScript with the key.
func (s *Store) DecodeCheck(key string, reply *goredis.Cmd) (Session, error) {
	fields, err := reply.Slice()
	if errors.Is(err, goredis.Nil) {
		return Session{}, unauthenticated(errNoSession)
	}
	if err != nil {
		return Session{}, unavailable(fmt.Errorf("check a session: %w", err))
	}
	checked, err := decodeSession(fields)
	if err != nil {
		return Session{}, unauthenticated(err)
	}
	checked.key = key
	return checked, nil
}

// List returns the sessions of a user, newest first.
func (s *Store) List(ctx context.Context, userID int64) ([]Session, error) {
	rows, err := listScript.Run(ctx, s.client, []string{s.listKey(userID)}, s.sessionKey("")).Slice()
	if err != nil {
		return nil, unavailable(fmt.Errorf("list the sessions of a user: %w", err))
	}
	sessions := make([]Session, 0, len(rows))
	for _, row := range rows {
		fields, _ := row.([]any)
		if listed, err := decodeSession(fields); err == nil && listed.User.ID == userID {
			sessions = append(sessions, listed)
		}
	}
	return sessions, nil
}

// Revoke ends the session of a user with the id. If the user has none with that id, the
// error is apperr.NotFound.
func (s *Store) Revoke(ctx context.Context, userID int64, id string) error {
	deleted, err := s.revoke(ctx, userID, "only", id)
	if err == nil && deleted == 0 {
		return apperr.New(apperr.NotFound, "no such session")
	}
	return err
}

// RevokeAll ends all sessions of a user, except that with the id except unless it is empty.
func (s *Store) RevokeAll(ctx context.Context, userID int64, except string) error {
	_, err := s.revoke(ctx, userID, "except", except)
	return err
}

func (s *Store) revoke(ctx context.Context, userID int64, which, id string) (deleted int, err error) {
	deleted, err = revokeScript.Run(ctx, s.client, []string{s.listKey(userID)}, s.sessionKey(""), which, id).Int()
	if err != nil {
		return 0, unavailable(fmt.Errorf("revoke sessions of a user: %w", err))
	}
	return deleted, nil
}

func (s *Store) sessionKey(hash string) string { return s.cfg.KeyPrefix + "session:" + hash }

func (s *Store) listKey(userID int64) string {
	return s.cfg.KeyPrefix + "sessions:" + strconv.FormatInt(userID, 10)
}

// decodeSession decodes id, user id, role, and the times created at, last seen and expires at.
func decodeSession(fields []any) (Session, error) {
	if len(fields) != 6 {
		return Session{}, errNoSession
	}
	id, _ := fields[0].(string)
	text, _ := fields[1].(string)
	role, hasRole := fields[2].(string)
	userID, err := strconv.ParseInt(text, 10, 64)
	if id == "" || err != nil || userID <= 0 || !hasRole {
		return Session{}, errors.New("another program overwrote the session")
	}
	var times [3]time.Time
	for i, field := range fields[3:] {
		millis, ok := field.(int64)
		if !ok {
			return Session{}, errors.New("another program overwrote the session")
		}
		times[i] = time.UnixMilli(millis)
	}
	return Session{ID: id, User: User{ID: userID, Role: role}, CreatedAt: times[0], LastSeen: times[1], ExpiresAt: times[2]}, nil
}
