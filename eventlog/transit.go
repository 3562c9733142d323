package eventlog

import (
	"sync"
	"sync/atomic"

	"github.com/intertie/intertie/resource"
)

// transit is what is on its way from Append to the end of its first attempts, of one
// topic. Each event may yet be kept once for each event subscription that wants it,
// and nothing that was accepted is refused: so its account is charged for that many
// from the start.
type transit struct {
	mu      sync.Mutex // protects the fields below
	account *Account   // nil when the topic is gone
	bytes   int64
	most    int64 // subscriptions there are
	// copies is in how many an event is expected to be kept. It is read without mu.
	copies atomic.Int64
}

// slowly is by which part of the difference fewer copies are expected after an event
// that had fewer. More are expected at once: publishers must not get ahead of that.
const slowly = 64

// add takes note of bytes that are on their way, or no longer. A nil transit is that
// of an unknown topic, for which nobody pays.
func (t *transit) add(bytes int64) {
	if t == nil {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	bytes = max(bytes, -t.bytes) // of before the topic was known
	t.bytes += bytes
	t.charge(bytes * t.copies.Load())
}

// wanted takes note of how many subscriptions want an event.
func (t *transit) wanted(n int64) {
	if t == nil || n == t.copies.Load() {
		return // as mostly
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if copies := t.copies.Load(); n < copies {
		n = copies - (copies-n+slowly-1)/slowly
	}
	t.expect(n)
}

// expect makes copies what is expected. mu is held.
func (t *transit) expect(copies int64) {
	t.charge(t.bytes * (copies - t.copies.Load()))
	t.copies.Store(copies)
}

// charge charges the account. mu is held.
func (t *transit) charge(bytes int64) {
	if t.account != nil && bytes != 0 {
		t.account.bytes.Add(bytes)
	}
}

// belong says who pays, nil for nobody any more, and how many subscriptions there are:
// when there are more, all of them are expected to want what comes.
func (t *transit) belong(a *Account, subscriptions int64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.account != a {
		t.charge(-t.bytes * t.copies.Load())
		t.account = a
		t.charge(t.bytes * t.copies.Load())
	}
	if subscriptions > t.most {
		t.expect(subscriptions)
	}
	t.most = subscriptions
}

// transits are those of all topics.
type transits struct {
	mu sync.RWMutex // protects of
	of map[resource.UID]*transit
}

// arrival is a part of one Append: some events of one topic.
type arrival struct {
	transit *transit
	bytes   int64
}

// arriving takes note of events that are about to be appended, until either left is
// called for what is returned, or their claims end.
func (l *Ledger) arriving(entries []Entry) []arrival {
	if l == nil {
		return nil
	}
	as := make([]arrival, 0, 1)
	l.transits.mu.RLock()
	for i := range entries {
		e := &entries[i]
		if i > 0 && e.Topic == entries[i-1].Topic {
			as[len(as)-1].bytes += sizeArriving(e)
			continue
		}
		as = append(as, arrival{l.transits.of[e.Topic], sizeArriving(e)})
	}
	l.transits.mu.RUnlock()
	for _, a := range as {
		a.transit.add(a.bytes)
	}
	return as
}

// left takes back what arriving noted of events that were not appended.
func left(as []arrival) {
	for _, a := range as {
		a.transit.add(-a.bytes)
	}
}

// transiting returns what the claims on events have to take off the ledger. Those that
// were not noted by arriving are noted now.
func (l *Ledger) transiting(entries []Entry, noted bool) []keep {
	if l == nil {
		return nil
	}
	ks := make([]keep, len(entries))
	l.transits.mu.RLock()
	for i := range entries {
		ks[i].transit = l.transits.of[entries[i].Topic]
		ks[i].bytes = int32(sizeArriving(&entries[i])) //nolint:gosec // at most MaxRecord
	}
	l.transits.mu.RUnlock()
	if !noted {
		for _, k := range ks {
			k.transit.add(int64(k.bytes))
		}
	}
	return ks
}

// sizeArriving is about what an event takes on disk when it is kept for a subscription.
func sizeArriving(e *Entry) int64 { return int64(entrySize(e) + overheadKept) }

// SetTopic says who pays for what is on its way to the event subscriptions of a topic,
// and how many there are.
func (l *Ledger) SetTopic(topic resource.UID, payer string, subscriptions int) {
	a := l.Account(payer)
	l.transits.mu.Lock()
	t := l.transits.of[topic]
	if t == nil {
		if l.transits.of == nil {
			l.transits.of = make(map[resource.UID]*transit)
		}
		t = &transit{}
		t.copies.Store(1)
		l.transits.of[topic] = t
	}
	l.transits.mu.Unlock()
	t.belong(a, int64(subscriptions))
}

// RemoveTopic says that a topic is gone. Nobody pays for what is on its way to it.
func (l *Ledger) RemoveTopic(topic resource.UID) {
	l.transits.mu.Lock()
	t := l.transits.of[topic]
	delete(l.transits.of, topic)
	l.transits.mu.Unlock()
	if t != nil {
		t.belong(nil, 0)
	}
}
