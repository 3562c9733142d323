package deliver

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/intertie/intertie/filter"
)

// parkedSub is number n as somebody sees it who cannot read it.
func parkedSub(t *testing.T, n byte) *Subscription {
	t.Helper()
	s := sub(t, n, nil)
	return &Subscription{UID: s.UID, ID: s.ID, Name: s.Name, Topic: s.Topic, Parked: true}
}

// A subscription that cannot be read goes on by the version before.
func TestAnUnreadableVersionLeavesTheFormerInForce(t *testing.T) {
	seen := newRecorder()
	inBubble(t, func(*rig) []*Subscription {
		return []*Subscription{sub(t, 1, seen.around(hang(time.Second, delivered)))}
	}, func(r *rig) {
		for i := range 30 {
			r.disk.publish(entries(i*10, 10)...)
		}
		pass(time.Second)
		r.SetTopic(topicUID, topicID, []*Subscription{parkedSub(t, 1)})
		r.disk.publish(entries(300, 10)...)
		pass(10 * time.Minute)
		if n := len(seen.visits()); n != 310 {
			t.Errorf("%d of 310 events were attempted", n)
		}
		if n := r.value(t, "eventgrid_dropped_total"); n != 0 || r.disk.left() != 0 {
			t.Errorf("%v were dropped, %d records are left", n, r.disk.left())
		}
	}, func(o *Options) { o.QueueItems = 30 })
}

// A start that cannot read a subscription keeps what it is owed, wherever that
// waits, and what comes meanwhile. When it can be read, all of it is delivered, but
// what its filter would have kept out.
func TestAParkedSubscriptionLosesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := newDisk()
		const before, meanwhile = 100, 50

		// Some fail and wait for their retry, some are dead letters, the rest is backlog.
		r := newRig(t, k, -1, func(o *Options) { o.QueueItems = 10 })
		first := sub(t, 1, always(erred))
		first.DeadLetter = &DeadLetter{Store: new(blobs), Container: "c"}
		first.MaxAttempts = 1
		other := sub(t, 2, hang(time.Hour, erred))
		r.SetTopic(topicUID, topicID, []*Subscription{first, other})
		r.start()
		for i := range before / 10 {
			k.publish(entries(i*10, 10)...)
		}
		pass(5 * time.Second)
		r.stop(t)
		k.crashed()
		if k.count(queueDead) == 0 || k.count(queueBacklog) == 0 {
			t.Fatalf("%d dead letters, %d in backlogs: this shows nothing", k.count(queueDead), k.count(queueBacklog))
		}

		r = newRig(t, k, -1, func(o *Options) { o.QueueItems = 10 })
		r.SetTopic(topicUID, topicID, []*Subscription{parkedSub(t, 1), parkedSub(t, 2)})
		r.start()
		k.publish(entries(before, meanwhile)...)
		pass(2 * time.Hour)
		if n := r.value(t, "eventgrid_dropped_total"); n != 0 {
			t.Errorf("%v events were dropped while it was parked", n)
		}
		for n := range 2 {
			status, ok := r.Status(sub(t, byte(n+1), nil).UID)
			if !ok || status.Error != parkedMessage || !status.Backlogged {
				t.Errorf("status %+v", status)
			}
		}
		if n := r.parkedLanes(); n != 2 {
			t.Errorf("%d are parked", n)
		}

		seen, store := newRecorder(), new(blobs)
		readable := sub(t, 2, seen.around(always(delivered)))
		var err error
		if readable.Filter, err = filter.Compile(filter.Spec{IncludedEventTypes: []string{"t"}}); err != nil {
			t.Fatal(err)
		}
		again := *first
		again.Target, again.DeadLetter = always(delivered), &DeadLetter{Store: store, Container: "c"}
		again.Filter = nil
		if again.Filter, err = filter.Compile(filter.Spec{IncludedEventTypes: []string{"of another type"}}); err != nil {
			t.Fatal(err)
		}
		r.SetTopic(topicUID, topicID, []*Subscription{&again, readable})
		pass(time.Hour)
		got := map[string]bool{}
		for _, v := range seen.visits() {
			got[v.id] = true
		}
		for i := range before + meanwhile {
			if id := fmt.Sprintf("e%d", i); !got[id] {
				t.Errorf("%s was lost", id)
			}
		}
		dead := map[string]bool{}
		for _, d := range store.records(t) {
			dead[d.ID] = true
		}
		if n := len(dead); n == 0 || n > before {
			t.Errorf("%d dead letters were written, of the %d before it was parked", n, before)
		}
		if n := r.value(t, "eventgrid_dropped_total"); n != 0 || k.left() != 0 {
			t.Errorf("%v were dropped, %d records are left", n, k.left())
		}
		r.stop(t)
	})
}
