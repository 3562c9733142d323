package deliver

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/intertie/intertie/destination"
	"github.com/intertie/intertie/eventlog"
	"github.com/intertie/intertie/filter"
	"github.com/intertie/intertie/resource"
)

// failUntil refuses every write before end.
func failUntil(end time.Time) func(string, []eventlog.Delivery) error {
	return func(string, []eventlog.Delivery) error {
		if time.Now().Before(end) {
			return errors.New("the disk is full")
		}
		return nil
	}
}

func returningDelivery(e eventlog.Entry, sub resource.UID) []eventlog.Transfer {
	return []eventlog.Transfer{{Delivery: eventlog.Delivery{Entry: e, Subscription: sub, Attempts: 1, Due: time.Now()}}}
}

func TestOnlyMatchingSubscriptionsGetAnEvent(t *testing.T) {
	one, other := newRecorder(), newRecorder()
	inBubble(t, func(*rig) []*Subscription {
		a, b := sub(t, 1, one.around(always(delivered))), sub(t, 2, other.around(always(delivered)))
		f, err := filter.Compile(filter.Spec{IncludedEventTypes: []string{"special"}})
		if err != nil {
			t.Fatal(err)
		}
		b.Filter = f
		return []*Subscription{a, b}
	}, func(r *rig) {
		r.disk.publish(entry(0))
		pass(time.Second)
		if len(one.visits()) != 1 || len(other.visits()) != 0 {
			t.Errorf("visits: %v, %v", one.visits(), other.visits())
		}
		if got := r.value(t, "eventgrid_matched_events_total", "sub1", topicID); got != 1 {
			t.Errorf("matched_events_total = %v", got)
		}
		if got := r.value(t, "eventgrid_destination_processing_duration_ms", "sub1"); got != 1 {
			t.Errorf("destination_processing_duration_ms has %v samples", got)
		}
		r.SetTopic(topicUID, topicID, nil)
		r.disk.publish(entry(1))
		pass(time.Second)
		if got := r.value(t, "eventgrid_unmatched_events_total", topicID); got != 1 {
			t.Errorf("unmatched_total = %v", got)
		}
		if r.disk.count(queueEvents) != 0 {
			t.Error("an unmatched event stays in the log")
		}
	})
}

func TestANewTargetTakesWhatIsQueued(t *testing.T) {
	before, after := newRecorder(), newRecorder()
	inBubble(t, func(*rig) []*Subscription {
		return []*Subscription{sub(t, 1, before.around(hang(500*time.Millisecond, delivered)))}
	}, func(r *rig) {
		r.disk.publish(entries(0, 100)...)
		pass(100 * time.Millisecond)
		r.SetTopic(topicUID, topicID, []*Subscription{sub(t, 1, after.around(always(delivered)))})
		pass(time.Second)
		if len(before.visits()) != 8 || len(after.visits()) != 92 {
			t.Errorf("%d to the former target, %d to the new one", len(before.visits()), len(after.visits()))
		}
	})
}

func TestAChangeKeepsTheCircuit(t *testing.T) {
	inBubble(t, func(*rig) []*Subscription {
		return []*Subscription{sub(t, 1, always(busy))}
	}, func(r *rig) {
		r.disk.publish(entry(0))
		pass(time.Second)
		before, _ := r.Status(sub(t, 1, nil).UID)
		r.SetTopic(topicUID, topicID, []*Subscription{sub(t, 1, always(delivered))})
		if after, _ := r.Status(sub(t, 1, nil).UID); after != before || after.Circuit != Open {
			t.Errorf("status before %+v, after %+v", before, after)
		}
	})
}

func TestRemovingASubscriptionDropsWhatItWasOwed(t *testing.T) {
	for _, row := range []struct {
		name   string
		remove func(*rig)
	}{
		{"SetTopic", func(r *rig) { r.SetTopic(topicUID, topicID, nil) }},
		{"RemoveTopic", func(r *rig) { r.RemoveTopic(topicUID) }},
	} {
		t.Run(row.name, func(t *testing.T) {
			rec := newRecorder()
			inBubble(t, func(*rig) []*Subscription {
				return []*Subscription{sub(t, 1, rec.around(hang(10*time.Second, erred)))}
			}, func(r *rig) {
				for i := range 40 {
					r.disk.publish(entries(i*50, 50)...)
				}
				pass(3 * time.Second)
				if r.disk.count(queueBacklog) == 0 {
					t.Fatal("no backlog to remove")
				}
				r.disk.publish(entries(2000, 50)...)
				pass(50 * time.Millisecond)
				row.remove(r)
				pass(20 * time.Second)
				if r.disk.left() != 0 {
					t.Errorf("%d records are left", r.disk.left())
				}
				if n := len(rec.visits()); n != 8 {
					t.Errorf("%d attempts, want those that had begun", n)
				}
				if _, ok := r.Status(sub(t, 1, nil).UID); ok {
					t.Error("still known")
				}
				if got := r.value(t, "eventgrid_matched_events_total"); got != 0 {
					t.Errorf("a series of the removed subscription is left: %v", got)
				}
				if got := r.value(t, "eventgrid_dropped_total", "SubscriptionDeleted"); got == 0 {
					t.Error("the drops are not counted")
				}
			})
		})
	}
}

