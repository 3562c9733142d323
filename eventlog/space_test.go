package eventlog_test

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"github.com/intertie/intertie/eventlog"
	"github.com/intertie/intertie/resource"
)

var errScarce = errors.New("nothing left")

// scarce is a disk whose room the test decides on.
type scarce struct {
	noOutside, noOwn, noFreeing atomic.Bool
	open, freeing               atomic.Int64
	failed                      chan struct{}
}

func (s *scarce) take(n int, full *atomic.Bool) error {
	if full.Load() {
		return errScarce
	}
	s.open.Add(int64(n))
	return nil
}

func (s *scarce) Take(n int) error    { return s.take(n, &s.noOutside) }
func (s *scarce) TakeOwn(n int) error { return s.take(n, &s.noOwn) }

func (s *scarce) TakeToFree(n int) error {
	s.freeing.Add(1)
	return s.take(n, &s.noFreeing)
}

func (s *scarce) Put(n int)               { s.open.Add(-int64(n)) }
func (s *scarce) Failed() <-chan struct{} { return s.failed }

func newScarce() *scarce { return &scarce{failed: make(chan struct{})} }

func TestEachKindOfWriteAsksForItsRoom(t *testing.T) {
	space := newScarce()
	n := start(t, t.TempDir(), eventlog.Options{Space: space})
	sub := resource.UID{2}
	publish := func() error { return n.Append(t.Context(), entries(0, 3)) }
	moves := map[string]func() error{
		"retry":       func() error { return n.Retry(t.Context(), deliveries(0, 3, time.Now().Add(time.Hour))) },
		"overflow":    func() error { return n.Overflow(t.Context(), sub, deliveries(0, 3, time.Time{})) },
		"dead letter": func() error { return n.DeadLetter(t.Context(), deliveries(0, 3, time.Now().Add(time.Hour))) },
	}
	check := func(step, what string, err error, refused bool) {
		t.Helper()
		switch {
		case !refused && err != nil:
			t.Errorf("%s: %s: %v", step, what, err)
		case refused && (!errors.Is(err, eventlog.ErrNoSpace) || !errors.Is(err, errScarce) || errors.Is(err, eventlog.ErrUnconfirmed)):
			t.Errorf("%s: %s: got %v", step, what, err)
		}
	}
	space.noOutside.Store(true)
	check("below the first mark", "append", publish(), true)
	for what, move := range moves {
		check("below the first mark", what, move(), false)
	}
	space.noOwn.Store(true)
	check("below the second mark", "append", publish(), true)
	for what, move := range moves {
		check("below the second mark", what, move(), true)
	}
	if err := n.DropBacklog(t.Context(), sub); err != nil {
		t.Errorf("drop: %v", err)
	}
	space.noFreeing.Store(true)
	check("below the third mark", "drop", n.DropBacklog(t.Context(), sub), true)
	for _, b := range []*atomic.Bool{&space.noOutside, &space.noOwn, &space.noFreeing} {
		b.Store(false)
	}
	check("with room", "append", publish(), false)
	n.close(t)
	if left := space.open.Load(); left != 0 {
		t.Errorf("%d bytes were not given back", left)
	}
}

// What is done stays while there is no room to cut it off, and goes when there is.
func TestTruncationWaitsForRoom(t *testing.T) {
	space := newScarce()
	space.noFreeing.Store(true)
	n := start(t, t.TempDir(), eventlog.Options{Space: space})
	background(t, func(ctx context.Context) error {
		return n.ConsumeEvents(ctx, func(b eventlog.EventBatch) { b.Done() })
	})
	if err := n.Append(t.Context(), entries(0, 3)); err != nil {
		t.Fatal(err)
	}
	eventually(t, "an attempt to truncate", func() bool { return space.freeing.Load() > 0 })
	if got := records(t, n, "INTERTIE_EVENTS"); got != 1 {
		t.Errorf("%d records", got)
	}
	space.noFreeing.Store(false)
	eventually(t, "the truncation", func() bool { return records(t, n, "INTERTIE_EVENTS") == 0 })
}

// Nobody answers any more when the disk fails; whoever waits is told so, and
// that the outcome is unknown.
func TestAppendEndsWhenTheDiskFails(t *testing.T) {
	space := newScarce()
	n := start(t, t.TempDir(), eventlog.Options{Space: space})
	close(space.failed)
	began := time.Now()
	err := n.Append(t.Context(), entries(0, 1))
	if !errors.Is(err, eventlog.ErrNoSpace) {
		t.Errorf("got %v", err)
	}
	if took := time.Since(began); took > 5*time.Second {
		t.Errorf("after %v", took)
	}
	n.close(t)
	if left := space.open.Load(); left != 0 {
		t.Errorf("%d bytes were not given back", left)
	}
}

// The streams of a folder from before there was a limit per subject, which says
// how large nats-server's blocks are, are taken over as they are.
func TestStreamsOfAnOlderProgramAreTakenOver(t *testing.T) {
	dir := t.TempDir()
	n := start(t, dir, eventlog.Options{})
	if err := n.Append(t.Context(), entries(0, 3)); err != nil {
		t.Fatal(err)
	}
	js := n.Engine.JetStream()
	s, err := js.Stream(t.Context(), "INTERTIE_EVENTS")
	if err != nil {
		t.Fatal(err)
	}
	older := s.CachedInfo().Config
	limit := older.MaxMsgsPerSubject
	older.MaxMsgsPerSubject = -1
	if _, err := js.UpdateStream(t.Context(), older); err != nil {
		t.Fatal(err)
	}
	n.close(t)
	n = start(t, dir, eventlog.Options{})
	if s, err = n.Engine.JetStream().Stream(t.Context(), "INTERTIE_EVENTS"); err != nil {
		t.Fatal(err)
	}
	if got := s.CachedInfo().Config.MaxMsgsPerSubject; got != limit || limit < 1<<40 {
		t.Errorf("limit %d, was %d", got, limit)
	}
	came := make(chan int, 1)
	background(t, func(ctx context.Context) error {
		return n.ConsumeEvents(ctx, func(b eventlog.EventBatch) {
			b.Done()
			came <- len(b.Entries)
		})
	})
	if got := within(t, came, "the events"); got != 3 {
		t.Errorf("%d events", got)
	}
}
