package workload

import (
	"sync/atomic"

	"example.com/todo/scripts/prove/internal/history"
)

// ownTask is a task that a single client changes.
type ownTask struct {
	id      int64
	version int64 // last shown; 0 if unknown
}

// taskPool has the tasks of one client, by their last known state.
type taskPool struct{ open, done []ownTask }

// remove takes out the pick-th task that suits the operation, and returns it with its last known
// state. ok is false if no task suits.
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

// hotTask is a task that all clients change concurrently.
type hotTask struct {
	id      atomic.Int64 // 0 while its creation has no response
	version atomic.Int64 // the highest one shown
}

func (h *hotTask) raiseVersion(version int64) {
	for {
		before := h.version.Load()
		if version <= before || h.version.CompareAndSwap(before, version) {
			return
		}
	}
}
