package enginetest

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/intertie/intertie/engine"
	"github.com/intertie/intertie/resource"
)

// inbox takes what one reading method hands out.
type inbox[T any] struct {
	s      *site
	cancel context.CancelFunc
	wake   chan struct{} // something came

	// mu protects the fields below
	mu    sync.Mutex
	items []T
	taken int

	ended chan struct{}
	err   error // once ended is closed
}

// record is a copy of an [engine.Record].
type record struct {
	data    string
	count   int
	settled []bool
	ours    bool
	of      engine.Owner
}

// ref names the i-th event of it.
func (r record) ref(i int) engine.Ref { return engine.Ref{Of: r.of, Index: i} }

func (r record) refs() []engine.Ref {
	refs := make([]engine.Ref, r.count)
	for i := range refs {
		refs[i] = r.ref(i)
	}
	return refs
}

// parcel is a delivery as it was handed out, and when.
type parcel struct {
	engine.Pending
	at time.Time
}

func (p parcel) head() string { return string(p.Head) }

// read runs a reading method until the site ends, or the test stops it. That two
// of its handlers run at once is an error.
func read[T any](s *site, run func(ctx context.Context, put func(...T)) error) *inbox[T] {
	ctx, cancel := context.WithCancel(s.ctx()) //nolint:gosec // stop calls it
	b := &inbox[T]{s: s, cancel: cancel, wake: make(chan struct{}, 1), ended: make(chan struct{})}
	var handling atomic.Int32
	put := func(items ...T) {
		if handling.Add(1) > 1 {
			s.t.Errorf("two handlers of one reader run at once")
		}
		defer handling.Add(-1)
		b.mu.Lock()
		b.items = append(b.items, items...)
		b.mu.Unlock()
		select {
		case b.wake <- struct{}{}:
		default:
		}
	}
	go func() {
		defer close(b.ended)
		b.err = run(ctx, put)
	}()
	s.readers = append(s.readers, b)
	return b
}

func (s *site) events() *inbox[record] {
	e := s.Engine
	return read(s, func(ctx context.Context, put func(...record)) error {
		return e.Events(ctx, func(r engine.Record) {
			put(record{string(r.Data), r.Count, slices.Clone(r.Settled), r.Ours, r.Of})
		})
	})
}

func (s *site) due(q engine.Queue) *inbox[parcel] {
	e := s.Engine
	return read(s, func(ctx context.Context, put func(...parcel)) error {
		return e.Due(ctx, q, func(ps []engine.Pending) { put(s.parcels(ps)...) })
	})
}

func (s *site) spilled(sub resource.UID) *inbox[parcel] {
	e := s.Engine
	return read(s, func(ctx context.Context, put func(...parcel)) error {
		return e.ReadSpilled(ctx, sub, func(ps []engine.Pending) { put(s.parcels(ps)...) })
	})
}

func (s *site) follow() *inbox[engine.Transaction] {
	e := s.Engine
	return read(s, func(ctx context.Context, put func(...engine.Transaction)) error {
		return e.Follow(ctx, func(t engine.Transaction) error {
			t.Writes = slices.Clone(t.Writes)
			for i := range t.Writes {
				t.Writes[i].Value = slices.Clone(t.Writes[i].Value)
			}
			put(t)
			return nil
		})
	})
}

// parcels keeps Head and Body as they are, since their readers may.
func (s *site) parcels(ps []engine.Pending) []parcel {
	out := make([]parcel, len(ps))
	for i, p := range ps {
		out[i] = parcel{p, s.now()}
	}
	return out
}

// now is the time that the engine looks at.
func (s *site) now() time.Time {
	if c, ok := s.place.(Clock); ok {
		return c.Now()
	}
	return time.Now()
}

// next waits for n more.
func (b *inbox[T]) next(n int) []T {
	b.s.t.Helper()
	timeout := time.After(b.s.h.Patience)
	for {
		b.mu.Lock()
		have := b.items[b.taken:]
		b.mu.Unlock()
		if len(have) >= n {
			b.taken += n
			return have[:n:n]
		}
		select {
		case <-b.wake:
		case <-b.ended:
			b.mu.Lock()
			over := len(b.items)-b.taken < n
			b.mu.Unlock()
			if over {
				b.s.t.Fatalf("the reader ended (%v) when %d of %d had come", b.err, len(have), n)
			}
		case <-timeout:
			b.s.t.Fatalf("after %v %d of %d have come: %v", b.s.h.Patience, len(have), n, shorten(have))
		}
	}
}

func (b *inbox[T]) one() T {
	b.s.t.Helper()
	return b.next(1)[0]
}

// all returns what has come and was not asked for yet.
func (b *inbox[T]) all() []T {
	b.mu.Lock()
	defer b.mu.Unlock()
	rest := b.items[b.taken:]
	b.taken = len(b.items)
	return rest
}

// quiet watches for a moment that nothing comes.
func (b *inbox[T]) quiet() {
	b.s.t.Helper()
	timeout := time.After(moment)
	for {
		if rest := b.all(); len(rest) > 0 {
			b.s.t.Fatalf("came although nothing should: %v", shorten(rest))
		}
		select {
		case <-b.wake:
		case <-b.ended:
			return
		case <-timeout:
			return
		}
	}
}

// wait waits until the reader returns by itself.
func (b *inbox[T]) wait() error {
	b.s.t.Helper()
	select {
	case <-b.ended:
		return b.err
	case <-time.After(b.s.h.Patience):
		b.s.t.Fatalf("after %v the reader has not returned", b.s.h.Patience)
		return nil
	}
}

// stop ends the reader and returns its error.
func (b *inbox[T]) stop() error {
	b.s.t.Helper()
	b.cancel()
	return b.wait()
}

func (b *inbox[T]) halt() {
	b.s.t.Helper()
	_ = b.stop()
}

// shorten keeps a failure readable.
func shorten[T any](items []T) string {
	const most = 5
	if len(items) <= most {
		return fmt.Sprintf("%+v", items)
	}
	return fmt.Sprintf("%+v and %d more", items[:most], len(items)-most)
}
