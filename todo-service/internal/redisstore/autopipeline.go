package redisstore

import (
	"context"
	"errors"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	goredis "github.com/redis/go-redis/v9"
)

const (
	// tripTimeout is how long callers wait for Redis: less than 50 ms, so that what
	// else they do fits in.
	tripTimeout = 40 * time.Millisecond
	// comeback bounds a trip that nobody waits for any more: its return tells that
	// Redis answers again. Each answer is waited for no longer than the client's
	// read timeout, which may be less.
	comeback = time.Second
	// lanes is how many trips are under way at the same time, at most.
	lanes = 4
)

// AutoPipeline carries what callers want of Redis there and back. Those who come
// while a trip is under way share the next one, and those who want the same share
// one script: under load a caller costs a fraction of a round trip. Nobody is
// answered by a trip that had left before he came. When Redis is slow and a trip
// has waited for a quarter of its time, it leaves before the others are back.
//
// When a trip is late, its callers go away without an answer, and those who come
// are turned away at once until Redis answers again: only those who waited for
// that trip have lost time.
type AutoPipeline struct {
	client  goredis.UniversalClient
	timeout time.Duration
	breaker breaker

	mu    sync.Mutex
	next  *trip // nil when nobody waits
	under int   // runners, each with a trip under way
}

// NewAutoPipeline returns a shuttle to the Redis of client. It neither dials nor fails.
func NewAutoPipeline(client goredis.UniversalClient) *AutoPipeline {
	return &AutoPipeline{client: client, timeout: tripTimeout, breaker: breaker{client: client}}
}

// database is the number of the one that the client uses; a cluster has but one.
func (s *AutoPipeline) database() int {
	if client, ok := s.client.(*goredis.Client); ok {
		return client.Options().DB
	}
	return 0
}

// errand is what a caller wants: a script, which a trip runs once for all whose
// errands are equal, as == has it.
type errand interface {
	// pack returns what the trip takes along, for so many callers.
	pack(callers int) cargo
}

type cargo struct {
	script *goredis.Script
	first  *cargo // runs before on a Redis that does not know the script; nil for none
	keys   []string
	args   []any
	unpack func(reply *goredis.Cmd) (any, error)
}

type trip struct {
	parcels map[errand]*parcel
	overdue bool // has waited for too long to leave
	hurry   *time.Timer
	late    *time.Timer
	over    atomic.Bool // it returned, or it is too late: who sets it answers the callers
	done    chan struct{}
}

// parcel is an errand on a trip.
type parcel struct {
	callers int
	cargo   cargo // from the departure on
	reply   *goredis.Cmd

	value any // what unpack returned, once the trip is done
	err   error
}

// ticket is a caller's part of a trip.
type ticket struct {
	trip   *trip // nil when the caller was turned away
	parcel *parcel
	place  int // from 0 on, tells this caller from others with the same errand
}

// carry runs the errand and returns what its unpack returned.
func (s *AutoPipeline) carry(ctx context.Context, e errand) (any, error) {
	return s.board(ctx, e).wait(ctx)
}

