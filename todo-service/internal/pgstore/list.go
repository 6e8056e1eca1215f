package pgstore

import (
	"context"
	"fmt"
	"math"
	"strconv"
	"strings"

	"example.com/todo/platform/postgres"
	"example.com/todo/todo-service/internal/task"
)

// List returns the owner's selected tasks in q.Order. Beyond ASCII, whether Contains
// ignores case depends on the database's locale.
func (s *Store) List(ctx context.Context, owner task.Owner, q task.Query) ([]task.Task, error) {
	query, args := listQuery(owner, q)
	return selectConverted(ctx, s, taskRow.task, query, args...)
}

// listQuery returns one text for each order and set of filters, with and without an owner,
// so that each has its own plan.
func listQuery(owner task.Owner, q task.Query) (query string, args []any) {
	after, by, position := keyset(owner, q)
	args = append([]any{q.Offset, q.Limit}, position...)
	ofOwner, user := ownedBy(owner, len(args)+1)
	args = append(args, user...)
	where := []string{ofOwner, after}
	if q.Contains != "" {
		// A title of an older version may not be in NFC. The comparison normalizes it. It is
		// not rewritten: no consumer would see a change without an event and a version. A
		// title in ASCII is in NFC and skips the normalization.
		args = append(args, "%"+likeEscaper.Replace(q.Contains)+"%")
		where = append(where, fmt.Sprintf(
			`(title ILIKE $%[1]d OR octet_length(title) > char_length(title) AND normalize(title, NFC) ILIKE $%[1]d)`, len(args)))
	}
	filtered := `SELECT ` + taskColumns + ` FROM tasks WHERE ` + strings.Join(where, ` AND `)
	const page = ` OFFSET $1 LIMIT $2`
	ordered, by := ` ORDER BY `+orderOf(owner, by), ` ORDER BY `+by
	switch {
	// done is no argument: a plan for any argument would not know how many tasks are done.
	case q.Done != nil && *q.Done:
		filtered += ` AND done`
	case q.Done != nil:
		filtered += ` AND NOT done`
	case owner != task.NoOwner || q.Order.UsesPriority():
		return mergedQuery(filtered, ordered, by+page), args
	}
	if !q.Order.UsesPriority() && q.Contains == "" && q.Offset == 0 {
		return firstRows(filtered+ordered, q.Limit) + by + page, args
	}
	return filtered + ordered + page, args
}

// firstRows returns a query for the first rows of ordered, limit or more of them.
func firstRows(ordered string, limit int) string {
	// PostgreSQL keeps one plan for any argument if it costs no more than plans for the
	// arguments. Without a constant limit it would assume that a page is a tenth of the
	// tasks. Beyond some 2,000 tasks it would then plan each execution, which takes a third
	// of the time of the query, and more with each index.
	for _, most := range []int{100 + 1, task.MaxLimit + 1} {
		if limit <= most {
			ordered += ` LIMIT ` + strconv.Itoa(most)
			break
		}
	}
	return `SELECT ` + taskColumns + ` FROM (` + ordered + `) AS first`
}

// mergedQuery returns the query for a page of the done and the open tasks, each in an order
// that an index has.
func mergedQuery(filtered, ordered, page string) string {
	// The indexes of owners and those by priority have done before the order. So the done
	// and the open tasks are read in order, each as far as the page may need them, and
	// merged (decision 22).
	half := func(condition string) string {
		return `(` + filtered + condition + ordered + ` LIMIT $1::bigint + $2::bigint)`
	}
	return `SELECT ` + taskColumns + ` FROM (` + half(` AND done`) + ` UNION ALL ` + half(` AND NOT done`) + `) AS halves` + page
}

// keyset returns the condition of the tasks after q's position, and the order. The
// arguments of the condition are $3 and later ones.
func keyset(owner task.Owner, q task.Query) (after, by string, position []any) {
	ascending, descending := `priority`, `-priority`
	if owner != task.NoOwner {
		// Only the indexes of owners have these. PostgreSQL expects one row behind the lowest
		// priority, whatever the id, and would read that one from an index of all tasks.
		ascending, descending = `0 + priority`, `0 - priority`
	}
	switch q.Order {
	case task.ByIDDescending:
		last := q.After - 1
		if q.After == 0 {
			last = math.MaxInt64
		}
		return `id <= $3`, `id DESC`, []any{last}
	case task.ByPriority: // the zero position is before the first task
		return `(` + ascending + `, id) > ($3, $4)`, ascending + `, id`, []any{q.AfterPriority, q.After}
	case task.ByPriorityDescending:
		// Only a comparison of rows with one direction is the range of an index.
		highest := q.AfterPriority
		if q.After == 0 {
			highest = task.MaxPriority
		}
		return `(` + descending + `, id) > ($3, $4)`, descending + `, id`, []any{-highest, q.After}
	default:
		return `id > $3`, `id`, []any{q.After}
	}
}

var likeEscaper = strings.NewReplacer(`\`, `\\`, `%`, `\%`, `_`, `\_`)

// Count returns the numbers of the owner's tasks.
func (s *Store) Count(ctx context.Context, owner task.Owner) (task.Counts, error) {
	query, args := countQuery(owner)
	var row struct{ Open, Done int64 }
	err := s.selectOne(ctx, &row, query, args...)
	return task.Counts{Total: row.Open + row.Done, Open: row.Open, Done: row.Done}, postgres.Classify(err)
}

func countQuery(owner task.Owner) (query string, args []any) {
	ofOwner, args := ownedBy(owner, 1)
	return `SELECT count(*) FILTER (WHERE NOT done) AS open, count(*) FILTER (WHERE done) AS done FROM tasks WHERE ` + ofOwner, args
}
