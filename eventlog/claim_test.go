package eventlog

import (
	"context"
	"errors"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/intertie/intertie/engine"
	"github.com/intertie/intertie/resource"
)

// owner is an engine that remembers how things were settled.
type owner struct {
	engine.Engine // nil: what is not needed

	mu    sync.Mutex          // protects the fields below
	calls [][]int             // the indexes of each Done
	moved [][]engine.Delivery // of each Move
	err   error               // of the next Move
	hook  func()              // called in a Move
}

func (o *owner) Done(refs ...engine.Ref) {
	o.mu.Lock()
	defer o.mu.Unlock()
	var is []int
	for _, r := range refs {
		if r.Of != o {
			panic("a ref of somebody else")
		}
		is = append(is, r.Index)
	}
	o.calls = append(o.calls, is)
}

func (o *owner) Move(_ context.Context, ds []engine.Delivery) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.hook != nil {
		o.hook()
	}
	if err := o.err; err != nil {
		o.err = nil
		return err
	}
	o.moved = append(o.moved, slices.Clone(ds))
	return nil
}

func (o *owner) Room() error           { return nil }
func (o *owner) Counts() engine.Counts { return engine.Counts{} }

// batch hands out n events.
func (o *owner) batch(n int) EventBatch {
	refs := make([]engine.Ref, n)
	for i := range refs {
		refs[i] = engine.Ref{Of: o, Index: i}
	}
	return NewEventBatch(o, numbered(0, n, 10), refs)
}

func (o *owner) wantDone(t *testing.T, want ...[]int) {
	t.Helper()
	o.mu.Lock()
	defer o.mu.Unlock()
	if diff := cmp.Diff(want, o.calls); diff != "" {
		t.Errorf("Done (-want +got):\n%s", diff)
	}
	o.calls = nil
}

func TestTheLastShareSettles(t *testing.T) {
	o := new(owner)
	b := o.batch(2)
	ended := 0
	b.Finally(func() { ended++ })
	c := &b.Claims[1]
	c.Add(2)
	c.Release()
	c.Release()
	o.wantDone(t)
	c.Release()
	o.wantDone(t, []int{1})
	if ended != 0 {
		t.Error("the batch has ended before its last claim")
	}
	b.Claims[0].Release()
	o.wantDone(t, []int{0})
	if ended != 1 {
		t.Errorf("the batch has ended %d times", ended)
	}
	var none *Claim
	none.Release() // harmless
}

func TestAClaimOfOurOwnCallsBack(t *testing.T) {
	done := 0
	c := NewClaim(2, func() { done++ })
	c.Release()
	if done != 0 {
		t.Error("called while a share is left")
	}
	ReleaseAll([]*Claim{c})
	if done != 1 {
		t.Errorf("called %d times", done)
	}
}

func TestReleaseAllSettlesTogether(t *testing.T) {
	o := new(owner)
	a, b := o.batch(5), o.batch(2)
	ended := make(map[string]int)
	a.Finally(func() { ended["a"]++ })
	b.Finally(func() { ended["b"]++ })
	own := 0
	a.Claims[1].Add(1) // given up twice in one call
	a.Claims[2].Add(1) // once: it stays
	ReleaseAll([]*Claim{
		&a.Claims[0], nil, &a.Claims[1], &a.Claims[1], &a.Claims[2], NewClaim(1, func() { own++ }), &a.Claims[3],
		&b.Claims[0], &b.Claims[1],
		&a.Claims[4],
	})
	o.wantDone(t, []int{0, 1, 3}, []int{0, 1}, []int{4})
	if own != 1 || ended["a"] != 0 || ended["b"] != 1 {
		t.Errorf("own claim: %d, ended: %v", own, ended)
	}
	ReleaseAll([]*Claim{&a.Claims[2], nil})
	o.wantDone(t, []int{2})
	if ended["a"] != 1 {
		t.Errorf("ended: %v", ended)
	}
	ReleaseAll(nil)
	o.wantDone(t)
}

