package deliver

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/intertie/intertie/destination"
	"github.com/intertie/intertie/eventlog"
)

// dropped counts the lines about each event that was dropped.
func (r *rig) dropped(why reason) map[string]int {
	id := regexp.MustCompile(` eventId=(\S+) `)
	times := make(map[string]int)
	for _, line := range r.lines.with("event dropped", "reason="+string(why)+" ") {
		times[id.FindStringSubmatch(line)[1]]++
	}
	return times
}

// Whenever a subscription is deleted, each event that it was owed is named and
// counted, and none twice: also those whose attempt was under way for so long that
// the backlog has a copy of them, wherever that copy is.
func TestADeletedSubscriptionAccountsForEveryEvent(t *testing.T) {
	refused := destination.Verdict{Outcome: destination.BadRequest, Status: 400}
	for _, row := range []struct {
		name    string
		verdict destination.Verdict // of the attempts under way
		full    bool                // the backlog cannot be written
		batch   Batch
	}{
		{name: "delivered in the end", verdict: delivered},
		{name: "failed in the end", verdict: erred},
		{name: "refused in the end", verdict: refused},
		{name: "refused, and no backlog written", verdict: refused, full: true},
		{name: "delivered, and no backlog written", verdict: delivered, full: true},
		{name: "a batch delivered in the end", verdict: delivered, batch: Batch{Events: 10}},
		{name: "a batch refused in the end", verdict: refused, batch: Batch{Events: 10}},
	} {
		t.Run(row.name, func(t *testing.T) {
			// The attempts are insured after a second, their copies written and read
			// back soon after, and settled after two.
			for at := time.Millisecond; at < 2500*time.Millisecond; at += 35 * time.Millisecond {
				synctest.Test(t, func(t *testing.T) { deleteAfter(t, at, row.verdict, row.full, row.batch) })
				if t.Failed() {
					t.Fatalf("deleted after %s", at)
				}
			}
		})
	}
}

func deleteAfter(t *testing.T, at time.Duration, verdict destination.Verdict, full bool, batch Batch) {
	t.Helper()
	const events = 120
	r := newRig(t, newDisk(), -1, func(o *Options) { o.QueueItems = 30 })
	if full {
		r.log.failing = func(queue string, _ []eventlog.Delivery) error {
			if queue == queueBacklog {
				return errors.New("the disk is full")
			}
			return nil
		}
	}
	var mu sync.Mutex
	taken := make(map[string]int)
	s := sub(t, 1, batchFunc(func(ctx context.Context, n *destination.Notification) destination.Verdict {
		v := slowly(2*time.Second, verdict)(ctx, n)
		mu.Lock()
		defer mu.Unlock()
		for _, it := range n.Items {
			if v.Outcome == destination.Delivered {
				taken[it.Event.ID]++
			}
		}
		return v
	}))
	s.Batch = batch
	r.SetTopic(topicUID, topicID, []*Subscription{s})
	r.start()
	defer r.stop(t)
	for i := range events / 10 {
		r.disk.publish(entries(i*10, 10)...)
	}
	pass(at)
	known := r.value(t, "eventgrid_delivery_success_total") // of a subscription that is not deleted
	backlog := r.disk.count(queueBacklog) > 0
	r.SetTopic(topicUID, topicID, nil)
	pass(5 * time.Minute)

	dropped := r.dropped(reasonSubscriptionDeleted)
	for id, n := range r.dropped(undeliverable(verdict.Outcome)) {
		dropped[id] += n // what was refused before that
	}
	for i := range events {
		if id := fmt.Sprintf("e%d", i); taken[id]+dropped[id] != 1 {
			t.Errorf("%s was delivered %d times and dropped %d times", id, taken[id], dropped[id])
		}
	}
	lines := len(r.lines.with("event dropped", "reason="+string(reasonSubscriptionDeleted)))
	if n := r.value(t, "eventgrid_dropped_total", string(reasonSubscriptionDeleted)); int(n) != lines {
		t.Errorf("dropped_total = %v, and %d lines", n, lines)
	}
	if int(known) > len(taken) {
		t.Errorf("delivery_success_total = %v of %d", known, len(taken))
	}
	if n := len(r.lines.with("backlog dropped", s.UID.String())); backlog && n != 1 {
		t.Errorf("%d lines about the backlog", n)
	}
	if r.disk.left() != 0 {
		t.Errorf("%d records are left", r.disk.left())
	}
}

