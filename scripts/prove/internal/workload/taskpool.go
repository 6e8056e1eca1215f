package workload

import (
	"sync/atomic"

	"example.com/todo/scripts/prove/internal/history"
)

// ownTask is a task that one client alone works on, one call after another.
type ownTask struct {
	id      int64
	version int64 // last shown; 0: not known
}

// taskPool is the tasks of one client, by whether it believes them done.
type taskPool struct{ open, done []ownTask }

// remove removes a task that the operation suits, the pick-th in some order, and
// tells whether it was believed done. There may be none.
func (p *taskPool) remove(operation history.Operation, pick int) (t ownTask, done, ok bool) {
	from := &p.open
	switch {
	case operation == history.Reopen:
		from = &p.done
	case operation != history.Complete && pick%(len(p.open)+len(p.done)+1) >= len(p.open):
		from = &p.done
	}
	if len(*from) == 0 {
		return ownTask{}, false, false
	}
	all := *from
	i := pick % len(all)
	t = all[i]
	all[i] = all[len(all)-1]
	*from = all[:len(all)-1]
	return t, from == &p.done, true
}

func (p *taskPool) add(t ownTask, done bool) {
	if done {
		p.done = append(p.done, t)
		return
	}
	p.open = append(p.open, t)
}

// hotTask is a task that all clients work on at once.
type hotTask struct {
	id      atomic.Int64 // 0: its creation has no answer
	version atomic.Int64 // the highest shown
}

func (h *hotTask) raiseVersion(version int64) {
	for {
		before := h.version.Load()
		if version <= before || h.version.CompareAndSwap(before, version) {
			return
		}
	}
}
