package deliver

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"github.com/intertie/intertie/destination"
	"github.com/intertie/intertie/event"
	"github.com/intertie/intertie/eventlog"
)

// fate decides at random what becomes of attempts and blobs, and remembers who
// got what.
type fate struct {
	mu   sync.Mutex
	rand *rand.Rand
	got  map[string]int
	// kind makes the endpoint: how likely it is to take a batch.
	healthy float64
	calm    bool // from now on everything succeeds
}

func (f *fate) draw(n int) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.rand.IntN(n)
}

func (f *fate) lucky() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.calm || f.rand.Float64() < f.healthy
}

// took marks the events as delivered.
func (f *fate) took(n []destination.Item) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, it := range n {
		f.got[it.Event.ID]++
	}
}

// deliver is the endpoint. Items is copied because an answer may come late.
func (f *fate) deliver(ctx context.Context, n *destination.Notification) destination.Verdict {
	takes := []time.Duration{0, 0, time.Millisecond, 300 * time.Millisecond, 5 * time.Second}[f.draw(5)]
	if v := slowly(takes, delivered)(ctx, n); v.Outcome == destination.Aborted {
		return v
	}
	if f.lucky() {
		f.took(n.Items)
		return delivered
	}
	o := []destination.Outcome{
		destination.TimedOut, destination.TimedOut, destination.Busy, destination.GenericError, destination.SocketError,
		destination.PayloadTooLarge, destination.PayloadTooLarge, destination.BadRequest, destination.ResolutionError,
	}[f.draw(9)]
	if o == destination.TimedOut && f.draw(2) == 0 {
		items, late := append([]destination.Item(nil), n.Items...), n.Late
		answer := func() {
			f.took(items)
			late()
		}
		if wait := time.Duration(f.draw(120)) * time.Second; wait > 0 {
			time.AfterFunc(wait, answer)
		} else {
			answer()
		}
	}
	return destination.Verdict{Outcome: o, After: time.Duration(f.draw(20)) * time.Second}
}

// Put is the dead-letter store.
func (f *fate) put() error {
	if f.lucky() {
		return nil
	}
	return errors.New("the store is down")
}

type groupingFate struct{ *fate }

func (g groupingFate) Deliver(ctx context.Context, n *destination.Notification) destination.Verdict {
	return g.deliver(ctx, n)
}

// Group splits the events by the last digit of their number.
func (g groupingFate) Group(e *event.Event) string {
	return fmt.Sprint(int(e.ID[len(e.ID)-1]) % 3)
}

// plan is one case of the property.
type plan struct {
	seed              uint64
	events, perBatch  int
	batch             Batch
	queue, workers    int
	hold              time.Duration
	memory            int64
	fuse              int
	healthy           float64
	groups, dead      bool
	forgets           bool // the log settles records, not events
	ttl               time.Duration
	attempts, refuses int
}

func drawPlan(t *rapid.T) plan {
	return plan{
		seed:     rapid.Uint64().Draw(t, "seed"),
		events:   rapid.IntRange(1, 80).Draw(t, "events"),
		perBatch: rapid.IntRange(1, 40).Draw(t, "perBatch"),
		batch: Batch{
			Events: rapid.SampledFrom([]int{0, 1, 2, 5, 30, 5000}).Draw(t, "batchEvents"),
			Bytes:  rapid.SampledFrom([]int{0, 1, 150, 1000, 1 << 20}).Draw(t, "batchBytes"),
		},
		queue:    rapid.SampledFrom([]int{1, 3, 10, 512}).Draw(t, "queue"),
		workers:  rapid.SampledFrom([]int{1, 2, 8}).Draw(t, "workers"),
		hold:     rapid.SampledFrom([]time.Duration{time.Millisecond, 100 * time.Millisecond, time.Second}).Draw(t, "hold"),
		memory:   rapid.SampledFrom([]int64{1 << 10, 64 << 20}).Draw(t, "memory"),
		fuse:     rapid.IntRange(-1, 300).Draw(t, "fuse"),
		healthy:  rapid.SampledFrom([]float64{0, 0.1, 0.5, 0.9, 1}).Draw(t, "healthy"),
		groups:   rapid.Bool().Draw(t, "groups"),
		dead:     rapid.Bool().Draw(t, "dead"),
		forgets:  rapid.Bool().Draw(t, "forgets"),
		ttl:      rapid.SampledFrom([]time.Duration{time.Minute, 30 * time.Minute, 24 * time.Hour}).Draw(t, "ttl"),
		attempts: rapid.SampledFrom([]int{1, 3, 30}).Draw(t, "attempts"),
		refuses:  rapid.SampledFrom([]int{0, 0, 3}).Draw(t, "refuses"),
	}
}

