package deliver

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/intertie/intertie/destination"
	"github.com/intertie/intertie/event"
	"github.com/intertie/intertie/eventlog"
)

// batchFunc is an endpoint that takes several events at a time.
type batchFunc func(ctx context.Context, n *destination.Notification) destination.Verdict

func (f batchFunc) Deliver(ctx context.Context, n *destination.Notification) destination.Verdict {
	return f(ctx, n)
}

// parcels remembers what each attempt carried.
type parcels struct {
	mu   sync.Mutex
	seen [][]visit
	at   []time.Time
}

func (p *parcels) around(next batchFunc) batchFunc {
	return func(ctx context.Context, n *destination.Notification) destination.Verdict {
		var vs []visit
		for _, it := range n.Items {
			vs = append(vs, visit{id: it.Event.ID, attempt: it.Attempt})
		}
		p.mu.Lock()
		p.seen, p.at = append(p.seen, vs), append(p.at, time.Now())
		p.mu.Unlock()
		return next(ctx, n)
	}
}

func (p *parcels) sizes() []int {
	p.mu.Lock()
	defer p.mu.Unlock()
	var ns []int
	for _, vs := range p.seen {
		ns = append(ns, len(vs))
	}
	return ns
}

// counts returns how often each event was attempted.
func (p *parcels) counts() map[string]int {
	p.mu.Lock()
	defer p.mu.Unlock()
	m := make(map[string]int)
	for _, vs := range p.seen {
		for _, v := range vs {
			m[v.id]++
		}
	}
	return m
}

func answers(v destination.Verdict) batchFunc {
	return func(context.Context, *destination.Notification) destination.Verdict { return v }
}

// slowly answers after d, or gives up with ctx.
func slowly(d time.Duration, v destination.Verdict) batchFunc {
	h := hang(d, v)
	return func(ctx context.Context, _ *destination.Notification) destination.Verdict { return h(ctx, "", 0) }
}

// batching returns a subscription whose attempts carry several events.
func batching(t testing.TB, b Batch, target destination.Target) *Subscription {
	t.Helper()
	s := sub(t, 1, target)
	s.Batch = b
	return s
}

// sized returns an entry whose event has so many bytes.
func sized(i, bytes int) eventlog.Entry {
	e := entry(i)
	e.Event.JSON = append(e.Event.JSON, strings.Repeat(" ", bytes-len(e.Event.JSON))...)
	return e
}

func sum(ns []int) (total int) {
	for _, n := range ns {
		total += n
	}
	return total
}

func TestWhatCameTogetherGoesOutTogether(t *testing.T) {
	for _, row := range []struct {
		name  string
		batch Batch
		sizes []int // of the events
		want  []int // of the attempts
	}{
		{"off", Batch{}, slices.Repeat([]int{200}, 3), []int{1, 1, 1}},
		{"one at a time", Batch{Events: 1, Bytes: 1 << 20}, slices.Repeat([]int{200}, 3), []int{1, 1, 1}},
		{"not full", Batch{Events: 100, Bytes: 64 << 10}, slices.Repeat([]int{200}, 30), []int{30}},
		{"by count", Batch{Events: 10, Bytes: 64 << 10}, slices.Repeat([]int{200}, 25), []int{10, 10, 5}},
		{"by bytes", Batch{Events: 100, Bytes: 1000}, slices.Repeat([]int{200}, 12), []int{5, 5, 2}},
		{"without a bound", Batch{Events: 100}, slices.Repeat([]int{10_000}, 40), []int{40}},
		{"a big one alone", Batch{Events: 100, Bytes: 1000}, []int{200, 200, 5000, 200, 200}, []int{2, 1, 2}},
		{"only big ones", Batch{Events: 100, Bytes: 1000}, []int{5000, 5000}, []int{1, 1}},
		{"the largest", Batch{Events: 5000, Bytes: 1024 << 10}, slices.Repeat([]int{200}, 5000), []int{5000}},
		{"the largest by bytes", Batch{Events: 5000, Bytes: 1024 << 10}, slices.Repeat([]int{1024}, 3000), []int{1024, 1024, 952}},
	} {
		t.Run(row.name, func(t *testing.T) {
			var p parcels
			inBubble(t, func(*rig) []*Subscription {
				return []*Subscription{batching(t, row.batch, p.around(slowly(time.Second, delivered)))}
			}, func(r *rig) {
				var es []eventlog.Entry
				for i, n := range row.sizes {
					es = append(es, sized(i, n))
				}
				r.disk.publish(es...)
				pass(100 * time.Millisecond)
				s, _ := r.Status(sub(t, 1, nil).UID)
				if s.Attempts != len(row.want) || s.UnderWay != len(row.sizes) {
					t.Errorf("%d attempts with %d events under way, want %d with %d: an attempt counts once",
						s.Attempts, s.UnderWay, len(row.want), len(row.sizes))
				}
				pass(10 * time.Second)
				got := p.sizes()
				slices.Sort(got)
				want := slices.Sorted(slices.Values(row.want))
				if diff := cmp.Diff(want, got); diff != "" {
					t.Errorf("events per attempt (-want +got):\n%s", diff)
				}
				if n := r.value(t, "eventgrid_delivery_success_total"); n != float64(len(row.sizes)) {
					t.Errorf("delivery_success_total = %v, want %d", n, len(row.sizes))
				}
				if n := r.value(t, "eventgrid_destination_processing_duration_ms"); n != float64(len(row.want)) {
					t.Errorf("%v durations, want one for each attempt", n)
				}
				if r.disk.left() != 0 || r.batchBytes.Load() != 0 {
					t.Errorf("%d records and %d bytes are left", r.disk.left(), r.batchBytes.Load())
				}
			})
		})
	}
}