func TestTopicsChangeWhileEventsFlow(t *testing.T) {
	r := newRig(t, newDisk(), -1, nil)
	var got atomic.Int64
	stays := sub(t, 1, targetFunc(func(context.Context, string, int) destination.Verdict {
		got.Add(1)
		return delivered
	}))
	r.SetTopic(topicUID, topicID, []*Subscription{stays})
	r.start()
	const n = 3000
	changes := make(chan struct{})
	go func() {
		defer close(changes)
		for i := range 300 {
			comes := sub(t, byte(2+i%5), always(busy))
			comes.UID[2] = byte(i)
			r.SetTopic(topicUID, topicID, []*Subscription{stays, comes})
			r.SetTopic(resource.UID{8}, topicID+"2", []*Subscription{sub(t, 100, always(delivered))})
			r.RemoveTopic(resource.UID{8})
		}
	}()
	for i := range n / 10 {
		r.disk.publish(entries(i*10, 10)...)
	}
	<-changes
	r.SetTopic(topicUID, topicID, []*Subscription{stays})
	deadline := time.After(20 * time.Second)
	for got.Load() != n || r.disk.count(queueEvents)+r.disk.count(queueBacklog) != 0 {
		select {
		case <-deadline:
			t.Fatalf("%d of %d delivered, %d batches left", got.Load(), n, r.disk.count(queueEvents))
		case <-time.After(5 * time.Millisecond):
		}
	}
	r.stop(t)
}

func TestOptionsAreChecked(t *testing.T) {
	for name, spoil := range map[string]func(*Options){
		"no log":      func(o *Options) { o.Log = nil },
		"no schedule": func(o *Options) { o.Schedule = nil },
		"no delay":    func(o *Options) { o.Schedule = []time.Duration{0} },
		"no memory":   func(o *Options) { o.Memory = 0 },
		"no scale":    func(o *Options) { o.Scale = 0 },
		"no batches":  func(o *Options) { o.BatchMemory = 0 },
		"fewer":       func(o *Options) { o.MaxConcurrency = o.Concurrency - 1 },
	} {
		o := DefaultOptions()
		o.Log = newDisk().open(-1)
		if err := o.Validate(); err != nil {
			t.Fatal(err)
		}
		spoil(&o)
		if _, err := New(o); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

func TestQueueIsFirstInFirstOut(t *testing.T) {
	var q queue
	next, want := 0, 0
	for round := range 200 {
		for range round % 7 {
			q.push(&item{size: next, from: source(next % 3)})
			next++
		}
		for range min(q.len, round%5) {
			if got := q.pop().size; got != want {
				t.Fatalf("popped %d, want %d", got, want)
			}
			want++
		}
		bytes, loose := 0, 0
		for i := want; i < next; i++ {
			bytes += i
			if source(i%3) != fromBacklog {
				loose++
			}
		}
		if q.len != next-want || q.bytes != bytes || q.loose != loose {
			t.Fatalf("len %d, bytes %d, loose %d; want %d, %d, %d", q.len, q.bytes, q.loose, next-want, bytes, loose)
		}
	}
	if rest := q.takeAll(); len(rest) != next-want || q.len != 0 || q.bytes != 0 || q.loose != 0 {
		t.Error("takeAll did not take all")
	}
}

func TestAFailedConsumerEndsTheRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := DefaultOptions()
		broken := errors.New("connection closed")
		o.Log = brokenLog{newDisk().open(-1), broken}
		d, err := New(o)
		if err != nil {
			t.Fatal(err)
		}
		if err := d.Run(context.Background()); !errors.Is(err, broken) {
			t.Errorf("Run: %v, want %v", err, broken)
		}
	})
}

type brokenLog struct {
	*session
	err error
}

func (b brokenLog) ConsumeRetries(context.Context, func(eventlog.DeliveryBatch)) error { return b.err }
