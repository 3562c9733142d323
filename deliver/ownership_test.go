package deliver

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/intertie/intertie/destination"
	"github.com/intertie/intertie/eventlog"
	"github.com/intertie/intertie/resource"
)

// reached remembers which (event, subscription) were delivered.
type reached struct {
	mu  sync.Mutex
	set map[string]int
}

func (r *reached) mark(sub byte, id string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.set[fmt.Sprint(sub, "/", id)]++
}

func (r *reached) has(sub byte, id string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.set[fmt.Sprint(sub, "/", id)] > 0
}

// world is a set of endpoints of every character.
type world struct {
	got   reached
	dead  *blobs
	batch Batch
}

func (w *world) subs(t *testing.T) []*Subscription {
	t.Helper()
	answer := func(n byte, f targetFunc) *Subscription {
		return sub(t, n, batchFunc(func(ctx context.Context, one *destination.Notification) destination.Verdict {
			v := f(ctx, one.Items[0].Event.ID, one.Items[0].Attempt)
			if v.Outcome == destination.Delivered {
				for _, it := range one.Items {
					w.got.mark(n, it.Event.ID)
				}
			}
			return v
		}))
	}
	all := []*Subscription{
		answer(1, always(delivered)),
		answer(2, hang(300*time.Millisecond, delivered)),
		answer(3, func(_ context.Context, _ string, attempt int) destination.Verdict {
			if attempt < 2 {
				return erred
			}
			return delivered
		}),
		answer(4, always(destination.Verdict{Outcome: destination.BadRequest, Status: 400})),
		answer(5, hang(30*time.Second, destination.Verdict{Outcome: destination.TimedOut})),
		answer(6, hang(3*time.Second, delivered)),
	}
	for _, s := range all {
		s.TTL, s.Batch = 30*time.Minute, w.batch
		s.DeadLetter = &DeadLetter{Store: w.dead, Container: fmt.Sprintf("dead%d", s.UID[1])}
	}
	return all
}

// owned returns the (event, subscription) that have a durable owner or are
// finished.
func (w *world) owned(t *testing.T, k *disk) map[string]bool {
	t.Helper()
	owned := make(map[string]bool)
	k.owned(func(e *eventlog.Entry) {
		for n := byte(1); n <= 6; n++ {
			owned[fmt.Sprint(n, "/", e.Event.ID)] = true
		}
	}, func(d *eventlog.Delivery) {
		owned[fmt.Sprint(d.Subscription[1], "/", d.Event.ID)] = true
	})
	w.got.mu.Lock()
	for key := range w.got.set {
		owned[key] = true
	}
	w.got.mu.Unlock()
	for key := range w.buried(t) {
		owned[key] = true
	}
	return owned
}

func (w *world) buried(t *testing.T) map[string]bool {
	t.Helper()
	buried := make(map[string]bool)
	w.dead.mu.Lock()
	defer w.dead.mu.Unlock()
	for name, body := range w.dead.put {
		var n byte
		if _, err := fmt.Sscanf(name, "dead%d/", &n); err != nil {
			t.Fatal(err)
		}
		one := &blobs{put: map[string][]byte{name: body}}
		for _, r := range one.records(t) {
			buried[fmt.Sprint(n, "/", r.ID)] = true
		}
	}
	return buried
}

// A process that dies at any of its calls to the log leaves an owner for every
// event, and the next process brings every event to its end.
func TestEveryEventHasAnOwnerAtEveryCrashPoint(t *testing.T) {
	for name, b := range map[string]Batch{"alone": {}, "in batches": {Events: 5, Bytes: 64 << 10}} {
		for keeps, forgets := range map[string]bool{"records": true, "events": false} {
			t.Run(name+", the log settles "+keeps, func(t *testing.T) { crashEverywhere(t, b, forgets) })
		}
	}
}

func crashEverywhere(t *testing.T, b Batch, forgets bool) {
	t.Helper()
	const events = 12
	small := func(o *Options) {
		o.QueueItems, o.Concurrency, o.MaxConcurrency = 4, 2, 2
	}
	// A process that lives makes not 300 calls: the last rounds have no crash.
	const points = 400
	for fuse := 0; fuse < points; fuse += 1 + fuse/20 {
		synctest.Test(t, func(t *testing.T) {
			w := &world{dead: new(blobs), got: reached{set: make(map[string]int)}, batch: b}
			k := newDisk()
			k.forgets = forgets
			for i := 0; i < events; i += 3 {
				k.publish(entries(i, 3)...)
			}
			check := func(when string) {
				t.Helper()
				owned := w.owned(t, k)
				for i := range events {
					for n := 1; n <= 6; n++ {
						if key := fmt.Sprintf("%d/e%d", n, i); !owned[key] {
							t.Errorf("crash at call %d: %s has no owner %s", fuse, key, when)
						}
					}
				}
			}

			first := newRig(t, k, fuse, small)
			first.SetTopic(topicUID, topicID, w.subs(t))
			first.start()
			select {
			case <-first.log.blown:
			case <-time.After(2 * time.Hour):
			}
			check("at the crash")
			now, cancel := context.WithCancel(context.Background())
			cancel()
			_ = first.Drain(now) // what a dead process would not do; the log ignores it
			<-first.ended
			check("after the crash")

			second := newRig(t, k, -1, small)
			second.SetTopic(topicUID, topicID, w.subs(t))
			second.start()
			pass(3 * time.Hour)
			second.stop(t)
			if k.left() != 0 {
				t.Errorf("crash at call %d: %d records are left in the end", fuse, k.left())
			}
			buried := w.buried(t)
			for i := range events {
				id := fmt.Sprintf("e%d", i)
				for n := byte(1); n <= 6; n++ {
					dead := n == 4 || n == 5
					if w.got.has(n, id) == dead || buried[fmt.Sprint(n, "/", id)] != dead {
						t.Errorf("crash at call %d: %s did not come to the right end for subscription %d", fuse, id, n)
					}
				}
			}
		})
		if t.Failed() {
			return
		}
	}
}