// A single event does not wait for another one to share its attempt.
func TestNobodyWaitsForABatch(t *testing.T) {
	var p parcels
	inBubble(t, func(*rig) []*Subscription {
		return []*Subscription{batching(t, Batch{Events: 100, Bytes: 64 << 10}, p.around(slowly(time.Minute, delivered)))}
	}, func(r *rig) {
		for i := range 5 {
			r.disk.publish(entry(i))
			pass(time.Millisecond)
			if n := len(p.sizes()); n != i+1 {
				t.Fatalf("%d attempts began with %d events there", n, i+1)
			}
		}
	})
}

func TestEachEventOfABatchGoesItsOwnWay(t *testing.T) {
	var p parcels
	store := new(blobs)
	var healthy atomic.Bool
	inBubble(t, func(*rig) []*Subscription {
		s := batching(t, Batch{Events: 100, Bytes: 64 << 10}, p.around(
			func(context.Context, *destination.Notification) destination.Verdict {
				if healthy.Load() {
					return delivered
				}
				return erred
			}))
		s.MaxAttempts = 2
		s.DeadLetter = &DeadLetter{Store: store, Container: "dead"}
		return []*Subscription{s}
	}, func(r *rig) {
		r.disk.publish(entries(0, 10)...)
		pass(9 * time.Second)
		for range 3000 {
			if len(p.sizes()) > 1 {
				break
			}
			pass(time.Millisecond)
		}
		if dead := r.disk.count(queueDead); dead != 10 {
			t.Errorf("%d of 10 events went to the dead letters after their last attempt", dead)
		}
		r.disk.publish(entries(10, 5)...)
		pass(time.Second)
		if n := r.disk.count(queueRetries); n != 5 {
			t.Errorf("%d of 5 events wait for their retry", n)
		}
		healthy.Store(true)
		pass(10 * time.Minute)
		if diff := cmp.Diff([]int{10, 10, 5, 5}, p.sizes()); diff != "" {
			t.Errorf("events per attempt (-want +got):\n%s", diff)
		}
		for i, attempt := range []int{0, 1, 0, 1} {
			for _, v := range p.seen[i] {
				if v.attempt != attempt {
					t.Errorf("attempt %d: %s was told %d attempts before, want %d", i, v.id, v.attempt, attempt)
				}
			}
		}
		if dead := store.records(t); len(dead) != 10 || dead[0].Reason != "MaxDeliveryAttemptsExceeded" || dead[0].Attempts != 2 {
			t.Errorf("dead letters: %+v", dead)
		}
		if n := r.value(t, "eventgrid_delivery_attempt_fail_total", "500"); n != 25 {
			t.Errorf("delivery_attempt_fail_total = %v, want one for each event and attempt, 25", n)
		}
	})
}

func TestEventsOfAllAgesShareAnAttempt(t *testing.T) {
	var p parcels
	inBubble(t, func(*rig) []*Subscription {
		return []*Subscription{batching(t, Batch{Events: 100}, p.around(answers(delivered)))}
	}, func(r *rig) {
		var ds []eventlog.Delivery
		for i := range 6 {
			d := eventlog.Delivery{Entry: entry(i), Subscription: sub(t, 1, nil).UID, Attempts: i, Due: time.Now()}
			if i == 3 {
				d.Published = time.Now().Add(-25 * time.Hour)
			}
			ds = append(ds, d)
		}
		r.disk.add(&record{queue: queueRetries, deliveries: ds})
		pass(time.Second)
		if diff := cmp.Diff([]visit{{"e0", 0, 0}, {"e1", 1, 0}, {"e2", 2, 0}, {"e4", 4, 0}, {"e5", 5, 0}}, p.seen[0],
			cmp.AllowUnexported(visit{})); diff != "" {
			t.Errorf("the first attempt (-want +got):\n%s", diff)
		}
		if n := r.value(t, "eventgrid_dropped_total", "TimeToLiveExceeded"); n != 1 || r.disk.left() != 0 {
			t.Errorf("dropped_total = %v, %d records left; want the one that is too old", n, r.disk.left())
		}
	})
}

