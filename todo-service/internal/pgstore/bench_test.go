package pgstore_test

import (
	"runtime"
	"strconv"
	"testing"

	"example.com/todo/todo-service/internal/pgstore"
	"example.com/todo/todo-service/internal/task"
)

const benchWriters = 32

func BenchmarkCreate(b *testing.B) {
	benchmark(b, func(s *pgstore.Store, _ task.Task, _ int) error {
		_, err := s.Create(b.Context(), task.NoOwner, newEvent("Learn Go"), task.IdempotencyKey{})
		return err
	})
}

func BenchmarkCreateWithAKey(b *testing.B) {
	benchmark(b, func(s *pgstore.Store, _ task.Task, _ int) error {
		e := newEvent("Learn Go")
		_, err := s.Create(b.Context(), task.NoOwner, e, key(e.ID))
		return err
	})
}

// Each writer changes a task of its own, so that no writer waits for a row.
func BenchmarkUpdate(b *testing.B) {
	benchmark(b, func(s *pgstore.Store, own task.Task, i int) error {
		_, err := s.Update(b.Context(), task.NoOwner, own.ID, rename(strconv.Itoa(i)))
		return err
	})
}

// Every writer changes the same task, and all but one retry.
func BenchmarkUpdateOfOneTask(b *testing.B) {
	benchmark(b, func(s *pgstore.Store, own task.Task, i int) error {
		const first = 1
		_, err := s.Update(b.Context(), task.NoOwner, first, rename(strconv.Itoa(int(own.ID))+"."+strconv.Itoa(i)))
		return err
	})
}

func benchmark(b *testing.B, write func(s *pgstore.Store, own task.Task, i int) error) {
	db := migrated(b)
	db.SetMaxOpenConns(benchWriters)
	db.SetMaxIdleConns(benchWriters)
	s := pgstore.New(db)
	b.SetParallelism(benchWriters / runtime.GOMAXPROCS(0))
	b.RunParallel(func(pb *testing.PB) {
		own, err := s.Create(b.Context(), task.NoOwner, newEvent("Learn Go"), task.IdempotencyKey{})
		for i := 0; pb.Next() && err == nil; i++ {
			err = write(s, own, i)
		}
		if err != nil {
			b.Error(err)
		}
	})
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "writes/s")
}
