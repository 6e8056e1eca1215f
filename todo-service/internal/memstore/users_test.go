package memstore_test

import (
	"testing"

	"example.com/todo/todo-service/internal/account"
	"example.com/todo/todo-service/internal/account/storetest"
	"example.com/todo/todo-service/internal/memstore"
)

func TestUserStoreKeepsTheContract(t *testing.T) {
	t.Parallel()
	storetest.Run(t, func(*testing.T) account.Store { return memstore.NewUserStore() })
}