func TestABatchIsReadBackWhole(t *testing.T) {
	var p parcels
	const n = 30_000
	inBubble(t, func(*rig) []*Subscription {
		return []*Subscription{batching(t, Batch{Events: 5000, Bytes: 1024 << 10}, p.around(slowly(5*time.Second, delivered)))}
	}, func(r *rig) {
		for i := range n / 500 {
			r.disk.publish(entries(i*500, 500)...)
		}
		pass(5 * time.Minute)
		if got := p.counts(); len(got) != n || sum(p.sizes()) != n {
			t.Errorf("%d attempts of %d events, want %d of each", sum(p.sizes()), len(got), n)
		}
		if slices.Max(p.sizes()) != 5000 {
			t.Errorf("the largest batch had %d events, want 5000: %v", slices.Max(p.sizes()), p.sizes())
		}
		if r.disk.left() != 0 {
			t.Errorf("%d records are left", r.disk.left())
		}
	}, func(o *Options) { o.Concurrency, o.MaxConcurrency = 1, 1 })
}

func TestBatchMemoryBoundsWhatIsUnderWay(t *testing.T) {
	const lanes, each = 40, 3000
	inBubble(t, func(*rig) []*Subscription {
		var all []*Subscription
		for i := range byte(lanes) {
			s := sub(t, i, slowly(30*time.Second, destination.Verdict{Outcome: destination.TimedOut}))
			s.Batch = Batch{Events: 5000, Bytes: 1024 << 10}
			all = append(all, s)
		}
		return all
	}, func(r *rig) {
		for i := range each / 500 {
			var es []eventlog.Entry
			for j := range 500 {
				es = append(es, sized(i*500+j, 1024))
			}
			r.disk.publish(es...)
			pass(300 * time.Millisecond)
			if got, most := r.batchBytes.Load(), 2*r.opts.BatchMemory+lanes*smallestWindow; got > most {
				t.Fatalf("%d bytes under way, want at most %d", got, most)
			}
		}
		if r.batchBytes.Load() < r.opts.BatchMemory/2 {
			t.Errorf("%d bytes under way: the bound was not tried", r.batchBytes.Load())
		}
	}, func(o *Options) { o.BatchMemory = 4 << 20 })
}

func TestABatchThatIsTooLargeIsHalved(t *testing.T) {
	store := new(blobs)
	var p parcels
	const limit = 9000
	inBubble(t, func(*rig) []*Subscription {
		s := batching(t, Batch{Events: 1000, Bytes: 1 << 20}, p.around(
			func(_ context.Context, n *destination.Notification) destination.Verdict {
				total := 0
				for _, it := range n.Items {
					total += len(it.Event.JSON)
				}
				if total > limit {
					return destination.Verdict{Outcome: destination.PayloadTooLarge, Status: 413}
				}
				return delivered
			}))
		s.DeadLetter = &DeadLetter{Store: store, Container: "dead"}
		return []*Subscription{s}
	}, func(r *rig) {
		var es []eventlog.Entry
		for i := range 200 {
			es = append(es, sized(i, 1000))
		}
		es[77] = sized(77, 10_000) // too large by itself
		r.disk.publish(es...)
		pass(time.Second)
		if n := r.value(t, "eventgrid_delivery_success_total"); n != 199 {
			t.Errorf("%v events delivered at once, want 199", n)
		}
		refused := 0
		for i, vs := range p.seen {
			for _, v := range vs {
				if v.attempt != 0 {
					t.Fatalf("attempt %d: %s was told %d attempts before: the refusal of a batch is none", i, v.id, v.attempt)
				}
			}
			if len(vs) > limit/1000 {
				refused++
			}
		}
		if refused > 12 {
			t.Errorf("%d batches were refused: %v", refused, p.sizes())
		}
		if s, _ := r.Status(sub(t, 1, nil).UID); s.BatchLimit == 0 || s.BatchLimit > limit+1000 {
			t.Errorf("batches are limited to %d bytes, want about %d", s.BatchLimit, limit)
		}
		pass(6 * time.Minute)
		dead := store.records(t)
		if len(dead) != 1 || dead[0].ID != "e77" || dead[0].Attempts != 1 ||
			dead[0].Reason != "UndeliverableDueToHttpRequestEntityTooLarge" {
			t.Errorf("dead letters: %+v, want the one event that is too large alone", dead)
		}
		if r.disk.left() != 0 {
			t.Errorf("%d records are left", r.disk.left())
		}
	})
}

