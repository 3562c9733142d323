package local_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/intertie/intertie/engine"
)

// workload is a client that does a bit of everything, one call after another, and
// keeps a ledger of it.
type workload struct {
	*ledger
	e   engine.Engine
	rng *rand.Rand

	out     map[string]engine.Ref // what is handed out and not settled
	queued  map[string]int        // spilled and not handed out, by subscription
	at      uint64                // position of the newest transaction
	arrived chan handed
	failed  chan error // of readers
	readers sync.WaitGroup
	cancel  context.CancelFunc
	ctx     context.Context
}

const (
	largeBodies = 12_000 // a few fill a memtable
	smallBodies = 1_500
)

type handed struct {
	name string
	ref  engine.Ref
}

// startWorkload begins on an engine that has handed out nothing yet.
func startWorkload(e engine.Engine, l *ledger, rng *rand.Rand) (*workload, error) {
	w := &workload{
		ledger: l, e: e, rng: rng, out: map[string]engine.Ref{}, queued: map[string]int{},
		arrived: make(chan handed, 10_000), failed: make(chan error, 10),
	}
	w.ctx, w.cancel = context.WithTimeout(context.Background(), faultWait)
	enough := errors.New("enough")
	err := e.Follow(w.ctx, func(t engine.Transaction) error { w.at = t.Position; return enough })
	if !errors.Is(err, enough) {
		w.cancel()
		return nil, err
	}
	l.mu.Lock()
	for name, of := range l.spilledBy {
		if l.fates[name] == must {
			w.queued[name] = of
		}
	}
	l.mu.Unlock()
	w.read(func() error {
		return e.Events(w.ctx, func(r engine.Record) {
			name, _, _ := strings.Cut(string(r.Data), " ")
			for i := range r.Count {
				if r.Settled == nil || !r.Settled[i] {
					w.arrived <- handed{fmt.Sprint(name, "/", i), engine.Ref{Of: r.Of, Index: i}}
				}
			}
		})
	})
	w.read(func() error { return e.Due(w.ctx, engine.Waiting, w.take) })
	w.read(func() error { return e.Due(w.ctx, engine.DeadLetters, w.take) })
	return w, nil
}

func (w *workload) read(run func() error) {
	w.readers.Go(func() {
		if err := run(); err != nil && w.ctx.Err() == nil {
			w.failed <- err
		}
	})
}

func (w *workload) take(ps []engine.Pending) {
	for _, p := range ps {
		w.arrived <- handed{string(p.Head), p.Ref}
	}
}

// stop ends the readers. Those of an engine that has failed may hang in it: its
// process has to end.
func (w *workload) stop() {
	w.cancel()
	select {
	case <-w.e.Failed():
	default:
		w.readers.Wait()
	}
}

// await waits until something was handed out.
func (w *workload) await(names ...string) error {
	for _, name := range names {
		for w.out[name] == (engine.Ref{}) {
			select {
			case h := <-w.arrived:
				w.out[h.name] = h.ref
				delete(w.queued, h.name)
			case err := <-w.failed:
				return fmt.Errorf("a reader: %w", err)
			case <-w.e.Failed():
				return w.e.Err()
			case <-w.ctx.Done():
				return fmt.Errorf("%s does not come: %w", name, w.ctx.Err())
			}
		}
	}
	return nil
}

// run makes n steps, and returns the first error.
func (w *workload) run(n int) error {
	for range n {
		steps := []func() error{
			w.append, w.append, w.append, w.append, w.append, w.append, w.move, w.move, w.move, w.move, w.move,
			w.commit, w.commit, w.commit, w.done, w.done, w.readSpilled, w.drop,
		}
		if err := steps[w.rng.IntN(len(steps))](); err != nil {
			return err
		}
	}
	return nil
}

func (w *workload) next(kind string) string {
	w.declare(func() { w.serial++ })
	return fmt.Sprint(kind, w.serial)
}

func (w *workload) filler() string { return strings.Repeat("x", w.rng.IntN(1+w.rng.IntN(w.largest))) }

func (w *workload) append() error {
	name := w.next("r")
	data := name + " " + w.filler()
	events := make([]string, 1+w.rng.IntN(3))
	for i := range events {
		events[i] = fmt.Sprint(name, "/", i)
	}
	w.begin()
	w.declare(func() {
		for _, e := range events {
			w.fates[e], w.bodies[e] = may, data
		}
	})
	if err := w.e.Append(w.ctx, []byte(data), len(events)); err != nil {
		return fmt.Errorf("append: %w", err)
	}
	w.set(must, events...)
	return w.await(events...)
}