func TestARecordThatCannotBeWrittenKeepsItsOwner(t *testing.T) {
	rec := newRecorder()
	inBubble(t, func(r *rig) []*Subscription {
		broken := time.Now().Add(time.Minute)
		r.log.failing = failUntil(broken)
		return []*Subscription{sub(t, 1, rec.around(func(_ context.Context, _ string, n int) destination.Verdict {
			if n == 0 {
				return erred
			}
			return delivered
		}))}
	}, func(r *rig) {
		r.disk.publish(entries(0, 20)...)
		pass(59 * time.Second)
		if r.disk.count(queueEvents) != 1 {
			t.Fatal("a batch is Done though no retry could be written")
		}
		pass(time.Minute)
		if left := r.disk.count(queueEvents) + r.disk.count(queueRetries); left != 0 || len(rec.visits()) != 40 {
			t.Errorf("%d records are left, %d attempts; want 0, 40", left, len(rec.visits()))
		}
	})
}

func TestDrainLetsAttemptsFinish(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rec := newRecorder()
		r := newRig(t, newDisk(), -1, nil)
		r.SetTopic(topicUID, topicID, []*Subscription{sub(t, 1, rec.around(hang(5*time.Second, delivered)))})
		r.start()
		for i := range 30 {
			r.disk.publish(entry(i))
		}
		pass(500 * time.Millisecond)
		began := len(rec.visits())
		start := time.Now()
		r.stop(t)
		if took := time.Since(start); took != 4500*time.Millisecond {
			t.Errorf("drained in %s, want the 4.5 s that the attempts took", took)
		}
		if n := len(rec.visits()); n != began || began != 8 {
			t.Errorf("%d attempts, %d of them before the stop", n, began)
		}
		if n := r.disk.count(queueEvents); n != 22 {
			t.Errorf("%d batches are left for the next start, want 22", n)
		}
		if err := r.Run(context.Background()); !errors.Is(err, ErrRunning) {
			t.Errorf("second Run: %v", err)
		}
	})
}

func TestDrainWritesWhatFailedLast(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, newDisk(), -1, nil)
		r.SetTopic(topicUID, topicID, []*Subscription{sub(t, 1, hang(900*time.Millisecond, erred))})
		r.start()
		r.disk.publish(entry(0))
		pass(500 * time.Millisecond)
		r.stop(t)
		if r.disk.count(queueRetries) != 1 || r.disk.count(queueEvents) != 0 {
			t.Error("the last attempt's outcome was not written")
		}
	})
}

func TestDrainIsBounded(t *testing.T) {
	for _, row := range []struct {
		name string
		ctx  time.Duration
		want time.Duration
	}{
		{"by its context", 2 * time.Second, 2 * time.Second},
		{"by DrainTimeout", time.Hour, 27 * time.Second},
	} {
		t.Run(row.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t, newDisk(), -1, nil)
				r.SetTopic(topicUID, topicID, []*Subscription{sub(t, 1, hang(time.Hour, delivered))})
				r.start()
				r.disk.publish(entry(0))
				pass(100 * time.Millisecond)
				ctx, cancel := context.WithTimeout(context.Background(), row.ctx)
				defer cancel()
				start := time.Now()
				err := r.Drain(ctx)
				if (err != nil) != (row.ctx == row.want) || time.Since(start) != row.want {
					t.Errorf("Drain: %v after %s", err, time.Since(start))
				}
				if err := <-r.ended; err != nil {
					t.Errorf("Run: %v", err)
				}
				if r.disk.count(queueEvents) != 1 {
					t.Error("the cancelled attempt's event has no owner")
				}
			})
		})
	}
}

func TestACancelledRunEndsWithoutError(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, newDisk(), -1, nil)
		ctx, cancel := context.WithCancel(context.Background())
		ended := make(chan error, 1)
		go func() { ended <- r.Run(ctx) }()
		pass(time.Second)
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
		if err := r.Drain(context.Background()); err != nil {
			t.Errorf("Drain afterwards: %v", err)
		}
	})
}

func TestUnknownReceiversAreThoseOfDeletedOnes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := newDisk()
		stranger := entry(1)
		stranger.Topic = resource.UID{9}
		k.publish(stranger)
		gone := resource.UID{2, 77}
		s := k.open(-1)
		d := returningDelivery(entry(2), gone)
		for _, err := range []error{
			s.Retry(t.Context(), d), s.DeadLetter(t.Context(), d), s.Overflow(t.Context(), gone, d),
		} {
			if err != nil {
				t.Fatal(err)
			}
		}
		r := newRig(t, k, -1, nil)
		r.start()
		pass(time.Second)
		if k.left() != 0 {
			t.Errorf("%d records are left", k.left())
		}
		if got := r.value(t, "eventgrid_dropped_total", "SubscriptionDeleted"); got != 3 {
			t.Errorf("dropped_total = %v, want 3", got)
		}
		if got := r.value(t, "eventgrid_unmatched_events_total"); got != 1 {
			t.Errorf("unmatched_total = %v, want 1", got)
		}
		for _, words := range [][]string{
			{"eventId=e1", "TopicDeleted"}, {"eventId=e2", "SubscriptionDeleted"}, {"backlog dropped", gone.String()},
		} {
			if len(r.lines.with(words...)) == 0 {
				t.Errorf("no log line with %q", words)
			}
		}
		r.stop(t)
	})
}
