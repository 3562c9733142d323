package eventlog_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/intertie/intertie/engine"
	"github.com/intertie/intertie/engine/disktest"
	"github.com/intertie/intertie/eventlog"
	"github.com/intertie/intertie/resource"
)

// startOn opens a log on a small disk, guarded as the program guards it.
func startOn(t *testing.T, d *disktest.Disk, truncateEvery time.Duration) *node {
	t.Helper()
	e, err := engine.Open(t.Context(), engine.Options{Dir: d.Dir, CheckSpaceEvery: 20 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	l, err := eventlog.Open(t.Context(), e.JetStream(), eventlog.Options{
		Space: e.Space(), AckWait: 300 * time.Millisecond, TruncateEvery: truncateEvery,
	})
	if err != nil {
		t.Fatal(errors.Join(err, e.Close()))
	}
	n := &node{l, e}
	t.Cleanup(func() { n.close(t) })
	return n
}

// acknowledged are the numbers of what was acknowledged, and of what came out.
type acknowledged struct {
	mu      sync.Mutex
	in, out map[int]bool
}

func newAcknowledged() *acknowledged {
	return &acknowledged{in: map[int]bool{}, out: map[int]bool{}}
}

func (a *acknowledged) took(from, n int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for i := range n {
		a.in[from+i] = true
	}
}

func (a *acknowledged) came(id [16]byte) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.out[number(id)] = true
}

// missing counts what was acknowledged and has not come out.
func (a *acknowledged) missing() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	n := 0
	for k := range a.in {
		if !a.out[k] {
			n++
		}
	}
	return n
}

func (a *acknowledged) count() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return len(a.in)
}

// large is an entry of about 8 KB, so that a disk fills in reasonable time.
func large(n int) eventlog.Entry {
	e := entry(n)
	e.Event.JSON = fmt.Appendf(nil, `{"specversion":"1.0","id":"%d","source":"/s","type":"t","data":%q}`, n, padding)
	return e
}

var padding = string(make([]byte, 1300)) // six bytes each in JSON

// Another program takes the whole disk while events are appended and moved on.
// Everything goes on by itself when there is room, and what was acknowledged comes
// out, also from the folder as it was left.
func TestNothingAcknowledgedIsLostOnAFullDisk(t *testing.T) {
	d := disktest.New(t, 128<<20)
	// Never truncated: a purge on a disk that is full at just that moment leaves a
	// hanging server behind (engine has a test of it), with its goroutines.
	n := startOn(t, d, time.Hour)
	events, retries, backlog := newAcknowledged(), newAcknowledged(), newAcknowledged()
	sub := resource.UID{2}

	hand := func(to *acknowledged) func(eventlog.DeliveryBatch) {
		return func(b eventlog.DeliveryBatch) {
			for i := range b.Deliveries {
				to.came(b.Deliveries[i].ID)
			}
			b.Done()
		}
	}
	stopRetries := background(t, func(ctx context.Context) error { return n.ConsumeRetries(ctx, hand(retries)) })

	ctx, cancel := context.WithCancel(t.Context())
	var writers sync.WaitGroup
	var refused, again counter
	write := func(to *acknowledged, from int, appendTo func(k int) error) {
		writers.Go(func() {
			seen := false
			for k := from; ctx.Err() == nil; k++ {
				began := time.Now()
				err := appendTo(k)
				switch {
				case err == nil:
					to.took(k, 1)
					if seen {
						again.add()
					}
				case errors.Is(err, eventlog.ErrNoSpace):
					seen = true
					refused.add()
				case ctx.Err() == nil && !errors.Is(err, eventlog.ErrUnconfirmed):
					t.Errorf("append: %v", err)
				}
				if took := time.Since(began); err != nil && took > 3*time.Second {
					t.Errorf("refused after %v: %v", took, err)
				}
			}
		})
	}
	for i := range 2 {
		write(events, i<<30, func(k int) error { return n.Append(ctx, []eventlog.Entry{large(k)}) })
	}
	later := func(k int) []eventlog.Delivery {
		ds := deliveries(k, 1, time.Now().Add(time.Second))
		ds[0].Entry = large(k)
		return ds
	}
	write(retries, 0, func(k int) error { return n.Retry(ctx, later(k)) })
	write(backlog, 0, func(k int) error { return n.Overflow(ctx, sub, later(k)) })

	for round := range 3 {
		before := events.count()
		eventually(t, "events to be taken", func() bool { return events.count() > before+100 })
		was := refused.get()
		d.Fill(t, 0)
		eventually(t, "refusals", func() bool { return refused.get() > was+8 })
		if err := n.Engine.Room(); err == nil {
			t.Errorf("round %d: a full disk has room", round)
		}
		d.Release(t)
		was = again.get()
		eventually(t, "events to be taken again", func() bool { return again.get() > was+100 && n.Engine.Room() == nil })
	}
	cancel()
	writers.Wait()
	stopRetries()
	n.close(t)
	n = startOn(t, d, time.Hour) // what is there now was on the disk

	background(t, func(ctx context.Context) error {
		return n.ConsumeEvents(ctx, func(b eventlog.EventBatch) {
			for i := range b.Entries {
				events.came(b.Entries[i].ID)
			}
			b.Done()
		})
	})
	background(t, func(ctx context.Context) error { return n.ConsumeRetries(ctx, hand(retries)) })
	background(t, func(ctx context.Context) error {
		if err := n.ConsumeBacklog(ctx, sub, hand(backlog)); err != nil {
			return err
		}
		<-ctx.Done()
		return ctx.Err()
	})
	for name, a := range map[string]*acknowledged{"events": events, "retries": retries, "backlog": backlog} {
		eventually(t, name, func() bool { return a.missing() == 0 })
		t.Logf("%s: %d acknowledged, all of them came out", name, a.count())
	}
}

