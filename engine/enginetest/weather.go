package enginetest

import (
	"context"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/intertie/intertie/engine"
)

// take hands the events of a record to the workers.
func (w *weather) take(ctx context.Context, r engine.Record) {
	for i := range r.Count {
		if r.Settled == nil || !r.Settled[i] {
			w.give(ctx, task{fmt.Sprintf("%s/%d", r.Data, i), engine.Ref{Of: r.Of, Index: i}})
		}
	}
}

func (w *weather) takeAll(ctx context.Context, ps []engine.Pending) {
	for _, p := range ps {
		if now := w.s.now(); p.Queue != engine.Spilled && now.Before(p.Due) {
			w.s.t.Errorf("%s came %v before its time", p.Body, p.Due.Sub(now))
		}
		w.give(ctx, task{string(p.Body), p.Ref})
	}
}

func (w *weather) give(ctx context.Context, t task) {
	select {
	case w.work <- t:
	case <-ctx.Done():
	}
}

// worker settles what it is given, or moves it somewhere.
func (w *weather) worker(ctx context.Context, rng *rand.Rand) error {
	for hop := 0; ; hop++ {
		var t task
		select {
		case t = <-w.work:
		case <-ctx.Done():
			return ctx.Err()
		}
		w.l.mu.Lock()
		known := w.l.tried[t.event]
		w.l.mu.Unlock()
		if !known {
			w.s.t.Errorf("%q was invented", t.event)
		}
		if rng.IntN(3) > 0 {
			w.l.finish(t.event)
			w.Done(t.from)
			continue
		}
		of := rng.IntN(subs + 1)
		d := engine.Delivery{
			Queue: queue(rng.IntN(engine.Queues)), Subscription: sub(of), From: t.from,
			Due:  w.s.now().Add(time.Duration(rng.IntN(20)-5) * time.Millisecond),
			Head: fmt.Append(nil, "hop ", hop), Body: []byte(t.event),
		}
		if err := w.Move(ctx, []engine.Delivery{d}); err != nil {
			return err
		}
		if d.Queue == engine.Spilled {
			w.read(ctx, of)
		}
	}
}

// read sees to it that a subscription's spilled deliveries are read: by one reader,
// which looks again if something was spilled while it ended. Nobody reads the last
// subscription's: they are dropped.
func (w *weather) read(ctx context.Context, of int) {
	if of == subs {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.spilled[of]++
	if w.reading[of] {
		return
	}
	w.reading[of] = true
	w.group.Go(func() error {
		for {
			w.mu.Lock()
			seen := w.spilled[of]
			w.mu.Unlock()
			if err := w.ReadSpilled(ctx, sub(of), func(ps []engine.Pending) { w.takeAll(ctx, ps) }); err != nil {
				return err
			}
			w.mu.Lock()
			if seen == w.spilled[of] {
				w.reading[of] = false
				w.mu.Unlock()
				return nil
			}
			w.mu.Unlock()
		}
	})
}

// dropper deletes what the last subscription has spilled, again and again.
func (w *weather) dropper(ctx context.Context) error {
	for {
		if err := w.drop(ctx); err != nil {
			return err
		}
		if err := pause(ctx); err != nil {
			return err
		}
	}
}

// pause keeps a loop that others need no more often than this from taking a core.
func pause(ctx context.Context) error {
	select {
	case <-time.After(5 * time.Millisecond):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (w *weather) drop(ctx context.Context) error {
	return w.DropSpilled(ctx, sub(subs), func(p engine.Pending) {
		w.l.finish(string(p.Body))
	})
}

// publisher appends records of several events.
func (w *weather) publisher(ctx context.Context, by string) error {
	for i := 0; ; i++ {
		data, count := name(by, i), 1+i%12
		events := make([]string, count)
		for j := range events {
			events[j] = fmt.Sprintf("%s/%d", data, j)
		}
		for w.l.left() > 1000 {
			if err := pause(ctx); err != nil {
				return err
			}
		}
		w.l.mu.Lock()
		for _, e := range events {
			w.l.tried[e] = true
		}
		w.l.mu.Unlock()
		if err := w.Append(ctx, []byte(data), count); err != nil {
			return err
		}
		w.l.accept(events)
	}
}

// committer changes two keys together, and one of many.
func (w *weather) committer(ctx context.Context, round int) error {
	_, at, err := snapshot(ctx, w.Engine)
	if err != nil {
		return err
	}
	for i := 0; ; i++ {
		v := name(fmt.Sprint("round ", round), i)
		at, err = w.Commit(ctx, at, []engine.Write{put("left", v), put(name("k", i%50), v), put("right", v)})
		if err != nil {
			return err
		}
		w.l.note(func() { w.l.position, w.l.pairs = at, [2]string{v, v} })
	}
}
