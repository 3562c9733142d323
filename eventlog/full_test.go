package eventlog_test

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/intertie/intertie/engine/disktest"
	"github.com/intertie/intertie/engine/local"
	"github.com/intertie/intertie/eventlog"
	"github.com/intertie/intertie/resource"
)

// startOn opens a log on a small disk, which is measured often.
func startOn(t *testing.T, d *disktest.Disk, reserve int64) *node {
	t.Helper()
	return startWith(t, local.Options{
		Dir: d.Dir, Reserve: reserve, MeasureEvery: 20 * time.Millisecond, MemTable: 1 << 20,
	}, eventlog.Options{})
}

// acknowledged are the numbers of what was acknowledged, and of what came out.
type acknowledged struct {
	mu      sync.Mutex
	in, out map[int]bool
	left    int // in and not out
}

func newAcknowledged() *acknowledged {
	return &acknowledged{in: map[int]bool{}, out: map[int]bool{}}
}

func (a *acknowledged) took(from, n int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for i := range n {
		a.in[from+i] = true
		if !a.out[from+i] {
			a.left++
		}
	}
}

func (a *acknowledged) came(id [16]byte) {
	a.mu.Lock()
	defer a.mu.Unlock()
	k := number(id)
	if a.in[k] && !a.out[k] {
		a.left--
	}
	a.out[k] = true
}

// missing counts what was acknowledged and has not come out.
func (a *acknowledged) missing() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.left
}

func (a *acknowledged) count() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return len(a.in)
}

// noisy is an entry of about so many bytes that cannot be compressed.
func noisy(n, size int) eventlog.Entry {
	e := entry(n)
	noise := make([]byte, size*3/4)
	rand.NewChaCha8([32]byte{byte(n), byte(n >> 8), byte(n >> 16), byte(n >> 24)}).Read(noise)
	e.Event.JSON = fmt.Appendf(nil, `{"specversion":"1.0","id":"%d","source":"/s","type":"t","data_base64":"%s"}`,
		n, base64.StdEncoding.EncodeToString(noise))
	return e
}

// Another program takes the disk, but for what the engine itself needs, while events
// are appended and moved on. Everything goes on by itself when there is room, and
// what was acknowledged comes out, also from the folder as it was left.
func TestNothingAcknowledgedIsLostOnAFullDisk(t *testing.T) {
	d := disktest.New(t, 128<<20)
	const reserve = 32 << 20
	n := startOn(t, d, reserve)
	events, retries, backlog := newAcknowledged(), newAcknowledged(), newAcknowledged()
	sub := resource.UID{2}

	hand := func(to *acknowledged) func(eventlog.DeliveryBatch) {
		return func(b eventlog.DeliveryBatch) {
			for i := range b.Deliveries {
				to.came(b.Deliveries[i].ID)
				b.Claims[i].Release()
			}
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
		write(events, i<<30, func(k int) error { return n.Append(ctx, []eventlog.Entry{noisy(k, 1000)}) })
	}
	later := func(k int) []eventlog.Transfer {
		ts := transfers(k, 1, time.Now().Add(time.Second))
		ts[0].Delivery.Entry = noisy(k, 1000)
		return ts
	}
	write(retries, 0, func(k int) error { return n.Retry(ctx, later(k)) })
	write(backlog, 0, func(k int) error { return n.Overflow(ctx, sub, later(k)) })

	for range 3 {
		before := events.count()
		eventually(t, "events to be taken", func() bool { return events.count() > before+100 })
		d.Fill(t, reserve*3/4)
		was := refused.get()
		eventually(t, "refusals", func() bool { return refused.get() > was+8 && n.engine.Room() != nil })
		d.Release(t)
		was = again.get()
		eventually(t, "events to be taken again", func() bool { return again.get() > was+100 && n.engine.Room() == nil })
	}
	cancel()
	writers.Wait()
	stopRetries()
	n.close(t)
	n = startOn(t, d, reserve) // what is there now was on the disk

	background(t, func(ctx context.Context) error {
		return n.ConsumeEvents(ctx, func(b eventlog.EventBatch) {
			for i := range b.Entries {
				events.came(b.Entries[i].ID)
				b.Claims[i].Release()
			}
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
	const reserve = 16 << 20
	n := startOn(t, d, reserve)
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
						es[i] = noisy(from+i, 8000)
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
	if free := d.Free(t); free < reserve/2 || free > reserve*5/2 {
		t.Errorf("%d bytes are free, the reserve is %d", free, reserve)
	}
	// What is free is what the engine must get back from itself. It may be at work.
	free, same := int64(0), 0
	eventually(t, "the disk to be quiet", func() bool {
		now := d.Free(t)
		if same++; now != free {
			free, same = now, 0
		}
		return same > 200
	})
	d.Fill(t, reserve*7/8)
	eventually(t, "a retry to be taken below the mark", func() bool {
		err := n.Retry(t.Context(), transfers(0, 10, time.Now()))
		if err != nil && !errors.Is(err, eventlog.ErrNoSpace) {
			t.Fatal(err)
		}
		return err == nil
	})
	var mu sync.Mutex
	var claims []*eventlog.Claim
	background(t, func(ctx context.Context) error {
		return n.ConsumeEvents(ctx, func(b eventlog.EventBatch) {
			mu.Lock()
			defer mu.Unlock()
			for i := range b.Entries {
				acknowledged.came(b.Entries[i].ID)
				claims = append(claims, &b.Claims[i])
			}
		})
	})
	eventually(t, "all events", func() bool { return acknowledged.missing() == 0 })
	mu.Lock()
	eventlog.ReleaseAll(claims)
	mu.Unlock()
	eventually(t, "room", func() bool { return n.engine.Room() == nil })
	if err := n.Append(t.Context(), []eventlog.Entry{noisy(k, 8000)}); err != nil {
		t.Errorf("append with room again: %v", err)
	}
	select {
	case <-n.engine.Failed():
		t.Errorf("the storage failed: %v", n.engine.Err())
	default:
	}
}
