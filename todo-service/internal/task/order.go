package task

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
)

// Order is the order of a list. "" is ByID.
type Order string

// The orders. Tasks of one priority are always in id order.
const (
	ByID                 Order = "id"
	ByIDDescending       Order = "-id"
	ByPriority           Order = "priority"
	ByPriorityDescending Order = "-priority"
)

// ParseOrder returns the order of that name, or the problem of an unknown name.
func ParseOrder(name string) (o Order, problem string) {
	o = Order(name)
	if !slices.Contains([]Order{ByID, ByIDDescending, ByPriority, ByPriorityDescending}, o) {
		return "", "must be id, -id, priority or -priority"
	}
	return o, ""
}

// UsesPriority reports whether the order is by priority, and then by id.
func (o Order) UsesPriority() bool { return o == ByPriority || o == ByPriorityDescending }

// Cursor returns the text of the position of t: its id where the order is by id, and
// otherwise the order, the priority and the id. Query.SetAfter parses it.
func (o Order) Cursor(t Task) string {
	id := strconv.FormatInt(t.ID, 10)
	if !o.UsesPriority() {
		return id
	}
	// The name of the order keeps a client from continuing in another one. The separator
	// needs no escape in a URL.
	return string(o) + "." + strconv.Itoa(t.Priority) + "." + id
}

// SetAfter makes the selection begin after a cursor of q.Order, and returns the problem of
// another text.
func (q *Query) SetAfter(cursor string) (problem string) {
	var last Task
	least := int64(0) // 0 is before the first id
	problem = fmt.Sprintf("must be a whole number from 0 to %d", int64(math.MaxInt64))
	id := cursor
	if q.Order.UsesPriority() {
		problem = "must be taken from the Link of a page with the same sort"
		least = 1
		position, _ := strings.CutPrefix(cursor, string(q.Order)+".")
		var priority string
		priority, id, _ = strings.Cut(position, ".")
		last.Priority, _ = strconv.Atoi(priority)
	}
	last.ID, _ = strconv.ParseInt(id, 10, 64)
	// Only what Cursor writes is equal to its own cursor: not +1, not 01, not another order.
	if q.Order.Cursor(last) != cursor || last.ID < least || last.Priority < 0 || last.Priority > MaxPriority {
		return problem
	}
	q.After, q.AfterPriority = last.ID, last.Priority
	return ""
}

func (q Query) orderProblem() string {
	_, problem := ParseOrder(string(cmp.Or(q.Order, ByID)))
	return problem
}