func TestTheCeilingRisesAgain(t *testing.T) {
	b := batches{Batch: Batch{Events: 100, Bytes: 64 << 10}}
	if b.bytes() != 64<<10 {
		t.Fatalf("bytes = %d without a ceiling", b.bytes())
	}
	b.refuse(60_000)
	b.refuse(50_000)
	b.refuse(64_000) // was under way when the others were refused
	if b.bytes() != 25_000 {
		t.Errorf("bytes = %d after refusals, want 25000", b.bytes())
	}
	b.accept(1000)
	if b.bytes() != 25_000 {
		t.Errorf("bytes = %d after a success that was not bounded", b.bytes())
	}
	for n := 0; b.ceiling > 0; n++ {
		if n > 100 {
			t.Fatalf("a ceiling of %d after %d successes", b.ceiling, n)
		}
		b.accept(b.ceiling)
	}
	b = batches{Batch: Batch{Events: 100}}
	b.refuse(1)
	if b.bytes() != 1 {
		t.Errorf("bytes = %d, want 1: an event at a time", b.bytes())
	}
}

// grouper is an endpoint whose requests depend on the source of their events.
type grouper struct {
	batchFunc
	mu    sync.Mutex
	asked int
}

func (g *grouper) Group(e *event.Event) string {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.asked++
	return e.Source
}

func TestEventsOfDifferentGroupsShareNoAttempt(t *testing.T) {
	for _, groups := range []int{1, 3, 50} {
		t.Run(fmt.Sprint(groups), func(t *testing.T) {
			const n = 600
			g := new(grouper)
			var p parcels
			g.batchFunc = p.around(func(ctx context.Context, n *destination.Notification) destination.Verdict {
				for _, it := range n.Items {
					if it.Event.Source != n.Items[0].Event.Source {
						t.Errorf("groups %s and %s share an attempt", it.Event.Source, n.Items[0].Event.Source)
					}
				}
				return slowly(5*time.Millisecond, delivered)(ctx, n)
			})
			inBubble(t, func(*rig) []*Subscription {
				return []*Subscription{batching(t, Batch{Events: 200}, g)}
			}, func(r *rig) {
				es := entries(0, n)
				for i := range es {
					es[i].Event.Source = fmt.Sprint(i % groups)
				}
				r.disk.publish(es...)
				pass(5 * time.Minute)
				if got := p.counts(); len(got) != n || sum(p.sizes()) != n {
					t.Errorf("%d attempts of %d events, want %d", sum(p.sizes()), len(got), n)
				}
				if most := 4*groups + 4; len(p.sizes()) > most {
					t.Errorf("%d attempts for %d groups, want at most %d: %v", len(p.sizes()), groups, most, p.sizes())
				}
				if g.asked != n {
					t.Errorf("%d events were asked about their group %d times", n, g.asked)
				}
				if r.disk.left() != 0 {
					t.Errorf("%d records are left", r.disk.left())
				}
			}, func(o *Options) { o.QueueItems = 1000; o.Concurrency = 4 })
		})
	}
}

func TestAnInsuredBatchIsSettledOnce(t *testing.T) {
	for _, row := range []struct {
		name     string
		first    destination.Verdict
		attempts int // of each event
	}{
		{"delivered late", delivered, 1},
		{"failed late", erred, 2},
		{"too large, late", destination.Verdict{Outcome: destination.PayloadTooLarge, Status: 413}, 2},
	} {
		t.Run(row.name, func(t *testing.T) {
			var p parcels
			const n = 1000
			first := true
			inBubble(t, func(*rig) []*Subscription {
				return []*Subscription{batching(t, Batch{Events: n}, p.around(
					func(ctx context.Context, n *destination.Notification) destination.Verdict {
						if !first {
							return delivered
						}
						first = false
						return slowly(20*time.Second, row.first)(ctx, n)
					}))}
			}, func(r *rig) {
				r.disk.publish(entries(0, n)...)
				pass(3 * time.Second)
				if r.disk.count(queueEvents) != 0 || r.disk.count(queueBacklog) == 0 {
					t.Fatal("the attempt keeps its batch")
				}
				if s, _ := r.Status(sub(t, 1, nil).UID); s.Attempts != 1 || s.UnderWay != n {
					t.Fatalf("status: %+v", s)
				}
				pass(time.Minute)
				for id, got := range p.counts() {
					if got != row.attempts {
						t.Fatalf("%s was attempted %d times, want %d", id, got, row.attempts)
					}
				}
				if left := r.disk.left(); left != 0 {
					t.Errorf("%d records are left", left)
				}
				l := r.lane(sub(t, 1, nil).UID)
				if s, _ := r.Status(l.uid); s.Backlogged || s.Backlog != 0 || len(l.backlog.insured) != 0 {
					t.Errorf("status: %+v, %d insurances", s, len(l.backlog.insured))
				}
			})
		})
	}
}
