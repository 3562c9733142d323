package app

import (
	"bytes"
	"context"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/intertie/intertie/activity"
	"github.com/intertie/intertie/eventgrid"
	"github.com/intertie/intertie/resource"
	"github.com/intertie/intertie/store"
)

// waiting is a partner topic that falls due at a time.
func waiting(t *testing.T, name string, at time.Time) *resource.Resource {
	t.Helper()
	r := &resource.Resource{
		ID: resource.GroupID("s", "g").Provider(eventgrid.TypePartnerTopic, name), UID: resource.NewUID(), Type: eventgrid.TypePartnerTopic,
	}
	expires := resource.Time(at)
	if err := resource.Encode(r, &eventgrid.PartnerTopic{ActivationState: eventgrid.NeverActivated, Expires: &expires}); err != nil {
		t.Fatal(err)
	}
	return r
}

// steppedBy is a clock that shows what the system's does, and no time goes by beside it.
func steppedBy(wall func() time.Time) *clock {
	start := time.Now()
	return &clock{read: func() (time.Time, time.Time) { return start, wall() }}
}

func put(t *testing.T, st *store.Store, rs ...*resource.Resource) {
	t.Helper()
	err := st.Commit(t.Context(), func(tx resource.Tx) error {
		for _, r := range rs {
			tx.Put(r)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestExpiryFollowsTheClock(t *testing.T) {
	st := openStores(t, 1)[0]
	begin := time.Date(2026, 3, 1, 9, 0, 0, 0, time.UTC)
	now := begin
	var log bytes.Buffer
	e := newExpiry(&eventgrid.Rules{}, st, &activity.Emitter{Sources: &activity.Sources{}}, steppedBy(func() time.Time { return now }), slog.New(slog.NewTextHandler(&log, nil)))
	st.Observe(func(cs []store.Change) {
		for _, c := range cs {
			e.note(c)
		}
	})
	put(t, st, waiting(t, "second", begin.Add(20*time.Minute)), waiting(t, "first", begin.Add(10*time.Minute)), waiting(t, "far", begin.Add(48*time.Hour)))
	put(t, st, waiting(t, "renewed", begin.Add(10*time.Minute)))
	put(t, st, waiting(t, "renewed", begin.Add(30*time.Minute)))
	put(t, st, &resource.Resource{ID: resource.GroupID("s", "g"), UID: resource.NewUID(), Type: resource.TypeGroup})

	for _, c := range []struct {
		at   time.Duration
		wait time.Duration
		left string
	}{
		{0, 10 * time.Minute, "far first renewed second"},
		{10*time.Minute - 1, 1, "far first renewed second"},
		{10 * time.Minute, 10 * time.Minute, "far renewed second"},
		{25 * time.Minute, 5 * time.Minute, "far renewed"},
		{30 * time.Minute, time.Hour, "far"}, // an hour at most
		{48 * time.Hour, time.Hour, ""},
	} {
		now = begin.Add(c.at)
		wait := e.expireDue(t.Context())
		var left []string
		for _, r := range st.List(eventgrid.TypePartnerTopic, resource.ID{}) {
			left = append(left, r.ID.Name())
		}
		if wait != c.wait || strings.Join(left, " ") != c.left {
			t.Errorf("after %v: wait %v, left %v; want %v, %s", c.at, wait, left, c.wait, c.left)
		}
	}
	// A stale entry changes nothing and must not claim that it did.
	if got := strings.Count(log.String(), "msg=expired"); got != 4 {
		t.Errorf("%d lines for 4 expired topics:\n%s", got, &log)
	}
}

func TestExpiryTriesAgain(t *testing.T) {
	st := openStores(t, 1)[0]
	now := time.Date(2026, 3, 1, 9, 0, 0, 0, time.UTC)
	e := newExpiry(&eventgrid.Rules{}, st, &activity.Emitter{Sources: &activity.Sources{}}, steppedBy(func() time.Time { return now }), slog.New(slog.DiscardHandler))
	r := waiting(t, "pt1", now)
	put(t, st, r)
	e.note(store.Change{New: r})
	e.note(store.Change{Old: r})
	e.note(store.Change{Old: r, New: r}) // due when it was before: noted already
	st.Close()                           // what was due cannot be written
	if wait := e.expireDue(t.Context()); wait != retryExpiry || e.queue.Len() != 1 {
		t.Errorf("wait %v with %d noted", wait, e.queue.Len())
	}
	if wait := e.expireDue(t.Context()); wait != retryExpiry {
		t.Errorf("at once again: %v", wait)
	}
}

func TestExpiryRunsUntilItIsStopped(t *testing.T) {
	st := openStores(t, 1)[0]
	e := newExpiry(&eventgrid.Rules{}, st, &activity.Emitter{Sources: &activity.Sources{}}, new(clock), slog.New(slog.DiscardHandler))
	gone := make(chan struct{})
	st.Observe(func(cs []store.Change) {
		for _, c := range cs {
			e.note(c)
			if c.New == nil {
				close(gone)
			}
		}
	})
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() { ended <- e.run(ctx) }()
	put(t, st, waiting(t, "pt1", time.Now().Add(-time.Second)))
	<-gone
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

// What is due by a clock that is doubted waits, also if it was set forward only after it
// was asked.
func TestExpiryWaitsForTheClock(t *testing.T) {
	st := openStores(t, 1)[0]
	begin := time.Now()
	now, ahead := begin, time.Duration(0)
	reads := 0
	var stepAt int // the reading at which it is set forward
	c := &clock{read: func() (time.Time, time.Time) {
		if reads++; reads == stepAt {
			ahead = 300 * 24 * time.Hour
		}
		return now, now.Round(0).Add(ahead)
	}}
	e := newExpiry(&eventgrid.Rules{}, st, &activity.Emitter{Sources: &activity.Sources{}}, c, slog.New(slog.DiscardHandler))
	st.Observe(func(cs []store.Change) {
		for _, c := range cs {
			e.note(c)
		}
	})
	put(t, st, waiting(t, "channel", begin.Add(7*24*time.Hour)), waiting(t, "due", begin.Add(time.Minute)))
	count := func() int { return len(st.List(eventgrid.TypePartnerTopic, resource.ID{})) }
	c.Remember(begin)

	now, stepAt = begin.Add(time.Minute), reads+2 // inside the transaction
	if wait := e.expireDue(t.Context()); wait != clockCheck || count() != 2 || reads < stepAt {
		t.Errorf("set forward in the middle: wait %v, %d left", wait, count())
	}
	now = begin.Add(30 * time.Minute)
	if wait := e.expireDue(t.Context()); wait != clockCheck || count() != 2 {
		t.Errorf("set forward: wait %v, %d left", wait, count())
	}
	ahead = 0
	if wait := e.expireDue(t.Context()); wait != time.Hour || count() != 1 {
		t.Errorf("set back: wait %v, %d left", wait, count())
	}
	ahead = 300 * 24 * time.Hour
	e.expireDue(t.Context())
	now = now.Add(clockProof - time.Minute)
	if e.expireDue(t.Context()); count() != 1 {
		t.Error("it went before the clock had run for an hour")
	}
	now = now.Add(time.Minute)
	if e.expireDue(t.Context()); count() != 0 {
		t.Error("it stays for ever")
	}
}