// mover is a log on an owner.
func mover(t *testing.T) (*Log, *owner) {
	t.Helper()
	o := new(owner)
	l, err := Open(o, Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(l.Close)
	return l, o
}

// transfers moves a claim for each of some subscriptions.
func transfers(e Entry, c *Claim, subs ...byte) []Transfer {
	ts := make([]Transfer, len(subs))
	for i, s := range subs {
		ts[i] = Transfer{Claim: c, Delivery: Delivery{
			Entry: e, Subscription: resource.UID{s}, Attempts: 1, LastOutcome: "Busy", LastStatus: 429,
		}}
	}
	return ts
}

// froms counts the moves that settle what they came from.
func (o *owner) froms() (n int) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, ds := range o.moved {
		settled := make(map[engine.Ref]bool)
		for i := range ds {
			if ds[i].From != (engine.Ref{}) {
				settled[ds[i].From] = true
			}
		}
		n += len(settled)
	}
	return n
}

// A write settles the former owner when it takes along all that is left of it, and
// only then.
func TestAMoveSettlesWhatIsNotSharedAnyMore(t *testing.T) {
	for _, row := range []struct {
		name   string
		shares int
		calls  [][]byte // subscriptions of each move
		before int      // shares released before the moves
		after  int      // and afterwards
		froms  []int    // moves that have settled, after each of them
		done   bool     // settled by Done in the end
	}{
		{name: "the only share", shares: 1, calls: [][]byte{{1}}, froms: []int{1}},
		{name: "one of two", shares: 2, calls: [][]byte{{1}}, after: 1, froms: []int{0}, done: true},
		{name: "the last of two", shares: 2, calls: [][]byte{{1}}, before: 1, froms: []int{1}},
		{name: "both in one write", shares: 2, calls: [][]byte{{1, 2}}, froms: []int{1}},
		{name: "both in two writes", shares: 2, calls: [][]byte{{1}, {2}}, froms: []int{0, 1}},
		{name: "two of three, and the third", shares: 3, calls: [][]byte{{1, 2}, {3}}, froms: []int{0, 1}},
		{name: "all but one", shares: 4, calls: [][]byte{{1, 2}, {3}}, after: 1, froms: []int{0, 0}, done: true},
	} {
		t.Run(row.name, func(t *testing.T) {
			l, o := mover(t)
			b := o.batch(1)
			ended := 0
			b.Finally(func() { ended++ })
			c := &b.Claims[0]
			c.Add(row.shares - 1)
			for range row.before {
				c.Release()
			}
			for i, subs := range row.calls {
				if err := l.Retry(t.Context(), transfers(b.Entries[0], c, subs...)); err != nil {
					t.Fatal(err)
				}
				if n := o.froms(); n != row.froms[i] {
					t.Errorf("%d writes have settled after %d, want %d", n, i+1, row.froms[i])
				}
			}
			o.wantDone(t)
			if left := row.after > 0; left == (ended == 1) {
				t.Errorf("the batch has ended %d times", ended)
			}
			for range row.after {
				c.Release()
			}
			if row.done {
				o.wantDone(t, []int{0})
			} else {
				o.wantDone(t)
			}
			if ended != 1 {
				t.Errorf("the batch has ended %d times", ended)
			}
		})
	}
}

func TestAMoveWritesWhatItIsGiven(t *testing.T) {
	sub := resource.UID{9}
	for queue, move := range map[engine.Queue]func(*Log, []Transfer) error{
		engine.Waiting:     func(l *Log, ts []Transfer) error { return l.Retry(t.Context(), ts) },
		engine.DeadLetters: func(l *Log, ts []Transfer) error { return l.DeadLetter(t.Context(), ts) },
		engine.Spilled:     func(l *Log, ts []Transfer) error { return l.Overflow(t.Context(), sub, ts) },
	} {
		t.Run(queueNames[queue], func(t *testing.T) {
			l, o := mover(t)
			b := o.batch(2)
			own := 0
			ts := []Transfer{
				{Claim: &b.Claims[0], Delivery: Delivery{Entry: b.Entries[0], Attempts: 1, Due: time.Unix(5, 0).UTC()}},
				{Claim: nil, Delivery: Delivery{Entry: b.Entries[1], Reason: "Nobody"}},
				{Claim: NewClaim(1, func() { own++ }), Delivery: Delivery{Entry: b.Entries[1], LastOutcome: "Busy", LastStatus: 503}},
				{Claim: &b.Claims[1], Delivery: Delivery{Entry: b.Entries[1], LastAttempt: time.Unix(4, 0).UTC()}},
			}
			for i := range ts {
				ts[i].Delivery.Subscription = sub
			}
			if err := errors.Join(move(l, ts), move(l, nil)); err != nil {
				t.Fatal(err)
			}
			if len(o.moved) != 1 || own != 1 {
				t.Fatalf("%d writes, own claim: %d", len(o.moved), own)
			}
			for i, d := range o.moved[0] {
				got, err := decodeDelivery(&d)
				if diff := cmp.Diff(ts[i].Delivery, got); err != nil || diff != "" {
					t.Errorf("%v (-want +got):\n%s", err, diff)
				}
				var from engine.Ref
				if c := ts[i].Claim; c != nil && c.of != nil {
					from = c.ref
				}
				if d.Queue != queue || d.From != from {
					t.Errorf("%d: into %v from %v", i, d.Queue, d.From)
				}
			}
			o.wantDone(t)
		})
	}
}

