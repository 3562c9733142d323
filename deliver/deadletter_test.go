package deliver

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/intertie/intertie/destination"
	"github.com/intertie/intertie/destination/blob"
)

func TestDeadLettersShareABlob(t *testing.T) {
	store := new(blobs)
	inBubble(t, func(*rig) []*Subscription {
		s := sub(t, 1, always(destination.Verdict{Outcome: destination.BadRequest, Status: 400}))
		s.DeadLetter = &DeadLetter{Store: store, Container: "dead"}
		return []*Subscription{s}
	}, func(r *rig) {
		r.disk.publish(entries(0, 2500)...)
		pass(10 * time.Minute)
		if dead := store.records(t); len(dead) != 2500 || store.count() > 4 {
			t.Errorf("%d dead letters in %d blobs, want 2500 in few", len(dead), store.count())
		}
		if r.disk.count(queueDead) != 0 {
			t.Error("the dead-letter queue is not empty")
		}
	})
}

func TestDeadLetterStoreComesBack(t *testing.T) {
	start := time.Time{}
	store := &blobs{}
	store.refuse = func() error {
		if time.Since(start) < 3*time.Hour {
			return errors.New("down")
		}
		return nil
	}
	inBubble(t, func(*rig) []*Subscription {
		start = time.Now()
		s := sub(t, 1, always(destination.Verdict{Outcome: destination.BadRequest}))
		s.DeadLetter = &DeadLetter{Store: store, Container: "dead"}
		return []*Subscription{s}
	}, func(r *rig) {
		r.disk.publish(entries(0, 5)...)
		pass(4 * time.Hour)
		if dead := store.records(t); len(dead) != 5 {
			t.Errorf("%d dead letters written, want 5", len(dead))
		}
		if n := len(store.tries()); n < 10 || n > 60 {
			t.Errorf("%d tries in 3 h", n)
		}
	})
}

func TestDeadLetterStoreStaysDown(t *testing.T) {
	for _, row := range []struct {
		name       string
		err        error
		reason     string
		from, till time.Duration
	}{
		{
			"unavailable", errors.New("down"), "DeadLetterDestinationUnavailable",
			4*time.Hour + 5*time.Minute, 4*time.Hour + 6*time.Minute,
		},
		{
			"impossible name", blob.ErrName, "DeadLetterDestinationNotFound",
			5 * time.Minute, 5*time.Minute + 2*time.Second,
		},
		{
			"no such container", blob.ErrMissing, "DeadLetterDestinationNotFound",
			5 * time.Minute, 5*time.Minute + 2*time.Second,
		},
	} {
		t.Run(row.name, func(t *testing.T) {
			store := &blobs{refuse: func() error { return fmt.Errorf("put: %w", row.err) }}
			inBubble(t, func(*rig) []*Subscription {
				s := sub(t, 1, always(destination.Verdict{Outcome: destination.BadRequest}))
				s.DeadLetter = &DeadLetter{Store: store, Container: "dead"}
				return []*Subscription{s}
			}, func(r *rig) {
				r.disk.publish(entry(0))
				dropped := func() float64 {
					return r.value(t, "eventgrid_dropped_total", row.reason)
				}
				pass(row.from - time.Second)
				if dropped() != 0 {
					t.Error("dropped too early")
				}
				pass(row.till - row.from + time.Second)
				if dropped() != 1 || r.disk.count(queueDead) != 0 {
					t.Errorf("dropped_total = %v, %d records left", dropped(), r.disk.count(queueDead))
				}
			})
		})
	}
}

func TestAHangingStoreDelaysNoOther(t *testing.T) {
	good := new(blobs)
	inBubble(t, func(*rig) []*Subscription {
		bad := destination.Verdict{Outcome: destination.BadRequest}
		a, b := sub(t, 1, always(bad)), sub(t, 2, always(bad))
		a.DeadLetter = &DeadLetter{Store: stuckStore{}, Container: "dead"}
		b.DeadLetter = &DeadLetter{Store: good, Container: "dead"}
		return []*Subscription{a, b}
	}, func(r *rig) {
		start := time.Now()
		r.disk.publish(entries(0, 3000)...)
		// Two blobs wait in memory; what is due beyond them comes back after 30 s.
		pass(5*time.Minute + 5*time.Second + shortestBlobRetry)
		if dead := good.records(t); len(dead) != 3000 {
			t.Errorf("%d dead letters written %s after the attempts", len(dead), time.Since(start))
		}
	})
}

type stuckStore struct{}

func (stuckStore) Put(ctx context.Context, _, _ string, _ []byte) error {
	<-ctx.Done()
	return ctx.Err()
}

func TestAStopDuringABlobLeavesTheDeadLettersInTheirQueue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, newDisk(), -1, nil)
		s := sub(t, 1, always(destination.Verdict{Outcome: destination.BadRequest}))
		s.DeadLetter = &DeadLetter{Store: stuckStore{}, Container: "dead"}
		r.SetTopic(topicUID, topicID, []*Subscription{s})
		r.start()
		r.disk.publish(entries(0, 5)...)
		pass(5*time.Minute + 5*time.Second)
		now, cancel := context.WithCancel(t.Context())
		cancel()
		if err := r.Drain(now); err == nil {
			t.Error("the drain did not report that it was cut short")
		}
		<-r.ended
		if n := r.disk.count(queueDead); n != 5 {
			t.Errorf("%d dead letters are left, want 5", n)
		}
	})
}

func TestDeadLettersWithoutADestinationAnyMoreAreDropped(t *testing.T) {
	inBubble(t, func(*rig) []*Subscription {
		s := sub(t, 1, always(destination.Verdict{Outcome: destination.BadRequest}))
		s.DeadLetter = &DeadLetter{Store: new(blobs), Container: "dead"}
		return []*Subscription{s}
	}, func(r *rig) {
		r.disk.publish(entry(0))
		pass(time.Minute)
		r.SetTopic(topicUID, topicID, []*Subscription{sub(t, 1, always(delivered))})
		pass(5 * time.Minute)
		if got := r.value(t, "eventgrid_dropped_total", "UndeliverableDueToHttpBadRequest"); got != 1 {
			t.Errorf("dropped_total = %v, want 1", got)
		}
		if r.disk.left() != 0 {
			t.Error("a record is left")
		}
	})
}