// pick takes up to n of what is handed out.
func (w *workload) pick(n int) []string {
	names := slices.Sorted(maps.Keys(w.out))
	w.rng.Shuffle(len(names), func(i, j int) { names[i], names[j] = names[j], names[i] })
	return names[:min(n, len(names))]
}

func (w *workload) done() error {
	names := w.pick(1 + w.rng.IntN(2))
	w.set(may, names...)
	for _, name := range names {
		w.e.Done(w.out[name])
		delete(w.out, name)
	}
	return nil
}

func (w *workload) move() error {
	w.begin()
	from := w.pick(1 + w.rng.IntN(2))
	to := make([]string, len(from))
	ds := make([]engine.Delivery, len(from))
	for i, name := range from {
		of := w.rng.IntN(faultSubs)
		to[i] = w.next("d")
		body := "body " + w.filler()
		if strings.HasPrefix(name, "d") {
			body = w.bodies[name]
		}
		ds[i] = engine.Delivery{
			Queue: engine.Queue(w.rng.IntN(engine.Queues)), Subscription: faultSub(of), Due: time.Now().Add(-time.Second),
			Head: []byte(to[i]), Body: []byte(body), From: w.out[name],
		}
		w.declare(func() {
			w.fates[name], w.fates[to[i]], w.bodies[to[i]] = may, may, body
			w.moving = append(w.moving, [2]string{name, to[i]})
			if ds[i].Queue == engine.Spilled {
				w.spilledBy[to[i]] = of
			}
		})
	}
	if err := w.e.Move(w.ctx, ds); err != nil {
		return fmt.Errorf("move: %w", err)
	}
	w.declare(func() {
		w.moving = nil
		for i := range ds {
			w.fates[from[i]], w.fates[to[i]] = mustNot, must
			delete(w.out, from[i])
		}
	})
	for i, d := range ds {
		if d.Queue == engine.Spilled {
			w.queued[to[i]] = w.spilledBy[to[i]]
		} else if err := w.await(to[i]); err != nil {
			return err
		}
	}
	return nil
}

// queuedBy are the names of what a subscription has spilled and nobody has read.
func (w *workload) queuedBy(of int) []string {
	var names []string
	for name, sub := range w.queued {
		if sub == of {
			names = append(names, name)
		}
	}
	return names
}

func (w *workload) readSpilled() error {
	of := w.rng.IntN(faultSubs)
	ctx, cancel := context.WithCancel(w.ctx)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		if err := w.e.ReadSpilled(ctx, faultSub(of), w.take); err != nil && ctx.Err() == nil {
			w.failed <- fmt.Errorf("read spilled: %w", err)
		}
	}()
	err := w.await(w.queuedBy(of)...)
	cancel()
	select {
	case <-ended:
	case <-w.e.Failed():
	}
	return err
}

func (w *workload) drop() error {
	of := w.rng.IntN(faultSubs)
	names := w.queuedBy(of)
	w.begin()
	w.set(may, names...)
	if err := w.e.DropSpilled(w.ctx, faultSub(of), func(engine.Pending) {}); err != nil {
		return fmt.Errorf("drop: %w", err)
	}
	w.set(mustNot, names...)
	for _, name := range names {
		delete(w.queued, name)
	}
	return nil
}

func (w *workload) commit() error {
	next := maps.Clone(w.values)
	var ws []engine.Write
	for _, i := range w.rng.Perm(12)[:1+w.rng.IntN(4)] {
		write := engine.Write{Key: fmt.Sprint("/resource/", i)}
		if w.rng.IntN(4) > 0 {
			write.Value = []byte(w.next("v"))
			next[write.Key] = string(write.Value)
		} else {
			delete(next, write.Key)
		}
		ws = append(ws, write)
	}
	w.begin()
	w.declare(func() { w.ledger.next = next })
	at, err := w.e.Commit(w.ctx, w.at, ws)
	if err != nil {
		return fmt.Errorf("commit: %w", err)
	}
	w.at = at
	w.declare(func() { w.values, w.ledger.next = next, nil })
	return nil
}