func TestAMoveThatFailsKeepsTheShares(t *testing.T) {
	l, o := mover(t)
	b := o.batch(2)
	o.err = engine.ErrNoSpace
	ts := slices.Concat(transfers(b.Entries[0], &b.Claims[0], 1), transfers(b.Entries[1], &b.Claims[1], 1))
	if err := l.Retry(t.Context(), ts); !errors.Is(err, ErrNoSpace) {
		t.Errorf("got %v", err)
	}
	o.wantDone(t)
	if err := l.Overflow(t.Context(), resource.UID{2}, ts); err == nil || len(o.moved) != 0 {
		t.Errorf("a delivery went into the backlog of another subscription: %v", err)
	}
	b.Claims[1].Release()
	o.wantDone(t, []int{1})
	if err := l.Retry(t.Context(), ts[:1]); err != nil || o.froms() != 1 {
		t.Errorf("again: %v, %d writes have settled", err, o.froms())
	}
	o.wantDone(t)
}

// A share that is given up while the others are being written is not forgotten, and
// none is settled twice.
func TestAShareGivenUpDuringAMoveCounts(t *testing.T) {
	l, o := mover(t)
	b := o.batch(1)
	c := &b.Claims[0]
	c.Add(1)
	o.hook = c.Release
	if err := l.Retry(t.Context(), transfers(b.Entries[0], c, 1)); err != nil {
		t.Fatal(err)
	}
	if n := o.froms(); n != 0 {
		t.Error("settled by a write that did not know that it is the last")
	}
	o.wantDone(t, []int{0})
}

func TestClaimsEndOnceHoweverTheirSharesGo(t *testing.T) {
	l, o := mover(t)
	const events, subs = 300, 5
	b := o.batch(events)
	var ended atomic.Int32
	b.Finally(func() { ended.Add(1) })
	for i := range b.Claims {
		b.Claims[i].Add(subs - 1)
	}
	var wg sync.WaitGroup
	for s := range subs {
		r := rand.New(rand.NewPCG(2, uint64(s)))
		wg.Go(func() {
			var ts []Transfer
			var cs []*Claim
			for i := range b.Claims {
				switch r.IntN(3) {
				case 0:
					b.Claims[i].Release()
				case 1:
					cs = append(cs, &b.Claims[i])
				default:
					ts = append(ts, transfers(b.Entries[i], &b.Claims[i], byte(s))...)
				}
				if len(ts) == 20 || i == events-1 {
					if err := l.Retry(t.Context(), ts); err != nil {
						t.Error(err)
					}
					ReleaseAll(cs)
					ts, cs = nil, nil
				}
			}
		})
	}
	wg.Wait()
	times := make([]int, events)
	for _, ds := range o.moved {
		for i := range ds {
			if ds[i].From.Of != nil {
				times[ds[i].From.Index]++
			}
		}
	}
	for _, call := range o.calls {
		for _, i := range call {
			times[i]++
		}
	}
	for i, n := range times {
		if n != 1 {
			t.Errorf("event %d was settled %d times", i, n)
		}
	}
	if n := ended.Load(); n != 1 {
		t.Errorf("the batch has ended %d times", n)
	}
}