// trial is a plan under way.
type trial struct {
	*fate
	plan
	disk    *disk
	store   *blobs
	dropped *lockedBuffer
}

// process starts a dispatcher on the disk as it is.
func (x *trial) process(t *testing.T, fuse int) *rig {
	t.Helper()
	r := newRig(t, x.disk, fuse, func(o *Options) {
		o.QueueItems, o.Concurrency, o.MaxConcurrency = x.queue, x.workers, x.workers
		o.HoldLimit, o.PressedHoldLimit = x.hold, x.hold
		o.Memory = x.memory
	})
	r.lines = x.dropped
	r.log.failing = func(string, []eventlog.Delivery) error {
		if x.refuses == 0 || x.lucky() || x.draw(x.refuses) > 0 {
			return nil
		}
		return errors.New("the disk is full")
	}
	r.logger = testLogger(x.dropped)
	r.SetTopic(topicUID, topicID, x.subs(t, x.batch))
	r.start()
	return r
}

func (x *trial) subs(t *testing.T, b Batch) []*Subscription {
	t.Helper()
	var target destination.Target = batchFunc(x.deliver)
	if x.groups {
		target = groupingFate{x.fate}
	}
	s := sub(t, 1, target)
	s.Batch, s.TTL, s.MaxAttempts = b, x.ttl, x.attempts
	if x.dead {
		s.DeadLetter = &DeadLetter{Store: x.store, Container: "dead"}
	}
	return []*Subscription{s}
}

// open returns the events that have come to no end and have no durable owner.
func (x *trial) open(t *testing.T) (lost []string) {
	t.Helper()
	known := make(map[string]bool)
	x.disk.owned(
		func(e *eventlog.Entry) { known[e.Event.ID] = true },
		func(d *eventlog.Delivery) { known[d.Event.ID] = true },
	)
	x.mu.Lock()
	for id := range x.got {
		known[id] = true
	}
	x.mu.Unlock()
	for _, d := range x.store.records(t) {
		known[d.ID] = true
	}
	for i := range x.events {
		id := fmt.Sprintf("e%d", i)
		if !known[id] && len(x.dropped.with("event dropped", "eventId="+id+" ", "reason=")) == 0 {
			lost = append(lost, id)
		}
	}
	return lost
}

// run plays the plan and returns what is wrong.
func (p plan) run(t *testing.T) (problems []string) {
	t.Helper()
	x := &trial{
		plan: p, disk: newDisk(), dropped: new(lockedBuffer),
		fate: &fate{rand: rand.New(rand.NewPCG(p.seed, 1)), got: make(map[string]int), healthy: p.healthy},
	}
	x.disk.forgets = p.forgets
	x.store = &blobs{refuse: x.put}
	check := func(when string) {
		if lost := x.open(t); len(lost) > 0 {
			problems = append(problems, fmt.Sprintf("%s: nobody owns %v", when, lost))
		}
	}
	publish := func(from, to int) {
		for ; from < to; from += p.perBatch {
			x.disk.publish(entries(from, min(p.perBatch, to-from))...)
		}
	}
	publish(0, p.events/2)
	first := x.process(t, p.fuse)
	pass(time.Second)
	publish(p.events/2, p.events)
	pass(time.Duration(x.draw(5000)) * time.Millisecond)
	first.SetTopic(topicUID, topicID, x.subs(t, Batch{Events: 1 + x.draw(40), Bytes: 1000})) // changes its mind
	select {
	case <-first.log.blown:
	case <-time.After(time.Duration(x.draw(3600)) * time.Second):
	}
	check("at the crash")
	now, cancel := context.WithCancel(context.Background())
	cancel()
	_ = first.Drain(now) // what a dead process would not do; the log ignores it
	<-first.ended
	check("after the crash")

	second := x.process(t, -1)
	pass(time.Duration(x.draw(7200)) * time.Second)
	check("after the restart")
	x.mu.Lock()
	x.calm = true
	x.mu.Unlock()
	pass(30 * time.Hour)
	second.stop(t)
	check("in the end")
	if n := x.disk.left(); n != 0 {
		problems = append(problems, fmt.Sprintf("%d records are left in the end", n))
	}
	if n := second.batchBytes.Load(); n != 0 {
		problems = append(problems, fmt.Sprintf("%d bytes of BatchMemory are left in use", n))
	}
	return problems
}

// Whatever the endpoint says, the log refuses and the process dies of: every
// event is delivered, dead-lettered, dropped with a reason, or owned by a
// record, and in the end no record is left.
func TestNoEventIsEverLost(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		p := drawPlan(rt)
		var problems []string
		synctest.Test(t, func(t *testing.T) { problems = p.run(t) })
		if len(problems) > 0 {
			rt.Fatalf("%+v:\n%s", p, strings.Join(problems, "\n"))
		}
	})
}