// wait returns what the errand brought. ctx ends the waiting, not the trip.
func (t ticket) wait(ctx context.Context) (any, error) {
	if t.trip == nil {
		return nil, errCircuitOpen
	}
	select {
	case <-t.trip.done:
		return t.parcel.value, t.parcel.err
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// board puts the errand on the next trip, which leaves after this call began.
func (s *AutoPipeline) board(ctx context.Context, e errand) ticket {
	if s.breaker.isOpen() {
		return ticket{}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.next == nil {
		s.next = s.newTrip(ctx)
	}
	p, shared := s.next.parcels[e]
	if !shared {
		p = &parcel{}
		s.next.parcels[e] = p
	}
	p.callers++
	if s.under == 0 {
		s.under++
		go s.run(context.WithoutCancel(ctx))
	}
	return ticket{s.next, p, p.callers - 1}
}

// newTrip returns a trip whose callers wait for the timeout. That has two parts:
// when this process had no time to run, an answer that is there is so taken before
// the time is found to be over.
func (s *AutoPipeline) newTrip(ctx context.Context) *trip {
	t := &trip{parcels: make(map[errand]*parcel), done: make(chan struct{})}
	ctx = context.WithoutCancel(ctx)
	last := s.timeout / 4
	t.hurry = time.AfterFunc(last, func() { s.overtake(ctx, t) })
	t.late = time.AfterFunc(s.timeout-last, func() { time.AfterFunc(last, func() { s.giveUp(ctx, t) }) })
	return t
}

// overtake lets a trip leave that still waits for others to be back.
func (s *AutoPipeline) overtake(ctx context.Context, t *trip) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.next != t {
		return
	}
	t.overdue = true
	if s.under < lanes {
		s.under++
		go s.run(ctx)
	}
}

// giveUp sends the callers of a trip away, unless it is over.
func (s *AutoPipeline) giveUp(ctx context.Context, t *trip) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if t.over.Swap(true) {
		return
	}
	if s.next == t {
		s.next = nil
	}
	s.breaker.onFailure(ctx)
	for _, p := range t.parcels {
		p.err = errTimeout
	}
	close(t.done)
}

// run makes trips as long as somebody waits. They are nobody's own: no caller's
// context ends one.
func (s *AutoPipeline) run(ctx context.Context) {
	for t := s.depart(); t != nil; t = s.depart() {
		s.travel(ctx, t)
	}
}

// depart lets those board first who are ready to, which is where a busy server
// gains most. A runner that is not the only one leaves a trip that is not overdue
// to the others, so that many share a trip again once Redis is fast.
func (s *AutoPipeline) depart() *trip {
	runtime.Gosched()
	s.mu.Lock()
	defer s.mu.Unlock()
	t := s.next
	if t == nil || s.under > 1 && !t.overdue {
		s.under--
		return nil
	}
	t.hurry.Stop()
	s.next = nil
	return t
}

// travel makes a trip.
func (s *AutoPipeline) travel(ctx context.Context, t *trip) {
	err := s.exchange(ctx, t)
	silent := err == nil && t.any((*parcel).unanswered)
	if err == nil && !silent {
		s.breaker.onSuccess()
	}
	t.late.Stop()
	if t.over.Swap(true) {
		return
	}
	if silent { // and not found out before, when it was late
		s.breaker.onFailure(ctx)
	}
	for _, p := range t.parcels {
		p.open(err)
	}
	close(t.done)
}

// exchange gives each parcel a reply, or fails as a whole. A script that Redis does
// not know is sent once more, as text.
func (s *AutoPipeline) exchange(ctx context.Context, t *trip) (err error) {
	defer recovered("a trip to Redis", &err)
	ctx, cancel := context.WithTimeout(ctx, max(comeback, s.timeout))
	defer cancel()
	all := make([]*parcel, 0, len(t.parcels))
	for e, p := range t.parcels {
		p.cargo = e.pack(p.callers)
		all = append(all, p)
	}
	s.send(ctx, all, (*parcel).sendHash)
	unknown := slices.DeleteFunc(all, (*parcel).wasRun)
	if len(unknown) == 0 {
		return nil
	}
	s.send(ctx, unknown, (*parcel).sendFirst)
	// Of one that was refused the text is not sent: then others would find the script known.
	s.send(ctx, slices.DeleteFunc(unknown, (*parcel).wasRefused), (*parcel).sendText)
	return nil
}

func (t *trip) any(is func(*parcel) bool) bool {
	for _, p := range t.parcels {
		if is(p) {
			return true
		}
	}
	return false
}

// open unpacks the reply, if the trip brought one.
func (p *parcel) open(trip error) {
	defer recovered("what Redis replied", &p.err)
	if p.err = trip; trip == nil {
		p.value, p.err = p.cargo.unpack(p.reply)
	}
}

func (p *parcel) wasRefused() bool { return p.cargo.first != nil && p.reply.Err() != nil }

func (p *parcel) wasRun() bool { return !goredis.HasErrorPrefix(p.reply.Err(), "NOSCRIPT") }

// send makes one round trip. What went wrong is in the replies.
func (s *AutoPipeline) send(ctx context.Context, parcels []*parcel, put func(*parcel, context.Context, goredis.Pipeliner)) {
	pipe := s.client.Pipeline()
	for _, p := range parcels {
		put(p, ctx, pipe)
	}
	_, _ = pipe.Exec(ctx)
}

func (p *parcel) sendHash(ctx context.Context, pipe goredis.Pipeliner) {
	p.reply = p.cargo.script.EvalSha(ctx, pipe, p.cargo.keys, p.cargo.args...)
}

func (p *parcel) sendFirst(ctx context.Context, pipe goredis.Pipeliner) {
	if p.cargo.first != nil {
		p.reply = p.cargo.first.script.Eval(ctx, pipe, p.cargo.first.keys, p.cargo.first.args...)
	}
}

func (p *parcel) sendText(ctx context.Context, pipe goredis.Pipeliner) {
	p.reply = p.cargo.script.Eval(ctx, pipe, p.cargo.keys, p.cargo.args...)
}

// unanswered says that Redis said nothing. What it refuses it refuses at once, and
// nobody has to be kept from asking.
func (p *parcel) unanswered() bool {
	var refused goredis.Error
	return p.reply.Err() != nil && !errors.As(p.reply.Err(), &refused)
}
