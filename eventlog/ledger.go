package eventlog

import (
	"math"
	"sync"
	"sync/atomic"

	"github.com/intertie/intertie/engine"
	"github.com/intertie/intertie/resource"
)

// overheadKept is what a delivery takes on disk beside its event, about.
const overheadKept = 200

// Ledger says who keeps how much on disk: deliveries that wait for their retry,
// backlogs and dead letters, each with its event, and what is on its way from Append
// to its first attempts, as often as it may come to be kept.
//
// The zero Ledger is ready and limits nobody. It is safe for concurrent use, and its
// readers wait for nobody.
type Ledger struct {
	limit    atomic.Int64 // of each account, 0 for none
	transits transits

	// mu protects the fields below.
	mu       sync.Mutex
	accounts map[string]*Account
	holdings map[resource.UID]*holding // of subscriptions that have something
	payer    func(resource.UID) string
}

// Account is what one payer keeps. The nil Account keeps nothing.
type Account struct {
	ledger *Ledger
	name   string
	bytes  atomic.Int64
}

// holding is what is kept for one event subscription.
type holding struct {
	bytes   int64
	account *Account // nil while nobody knows who pays
}

// Kept returns how many bytes it keeps.
func (a *Account) Kept() int64 {
	if a == nil {
		return 0
	}
	return a.bytes.Load()
}

// Limit returns how many it may keep, 0 for any number.
func (a *Account) Limit() int64 {
	if a == nil {
		return 0
	}
	return a.ledger.limit.Load()
}

// Full reports whether nothing more is to be accepted for it.
func (a *Account) Full() bool {
	if a == nil {
		return false
	}
	limit := a.ledger.limit.Load()
	return limit > 0 && a.bytes.Load() >= limit
}

// SetLimit says how many bytes each account may keep, 0 for any number.
func (l *Ledger) SetLimit(bytes int64) { l.limit.Store(bytes) }

// Account returns that of a payer. There is one for as long as the Ledger.
func (l *Ledger) Account(payer string) *Account {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.account(payer)
}

// account is Account. mu is held.
func (l *Ledger) account(payer string) *Account {
	a := l.accounts[payer]
	if a == nil {
		if l.accounts == nil {
			l.accounts = make(map[string]*Account)
		}
		a = &Account{ledger: l, name: payer}
		l.accounts[payer] = a
	}
	return a
}

// SetPayer says who pays for an event subscription, "" for nobody who is known. What
// is kept already is charged now. payer must not call the Ledger or wait for who does.
func (l *Ledger) SetPayer(payer func(sub resource.UID) string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.payer = payer
	for sub, h := range l.holdings {
		l.charge(sub, h)
	}
}

// charge finds out who pays for a holding. mu is held.
func (l *Ledger) charge(sub resource.UID, h *holding) {
	if h.account != nil || l.payer == nil {
		return
	}
	if name := l.payer(sub); name != "" {
		h.account = l.account(name)
		h.account.bytes.Add(h.bytes)
	}
}

// Each calls f with the accounts that keep something, in no order.
func (l *Ledger) Each(f func(payer string, a *Account)) {
	l.mu.Lock()
	accounts := make([]*Account, 0, len(l.accounts))
	for _, a := range l.accounts {
		accounts = append(accounts, a)
	}
	l.mu.Unlock()
	for _, a := range accounts {
		if a.Kept() > 0 {
			f(a.name, a)
		}
	}
}

// begin takes note of what an engine had when it was opened.
func (l *Ledger) begin(held map[resource.UID]engine.Held) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for sub, h := range held {
		l.add(sub, h.Bytes+h.Deliveries*overheadKept)
	}
}

// add takes note of bytes that are kept from now on, or no longer. mu is held.
func (l *Ledger) add(sub resource.UID, bytes int64) {
	h := l.holdings[sub]
	if h == nil {
		if bytes <= 0 {
			return // of before, from an engine that cannot tell what it held
		}
		if l.holdings == nil {
			l.holdings = make(map[resource.UID]*holding)
		}
		h = &holding{}
		l.holdings[sub] = h
	}
	l.charge(sub, h)
	bytes = max(bytes, -h.bytes)
	h.bytes += bytes
	if h.account != nil {
		h.account.bytes.Add(bytes)
	}
	if h.bytes == 0 {
		delete(l.holdings, sub)
	}
}

// moved takes note of deliveries that are kept now.
func (l *Ledger) moved(ds []engine.Delivery) {
	if l == nil {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	for i := range ds {
		l.add(ds[i].Subscription, sizeKept(&ds[i]))
	}
}

// settled takes note of one that is not any more.
func (l *Ledger) settled(sub resource.UID, bytes int64) {
	if l == nil {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.add(sub, -bytes)
}

func sizeKept(d *engine.Delivery) int64 { return int64(len(d.Head) + len(d.Body) + overheadKept) }

// keep is what a claim has to take off the ledger.
type keep struct {
	transit *transit     // of an event
	sub     resource.UID // of a delivery
	bytes   int32
}

func keepOf(d *engine.Delivery) keep {
	return keep{sub: d.Subscription, bytes: int32(min(sizeKept(d), math.MaxInt32))} //nolint:gosec // bounded
}