// Those that were dropped before it failed are not forgotten, nor told twice.
func TestABacklogThatIsDroppedInPieces(t *testing.T) {
	const events = 1000
	inBubble(t, func(r *rig) []*Subscription {
		broken := time.Now().Add(3 * time.Second)
		r.log.failing = func(queue string, _ []eventlog.Delivery) error {
			if queue == dropping && time.Now().Before(broken) {
				return errors.New("the disk is slow")
			}
			return nil
		}
		return []*Subscription{sub(t, 1, hang(time.Hour, erred))}
	}, func(r *rig) {
		for i := range events / 10 {
			r.disk.publish(entries(i*10, 10)...)
		}
		pass(2 * time.Second)
		r.RemoveTopic(topicUID)
		pass(3 * time.Second)
		dropped := r.dropped(reasonSubscriptionDeleted)
		for id, n := range dropped {
			if n != 1 {
				t.Errorf("%s was dropped %d times", id, n)
			}
		}
		// The others are those whose attempts are under way.
		if n := events - len(dropped); n < 1 || n > 64 {
			t.Errorf("%d of %d were dropped", len(dropped), events)
		}
		failures := len(r.lines.with("backlog not dropped"))
		counted := 0
		for _, line := range r.lines.with("backlog dropped") {
			_, text, _ := strings.Cut(line, " events=")
			n, err := strconv.Atoi(text)
			if err != nil {
				t.Fatal(err)
			}
			counted += n
		}
		// What was in memory was dropped before, and is not in the line.
		if failures < 2 || counted < events/4 || counted > len(dropped) {
			t.Errorf("%d events are counted after %d failures, %d were dropped", counted, failures, len(dropped))
		}
	}, func(o *Options) { o.QueueItems = 30 })
}

// What an attempt under way leaves of a deleted subscription is dropped when it
// ends, not when its retry would be due.
func TestADeletedSubscriptionIsNotRetried(t *testing.T) {
	inBubble(t, func(*rig) []*Subscription {
		return []*Subscription{sub(t, 1, hang(2*time.Second, busy))}
	}, func(r *rig) {
		r.disk.publish(entries(0, 10)...)
		pass(time.Second)
		r.SetTopic(topicUID, topicID, nil)
		pass(2 * time.Second)
		if n := len(r.dropped(reasonSubscriptionDeleted)); n != 10 || r.disk.left() != 0 {
			t.Errorf("%d of 10 events were dropped, %d records are left", n, r.disk.left())
		}
	})
}

// What becomes of an event after its subscription was deleted is counted, if not
// under a name that nothing has any more.
func TestEndsAfterADeletionAreCounted(t *testing.T) {
	store := new(blobs)
	store.refuse = func() error { <-time.After(3 * time.Second); return nil }
	inBubble(t, func(*rig) []*Subscription {
		dead := sub(t, 1, always(destination.Verdict{Outcome: destination.BadRequest, Status: 400}))
		dead.DeadLetter = &DeadLetter{Store: store, Container: "c"}
		return []*Subscription{dead, sub(t, 2, hang(10*time.Second, delivered))}
	}, func(r *rig) {
		r.disk.publish(entries(0, 5)...)
		pass(3 * time.Second) // the store has the blob in hand
		r.RemoveTopic(topicUID)
		pass(time.Minute)
		for name, want := range map[string]float64{"eventgrid_dead_lettered_total": 5, "eventgrid_delivery_success_total": 5, "eventgrid_dropped_total": 0} {
			if got := r.value(t, name, ""); got != want {
				t.Errorf("%s is %v, want %v", name, got, want)
			}
		}
		if r.disk.left() != 0 {
			t.Errorf("%d records are left", r.disk.left())
		}
	}, func(o *Options) { o.DeadLetterDelay = time.Second })
}
