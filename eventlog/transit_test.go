package eventlog_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/intertie/intertie/engine"
	"github.com/intertie/intertie/eventlog"
	"github.com/intertie/intertie/resource"
)

// arrivals is a log with a reader that holds what it is handed out.
type arrivals struct {
	*node
	ledger *eventlog.Ledger
	stop   func()

	mu  sync.Mutex
	out []eventlog.Transfer // a delivery to one subscription, for each event
}

// arrive opens a log whose topics 1 and 2 are A's with so many subscriptions, and 3 is
// B's.
func arrive(t *testing.T, n *node, ledger *eventlog.Ledger, subscriptions int) *arrivals {
	t.Helper()
	ledger.SetPayer(payer)
	ledger.SetTopic(resource.UID{1}, "A", subscriptions)
	ledger.SetTopic(resource.UID{2}, "A", subscriptions)
	ledger.SetTopic(resource.UID{3}, "B", 1)
	return &arrivals{node: n, ledger: ledger}
}

func (a *arrivals) read(t *testing.T) {
	a.stop = background(t, func(ctx context.Context) error {
		return a.ConsumeEvents(ctx, func(b eventlog.EventBatch) {
			a.mu.Lock()
			defer a.mu.Unlock()
			for i := range b.Entries {
				d := eventlog.Delivery{Entry: b.Entries[i], Subscription: resource.UID{1}, Due: time.Unix(1, 0)}
				a.out = append(a.out, eventlog.Transfer{Delivery: d, Claim: &b.Claims[i]})
			}
		})
	})
}

// take waits until n events are out and takes them.
func (a *arrivals) take(n int) []eventlog.Transfer {
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for {
		a.mu.Lock()
		if out := a.out; len(out) >= n {
			a.out = nil
			a.mu.Unlock()
			return out
		}
		a.mu.Unlock()
		<-tick.C
	}
}

func (a *arrivals) kept(payer string) int64 { return a.ledger.Account(payer).Kept() }

func ofTopic(topic byte, es []eventlog.Entry) []eventlog.Entry {
	for i := range es {
		es[i].Topic = resource.UID{topic}
	}
	return es
}

// An event is charged for all who may come to keep it before its publisher is
// answered, and until its claim ends.
func TestWhatIsOnItsWayIsCharged(t *testing.T) {
	fs, ledger := memory(t), new(eventlog.Ledger)
	a := arrive(t, start(t, fs, eventlog.Options{Ledger: ledger}), ledger, 10)
	must(t, a.Append(t.Context(), ofTopic(1, kilobyte(3))))
	if got := a.kept("A"); got < 30_000 || got > 50_000 {
		t.Errorf("3 KB for 10 subscriptions are charged as %d bytes", got)
	}
	if got := a.kept("B"); got != 0 {
		t.Errorf("a stranger is charged %d", got)
	}
	a.read(t)
	held := a.take(3)
	if got := a.kept("A"); got < 30_000 {
		t.Errorf("%d bytes are left while the events are out", got)
	}
	// It turns out that one wants them, so the next are not expected to be kept by all.
	before := a.kept("A")
	for range 100 {
		held[0].Claim.Add(0)
	}
	if got := a.kept("A"); got > before/2 {
		t.Errorf("%d of %d bytes are charged after 100 events that one wanted", got, before)
	}
	if held[1].Claim.Add(9); a.kept("A") != before {
		t.Errorf("%d of %d bytes are charged after one that all wanted", a.kept("A"), before)
	}
	for range 9 {
		held[1].Claim.Release()
	}
	for _, tr := range held {
		tr.Claim.Release()
	}
	if got := a.kept("A"); got != 0 {
		t.Errorf("%d bytes are charged for nothing", got)
	}
}

func TestNobodyPaysForWhatWasNotAppended(t *testing.T) {
	ledger := new(eventlog.Ledger)
	a := arrive(t, start(t, memory(t), eventlog.Options{Ledger: ledger}), ledger, 10)
	big := ofTopic(1, entries(0, 1))
	big[0].Event.JSON = make([]byte, engine.MaxRecord)
	if err := a.Append(t.Context(), big); !errors.Is(err, eventlog.ErrTooLarge) {
		t.Fatal(err)
	}
	a.Close()
	if err := a.Append(t.Context(), ofTopic(1, entries(0, 1))); !errors.Is(err, eventlog.ErrClosed) {
		t.Fatal(err)
	}
	if got := a.kept("A"); got != 0 {
		t.Errorf("%d bytes are charged", got)
	}
}

func TestNobodyPaysForATopicThatIsGone(t *testing.T) {
	ledger := new(eventlog.Ledger)
	a := arrive(t, start(t, memory(t), eventlog.Options{Ledger: ledger}), ledger, 10)
	must(t, a.Append(t.Context(), ofTopic(1, entries(0, 5))))
	if ledger.RemoveTopic(resource.UID{1}); a.kept("A") != 0 {
		t.Errorf("%d bytes are charged", a.kept("A"))
	}
	a.read(t)
	for _, tr := range a.take(5) {
		tr.Claim.Release()
	}
	if got := a.kept("A"); got != 0 {
		t.Errorf("%d bytes are charged after all", got)
	}
}

// Whatever is appended, moved, read after a restart and done: in the end nobody is
// charged, and never less than what is kept.
func TestNothingIsChargedInTheEnd(t *testing.T) {
	fs, r, unread := memory(t), rand.New(rand.NewPCG(3, 4)), 0
	var a *arrivals
	for range 6 {
		ledger := new(eventlog.Ledger)
		a = arrive(t, start(t, fs, eventlog.Options{Ledger: ledger}), ledger, 1+r.IntN(5))
		a.read(t)
		n := unread
		for range 20 {
			some := ofTopic(byte(1+r.IntN(4)), kilobyte(1+r.IntN(5))) // nobody has topic 4
			must(t, a.Append(t.Context(), some))
			n += len(some)
		}
		unread = 0
		moved := int64(0)
		for _, tr := range a.take(n) {
			switch r.IntN(4) {
			case 0: // stays with the log
				unread++
				continue
			case 1:
				must(t, a.Retry(t.Context(), []eventlog.Transfer{tr}))
				moved += int64(len(tr.Delivery.Event.JSON))
			default:
				shares := r.IntN(3)
				tr.Claim.Add(shares)
				for range shares + 1 {
					tr.Claim.Release()
				}
			}
			if got := a.kept("A"); got < moved {
				t.Fatalf("%d bytes are charged for %d", got, moved)
			}
		}
		a.stop()
		a.close(t)
	}
	ledger := new(eventlog.Ledger)
	a = arrive(t, start(t, fs, eventlog.Options{Ledger: ledger}), ledger, 3)
	a.read(t)
	former, out := a.kept("A"), a.take(unread)
	for i := range out {
		if topic := out[i].Delivery.Topic[0]; topic == 1 || topic == 2 {
			former += 3 * int64(len(out[i].Delivery.Event.JSON))
		}
	}
	if got := a.kept("A"); got < former {
		t.Errorf("%d bytes are charged, less than the %d of what was read after the start", got, former)
	}
	for _, tr := range out {
		tr.Claim.Release()
	}
	k := &keeping{t: t, n: a.node, ledger: ledger}
	k.read(int(a.engine.Counts().Deliveries[engine.Waiting]))
	for _, tr := range k.out {
		tr.Claim.Release()
	}
	if had := k.kept(); len(had) != 0 {
		t.Errorf("charged at the end: %v", had)
	}
}
