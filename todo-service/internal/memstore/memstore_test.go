package memstore_test

import (
	"testing"

	"example.com/todo/todo-service/internal/memstore"
	"example.com/todo/todo-service/internal/task"
	"example.com/todo/todo-service/internal/task/storetest"
)

func TestContract(t *testing.T) {
	t.Parallel()
	storetest.Run(t, func(*testing.T) task.Store { return memstore.New() })
}
