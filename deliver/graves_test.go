package deliver

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"github.com/intertie/intertie/destination"
	"github.com/intertie/intertie/eventlog"
)

func TestWhatMayWaitForAStore(t *testing.T) {
	now := time.Unix(1000, 0)
	blobful := make([]eventlog.Transfer, 2*blobItems)
	for _, row := range []struct {
		name   string
		graves *graves
		buried int64
		want   bool
	}{
		{"nothing yet", &graves{}, 0, true},
		{"a blob", &graves{waiting: blobful[:blobItems], bytes: blobBytes}, gravesBytes - 1, true},
		{"two by count", &graves{waiting: blobful, bytes: 1}, 0, false},
		{"two by bytes", &graves{waiting: blobful[:1], bytes: 2 * blobBytes}, 0, false},
		{"others have everything, first", &graves{}, gravesBytes, true},
		{"others have everything, more", &graves{waiting: blobful[:9], bytes: fewestGraves}, gravesBytes, false},
		{"a blob under way", &graves{began: now.Add(-blobPatience)}, 0, true},
		{"a blob under way for long", &graves{began: now.Add(-blobPatience - 1)}, 0, false},
		{"left alone", &graves{refusing: now.Add(-time.Hour), until: now.Add(1)}, 0, false},
		{"asked again", &graves{refusing: now.Add(-time.Hour), until: now}, 0, true},
	} {
		if got := row.graves.admits(1, row.buried, now); got != row.want {
			t.Errorf("%s: admits = %v, want %v", row.name, got, row.want)
		}
	}
	// Each of a thousand stores that hang would otherwise have one of any size.
	if new(graves).admits(fewestGraves+1, gravesBytes, now) {
		t.Error("others have everything: a large one is admitted")
	}
}

// A store that hangs for hours sees few tries, whatever falls due meanwhile, and
// the dead letters of others are written as soon as they are due.
func TestAStoreThatIsDownIsLeftAlone(t *testing.T) {
	good := new(blobs)
	var tries atomic.Int32
	inBubble(t, func(*rig) []*Subscription {
		bad := destination.Verdict{Outcome: destination.BadRequest}
		a, b := sub(t, 1, always(bad)), sub(t, 2, always(bad))
		a.DeadLetter = &DeadLetter{Store: storeFunc(func(ctx context.Context) error {
			tries.Add(1)
			<-ctx.Done()
			return ctx.Err()
		}), Container: "dead"}
		b.DeadLetter = &DeadLetter{Store: good, Container: "dead"}
		return []*Subscription{a, b}
	}, func(r *rig) {
		const rounds = 90
		for i := range rounds {
			r.disk.publish(entry(i))
			pass(20 * time.Second)
			due := max(0, i+1-16)
			if n := len(good.records(t)); n < due {
				t.Fatalf("round %d: %d dead letters of the other subscription are written, want %d", i, n, due)
			}
		}
		if n := tries.Load(); n < 5 || n > 12 {
			t.Errorf("the store was tried %d times in half an hour", n)
		}
		s, _ := r.Status(sub(t, 1, nil).UID)
		if s.DeadLetters != rounds {
			t.Errorf("%d dead letters wait, want %d", s.DeadLetters, rounds)
		}
	})
}

type storeFunc func(ctx context.Context) error

func (f storeFunc) Put(ctx context.Context, _, _ string, _ []byte) error { return f(ctx) }

// Patience ends for those that were never in a blob, too.
func TestAllDeadLettersAreDroppedInTime(t *testing.T) {
	const n = 1100 // more than a blob
	inBubble(t, func(*rig) []*Subscription {
		s := sub(t, 1, always(destination.Verdict{Outcome: destination.BadRequest}))
		s.DeadLetter = &DeadLetter{Store: &blobs{refuse: func() error { return errors.New("down") }}, Container: "dead"}
		return []*Subscription{s}
	}, func(r *rig) {
		for i := range n / 100 {
			r.disk.publish(entries(i*100, 100)...)
		}
		dropped := func() float64 { return r.value(t, "eventgrid_dropped_total", "DeadLetterDestinationUnavailable") }
		pass(4*time.Hour + 4*time.Minute)
		if dropped() != 0 {
			t.Error("dropped too early")
		}
		pass(6 * time.Minute)
		if dropped() != n || r.disk.left() != 0 {
			t.Errorf("dropped_total = %v, %d records left; want %d, 0", dropped(), r.disk.left(), n)
		}
	})
}
