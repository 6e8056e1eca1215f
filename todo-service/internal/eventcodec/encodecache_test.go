package eventcodec_test

import (
	"errors"
	"testing"

	"example.com/todo/todo-service/internal/eventcodec"
	"example.com/todo/todo-service/internal/task"
)

func TestEncodeCacheEncodesTheNewestAnnouncementsOnce(t *testing.T) {
	t.Parallel()
	const announcements, watchers = 1000, 10
	encoded := 0
	cache := eventcodec.NewEncodeCache(func(a task.Announcement) (int64, error) {
		encoded++
		return a.Seq, nil
	})
	for seq := range int64(announcements) {
		for range watchers {
			if got, err := cache.Encode(task.Announcement{Seq: seq + 1}); got != seq+1 || err != nil {
				t.Fatalf("%d is encoded as %d, error %v", seq+1, got, err)
			}
		}
	}
	if encoded != announcements {
		t.Errorf("encoded %d times", encoded)
	}
	for range 2 { // an announcement far behind is encoded each time, and evicts nothing
		if got, err := cache.Encode(task.Announcement{Seq: 1}); got != 1 || err != nil {
			t.Errorf("1 is encoded as %d, error %v", got, err)
		}
		if got, err := cache.Encode(task.Announcement{Seq: announcements}); got != announcements || err != nil {
			t.Errorf("the newest is encoded as %d, error %v", got, err)
		}
	}
	if encoded != announcements+2 {
		t.Errorf("encoded %d times", encoded)
	}
}

func TestEncodeCacheDoesNotCacheErrors(t *testing.T) {
	t.Parallel()
	failure := errors.New("once")
	cache := eventcodec.NewEncodeCache(func(task.Announcement) (string, error) {
		err := failure
		failure = nil
		return "x", err
	})
	if _, err := cache.Encode(task.Announcement{Seq: 1}); err == nil {
		t.Error("the error is lost")
	}
	if got, err := cache.Encode(task.Announcement{Seq: 1}); got != "x" || err != nil {
		t.Errorf("%q, %v", got, err)
	}
}
