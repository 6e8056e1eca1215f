package pgstore

import (
	"strconv"

	"example.com/todo/todo-service/internal/task"
)

// ownedBy returns the condition of the rows of tasks or events that belong to the owner,
// and its argument, which is parameter n; none for task.NoOwner.
//
// Without an owner the condition is no argument: its plan is that of a table in which
// every row is without one, and uses the indexes that hold every row. The indexes of
// owners hold only rows with one, as user_id = $n implies.
func ownedBy(owner task.Owner, n int) (condition string, args []any) {
	if owner == task.NoOwner {
		return `user_id IS NULL`, nil
	}
	return `user_id = $` + strconv.Itoa(n), []any{int64(owner)}
}

// keyText returns the text of the key as it is stored. A key has no space, so no two
// owners share a text.
func keyText(owner task.Owner, key task.IdempotencyKey) string {
	if owner == task.NoOwner {
		return key.String()
	}
	return strconv.FormatInt(int64(owner), 10) + " " + key.String()
}
