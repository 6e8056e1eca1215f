package pgstore_test

import (
	"runtime"
	"slices"
	"strconv"
	"testing"
	"time"

	"example.com/todo/todo-service/internal/pgstore"
	"example.com/todo/todo-service/internal/task"
	"example.com/todo/todo-service/internal/task/storetest"
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

// A task of another owner must take as long as one that does not exist, or its time tells
// that it exists. The two are measured in turn, so that both meet the same noise. Each
// reports the median, because the mean of either varies more than they differ. The medians
// may differ by a tenth.
func BenchmarkGetOfAnothersTaskAndOfNone(b *testing.B) {
	db := migrated(b)
	unownedLog(db)
	s := pgstore.New(db)
	must(s.Adopt(b.Context(), storetest.Owner))
	ids := map[string]int64{"another's": 1, "none": 1 << 40}
	took := map[string][]time.Duration{}
	for b.Loop() {
		for name, id := range ids {
			began := time.Now()
			if _, err := s.Get(b.Context(), storetest.Other, id); err == nil {
				b.Fatalf("%s is found", name)
			}
			took[name] = append(took[name], time.Since(began))
		}
	}
	medians := map[string]float64{}
	for name, all := range took {
		slices.Sort(all)
		medians[name] = float64(all[len(all)/2].Nanoseconds()) / 1e3
		b.ReportMetric(medians[name], "µs/"+name)
	}
	ratio := medians["another's"] / medians["none"]
	b.ReportMetric(ratio, "another's/none")
	if isEnough := len(took["none"]) >= 1000; isEnough && (ratio > 1.1 || ratio < 1/1.1) {
		b.Errorf("another's task takes %.2f times as long as none, want at most 1.1", ratio)
	}
	b.ReportMetric(0, "ns/op") // the sum of both means nothing
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
