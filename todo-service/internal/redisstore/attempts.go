package redisstore

import (
	"context"
	"crypto/rand"
	_ "embed"
	"net/netip"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"example.com/todo/platform/apperr"
	"example.com/todo/platform/clientlimit"
	"example.com/todo/todo-service/internal/account"
)

var (
	//go:embed lua/count_attempt.lua
	countAttemptText string
	//go:embed lua/give_back_attempt.lua
	giveBackAttemptText string

	countAttemptScript    = goredis.NewScript(countAttemptText)
	giveBackAttemptScript = goredis.NewScript(giveBackAttemptText)
)

// attemptLimit is a number of attempts in any window.
type attemptLimit struct {
	attempts int
	window   time.Duration
}

// The limits of sign-ins and sign-ups. An address is an IPv4 address or an IPv6 /64.
var (
	signInsOfAddress = attemptLimit{10, time.Minute}
	signInsOfPair    = attemptLimit{10, 15 * time.Minute} // of one account from one address
	signInsOfAccount = attemptLimit{100, time.Hour}       // from all addresses that are not known
	signUpsOfAddress = attemptLimit{5, time.Hour}
)

// addressKnownFor is how long after a sign-in the account's attempts from that address do
// not count in signInsOfAccount: an attacker from other addresses cannot lock the user out.
const addressKnownFor = 30 * 24 * time.Hour

// AttemptLimits counts attempts to sign in and to sign up in Redis: the account.Limits of
// all replicas. It is safe for concurrent use.
//
// Unlike the rate limiter it fails closed: without an answer of Redis within 40 ms the
// error is apperr.Unavailable. Otherwise an attacker could guess without limit while Redis
// is down.
type AttemptLimits struct {
	client  goredis.UniversalClient
	prefix  string
	timeout time.Duration
}

// NewAttemptLimits returns limits over the Redis of client, with keys
// <prefix>signin:… and <prefix>signup:….
func NewAttemptLimits(client goredis.UniversalClient, prefix string) *AttemptLimits {
	return &AttemptLimits{client: client, prefix: prefix, timeout: callTimeout}
}

// CountSignIn counts an attempt to sign in, see account.Limits.
func (l *AttemptLimits) CountSignIn(ctx context.Context, name string, client netip.Addr) (account.Attempt, error) {
	a := account.Attempt{Account: name, Client: client, ID: rand.Text()}
	limits := []attemptLimit{signInsOfAddress, signInsOfPair, signInsOfAccount}
	if name == "" {
		limits = limits[:1]
	}
	err := l.count(ctx, a.ID, l.signInKeys(a), limits...)
	if err != nil && apperr.Of(err).Kind == apperr.Unavailable {
		// Redis may have counted it and answered too late. Nothing was compared.
		go func() { _ = l.GiveBack(context.WithoutCancel(ctx), a, false) }()
	}
	return a, err
}

// GiveBack takes an attempt out of the count, see account.Limits.
func (l *AttemptLimits) GiveBack(ctx context.Context, a account.Attempt, succeeded bool) error {
	ctx, cancel := context.WithTimeout(ctx, l.timeout)
	defer cancel()
	known := time.Duration(0)
	if succeeded && a.Account != "" {
		known = addressKnownFor
	}
	return attemptsUnavailable(giveBackAttemptScript.Run(ctx, l.client, l.signInKeys(a), a.ID, known.Milliseconds()).Err())
}

// CountSignUp counts a sign-up, see account.Limits.
func (l *AttemptLimits) CountSignUp(ctx context.Context, client netip.Addr) error {
	return l.count(ctx, rand.Text(), []string{l.prefix + "signup:" + addressKey(client)}, signUpsOfAddress)
}

// count counts an attempt within the limits. keys are those of count_attempt.lua.
func (l *AttemptLimits) count(ctx context.Context, id string, keys []string, limits ...attemptLimit) error {
	ctx, cancel := context.WithTimeout(ctx, l.timeout)
	defer cancel()
	args := []any{id}
	for _, limit := range limits {
		args = append(args, limit.attempts, limit.window.Microseconds())
	}
	wait, err := countAttemptScript.Run(ctx, l.client, keys, args...).Int64()
	if err != nil {
		return attemptsUnavailable(err)
	}
	if wait > 0 {
		limited := apperr.New(apperr.RateLimited, "too many attempts")
		limited.RetryAfter = time.Duration(wait) * time.Microsecond
		return limited
	}
	return nil
}

// signInKeys returns the keys of an attempt: the log of the address; of an attempt on an
// account also those of pair and account, and the key that exists if the account has
// signed in from the address.
func (l *AttemptLimits) signInKeys(a account.Attempt) []string {
	address := addressKey(a.Client)
	ofAddress := l.prefix + "signin:address:" + address
	if a.Account == "" {
		return []string{ofAddress}
	}
	return []string{
		ofAddress,
		l.prefix + "signin:pair:" + a.Account + ":" + address,
		l.prefix + "signin:account:" + a.Account,
		l.prefix + "signin:known:" + a.Account + ":" + address,
	}
}

// addressKey returns the name of a client's address in keys.
func addressKey(client netip.Addr) string {
	prefix := clientlimit.ClientPrefix(client)
	switch {
	case !prefix.IsValid():
		return "unknown"
	case prefix.Addr().Is4():
		return prefix.Addr().String()
	}
	return prefix.String()
}

func attemptsUnavailable(err error) error {
	if err == nil {
		return nil
	}
	return apperr.New(apperr.Unavailable, "signing in is unavailable at the moment; try again").WithCause(err)
}
