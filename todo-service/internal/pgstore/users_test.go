package pgstore_test

import (
	"testing"

	"example.com/todo/todo-service/internal/account"
	"example.com/todo/todo-service/internal/account/storetest"
	"example.com/todo/todo-service/internal/pgstore"
)

func TestUserStoreKeepsTheContract(t *testing.T) {
	t.Parallel()
	storetest.Run(t, func(t *testing.T) account.Store {
		db := migrated(t)
		db.MustExec(`DELETE FROM users`) // those of the tests with tasks
		return pgstore.NewUserStore(pgstore.New(db))
	})
}
