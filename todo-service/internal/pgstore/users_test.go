package pgstore_test

import (
	"testing"

	"example.com/todo/todo-service/internal/account"
	"example.com/todo/todo-service/internal/account/storetest"
	"example.com/todo/todo-service/internal/pgstore"
)

func TestUserStoreKeepsTheContract(t *testing.T) {
	t.Parallel()
	storetest.Run(t, func(t *testing.T) account.Store { return pgstore.NewUserStore(pgstore.New(migrated(t))) })
}