type counter struct {
	mu sync.Mutex
	n  int
}

func (c *counter) add() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.n++
}

func (c *counter) get() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.n
}

// Publishing fills the disk, nothing else does: the storage never fails, what is
// moved goes on below the mark, and as events are done publishing goes on too.
func TestPublishingAloneDoesNotFillTheDisk(t *testing.T) {
	d := disktest.New(t, 64<<20)
	n := startOn(t, d, 50*time.Millisecond)
	failed := n.Engine.Space().Failed()
	acknowledged := newAcknowledged()
	k := 0
	fill := func() {
		for refused := false; !refused; {
			var callers sync.WaitGroup
			var full counter
			for range 16 {
				from := k
				k += 64
				callers.Go(func() {
					es := make([]eventlog.Entry, 64)
					for i := range es {
						es[i] = large(from + i)
					}
					switch err := n.Append(t.Context(), es); {
					case err == nil:
						acknowledged.took(from, len(es))
					case errors.Is(err, eventlog.ErrNoSpace) && !errors.Is(err, eventlog.ErrUnconfirmed):
						full.add()
					default:
						t.Errorf("append: %v", err)
					}
				})
			}
			callers.Wait()
			refused = full.get() > 0
		}
	}
	fill()
	if free := d.Free(t); free < 14<<20 || free > 24<<20 {
		t.Errorf("%d bytes are free, the reserve is 16 MB", free)
	}
	if err := n.Retry(t.Context(), deliveries(0, 10, time.Now())); err != nil {
		t.Errorf("a retry below the mark: %v", err)
	}
	background(t, func(ctx context.Context) error {
		return n.ConsumeEvents(ctx, func(b eventlog.EventBatch) {
			for i := range b.Entries {
				acknowledged.came(b.Entries[i].ID)
			}
			b.Done()
		})
	})
	eventually(t, "all events", func() bool { return acknowledged.missing() == 0 })
	eventually(t, "room", func() bool { return n.Engine.Room() == nil })
	if err := n.Append(t.Context(), []eventlog.Entry{large(k)}); err != nil {
		t.Errorf("append with room again: %v", err)
	}
	select {
	case <-failed:
		t.Error("the storage failed")
	default:
	}
}
