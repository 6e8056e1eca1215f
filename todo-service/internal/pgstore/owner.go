package pgstore

import (
	"fmt"
	"strconv"
	"strings"

	"example.com/todo/todo-service/internal/task"
)

// ownedBy returns the condition of the rows of tasks or events that belong to the owner,
// and its argument, which is parameter n; none for task.NoOwner.
func ownedBy(owner task.Owner, n int) (condition string, args []any) {
	if owner == task.NoOwner {
		return `user_id IS NULL`, nil
	}
	// PostgreSQL leaves user_id out of an order where user_id = $n; see orderOf.
	return fmt.Sprintf(`user_id = ANY(ARRAY[$%d::bigint])`, n), []any{int64(owner)}
}

// orderOf returns the order of the rows for which ownedBy is the condition.
func orderOf(owner task.Owner, by string) string {
	// Only the indexes of owners have an order that begins with user_id. PostgreSQL would
	// also read an index of all rows until it has found enough of the owner's. For an owner
	// with few rows that reads every row.
	switch {
	case owner == task.NoOwner:
		return by
	case strings.HasSuffix(by, ` DESC`):
		return `user_id DESC, ` + by
	default:
		return `user_id, ` + by
	}
}

// keyText returns the text of the key as it is stored. A key has no space, so no two
// owners share a text.
func keyText(owner task.Owner, key task.IdempotencyKey) string {
	if owner == task.NoOwner {
		return key.String()
	}
	return strconv.FormatInt(int64(owner), 10) + " " + key.String()
}
