package faults

import (
	"slices"
	"strings"
	"sync"
)

// ledger is what the server has acknowledged. It is safe for concurrent use.
type ledger struct {
	mu        sync.Mutex // protects the fields below
	events    []string
	resources map[string]*known
}

// known is what may be found at the id of a resource. Of a write without an
// answer nobody can say whether it happened.
type known struct {
	acknowledged string // a mark that the resource carries; gone if it was deleted
	unanswered   []string
}

const gone = ""

func (l *ledger) published(ids ...string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.events = append(l.events, ids...)
}

// acknowledgedEvents returns the ids so far.
func (l *ledger) acknowledgedEvents() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.events)
}

// settle forgets the events that have arrived. Those in blobs must stay there.
func (l *ledger) settle() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.events = slices.DeleteFunc(l.events, func(id string) bool { return !strings.HasPrefix(id, deadEvent) })
}

// writing says that a resource is about to get a mark. Nobody else writes it
// meanwhile.
func (l *ledger) writing(id, mark string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.resources[id] == nil {
		l.resources[id] = &known{}
	}
	l.resources[id].unanswered = append(l.resources[id].unanswered, mark)
}

// wrote says that the server has acknowledged it.
func (l *ledger) wrote(id, mark string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.resources[id] = &known{acknowledged: mark}
}

// found compares what is there, and takes it for acknowledged: it was shown to
// somebody. It returns what should be there, and whether that is so.
func (l *ledger) found(id, mark string) (want known, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	want = *l.resources[id]
	l.resources[id] = &known{acknowledged: mark}
	return want, mark == want.acknowledged || slices.Contains(want.unanswered, mark)
}

// ids returns the resources that were ever written.
func (l *ledger) ids() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	out := make([]string, 0, len(l.resources))
	for id := range l.resources {
		out = append(out, id)
	}
	slices.Sort(out)
	return out
}
