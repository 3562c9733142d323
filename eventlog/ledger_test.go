package eventlog_test

import (
	"context"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/intertie/intertie/eventlog"
	"github.com/intertie/intertie/resource"
)

// payer is who pays for the subscription of a number, in twos.
func payer(sub resource.UID) string {
	if sub[0] == 0 {
		return ""
	}
	return string('A' + rune(sub[0]-1)/2)
}

// keeping is a log whose events and deliveries are moved about at random.
type keeping struct {
	t      *testing.T
	n      *node
	ledger *eventlog.Ledger

	mu  sync.Mutex
	out []eventlog.Transfer // what is ours
}

func (k *keeping) open(n *node, ledger *eventlog.Ledger) {
	k.n, k.ledger = n, ledger
	ledger.SetPayer(payer)
}

func (k *keeping) took(ds []eventlog.Delivery, claims []eventlog.Claim) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for i := range ds {
		k.out = append(k.out, eventlog.Transfer{Delivery: ds[i], Claim: &claims[i]})
	}
}

// read takes what is handed out until there are n.
func (k *keeping) read(n int) {
	k.t.Helper()
	ctx, cancel := context.WithCancel(k.t.Context())
	var wg sync.WaitGroup
	each := func(b eventlog.DeliveryBatch) { k.took(b.Deliveries, b.Claims) }
	wg.Go(func() { _ = k.n.ConsumeRetries(ctx, each) })
	wg.Go(func() { _ = k.n.ConsumeDeadLetters(ctx, each) })
	for i := range 6 {
		wg.Go(func() { _ = k.n.ConsumeBacklog(ctx, resource.UID{byte(i + 1)}, each) })
	}
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for k.count() < n {
		<-tick.C
	}
	cancel()
	wg.Wait()
}

func (k *keeping) count() int {
	k.mu.Lock()
	defer k.mu.Unlock()
	return len(k.out)
}

// move moves what there is, each with its own luck.
func (k *keeping) move(r *rand.Rand) {
	k.t.Helper()
	for _, t := range k.out {
		t.Delivery.Attempts++
		t.Delivery.Due = time.Unix(1, 0)
		var err error
		switch one := []eventlog.Transfer{t}; r.IntN(4) {
		case 0:
			t.Claim.Release()
		case 1:
			err = k.n.Retry(k.t.Context(), one)
		case 2:
			one[0].Delivery.Reason = "for a good reason"
			err = k.n.DeadLetter(k.t.Context(), one)
		default:
			err = k.n.Overflow(k.t.Context(), t.Delivery.Subscription, one)
		}
		if err != nil {
			k.t.Fatal(err)
		}
	}
	k.out = nil
}

func (k *keeping) kept() map[string]int64 {
	all := map[string]int64{}
	k.ledger.Each(func(payer string, a *eventlog.Account) { all[payer] = a.Kept() })
	return all
}

// Whatever is moved, settled, dropped and reopened: the ledger has what is on disk.
func TestTheLedgerHasWhatIsKept(t *testing.T) {
	fs := memory(t)
	k := &keeping{t: t}
	ledger := new(eventlog.Ledger)
	k.open(start(t, fs, eventlog.Options{Ledger: ledger}), ledger)
	r := rand.New(rand.NewPCG(1, 2))
	for i := range 300 {
		d := delivery(i, time.Unix(1, 0))
		d.Subscription = resource.UID{byte(1 + i%6)}
		d.Event.JSON = append(d.Event.JSON, make([]byte, r.IntN(2000))...)
		k.out = append(k.out, eventlog.Transfer{Delivery: d})
	}
	for round := range 8 {
		k.move(r)
		had := k.kept()
		if round == 0 && len(had) != 3 {
			t.Fatalf("kept %v, want something of each of three", had)
		}
		k.n.close(t)
		ledger := new(eventlog.Ledger)
		k.open(start(t, fs, eventlog.Options{Ledger: ledger}), ledger)
		now := k.kept()
		for payer, bytes := range had {
			if now[payer] != bytes {
				t.Fatalf("round %d: %s keeps %d after the start, %d before", round, payer, now[payer], bytes)
			}
		}
		k.read(int(k.n.kept()))
	}
	// One backlog is dropped, the rest is done.
	last := k.out
	k.out = nil
	for _, tr := range last {
		if tr.Delivery.Subscription != (resource.UID{1}) {
			tr.Claim.Release()
			continue
		}
		if err := k.n.Overflow(t.Context(), tr.Delivery.Subscription, []eventlog.Transfer{tr}); err != nil {
			t.Fatal(err)
		}
	}
	if had := k.kept(); len(had) != 1 || had["A"] == 0 {
		t.Fatalf("kept %v, want what is in the backlog only", had)
	}
	if err := k.n.DropBacklog(t.Context(), resource.UID{1}, func(eventlog.Delivery) {}); err != nil {
		t.Fatal(err)
	}
	if had := k.kept(); len(had) != 0 {
		t.Errorf("kept %v at the end", had)
	}
}

func TestALimitIsForEachPayer(t *testing.T) {
	ledger := new(eventlog.Ledger)
	n := start(t, memory(t), eventlog.Options{Ledger: ledger})
	ledger.SetPayer(payer)
	a, other := ledger.Account("A"), ledger.Account("B")
	var nobody *eventlog.Account
	ledger.SetLimit(1000)
	if a.Full() || other.Full() || nobody.Full() {
		t.Fatal("full of nothing")
	}
	d := delivery(1, time.Now().Add(time.Hour))
	d.Subscription = resource.UID{1}
	d.Event.JSON = make([]byte, 1000)
	if err := n.Retry(t.Context(), []eventlog.Transfer{{Delivery: d}}); err != nil {
		t.Fatal(err)
	}
	if !a.Full() || other.Full() {
		t.Errorf("%d of %d are kept: full %v, the other %v", a.Kept(), a.Limit(), a.Full(), other.Full())
	}
	if ledger.SetLimit(0); a.Full() {
		t.Error("full without a limit")
	}
	if ledger.SetLimit(1 << 20); a.Full() {
		t.Error("full below the limit")
	}
}
