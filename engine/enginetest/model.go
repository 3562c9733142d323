package enginetest

import (
	"maps"
	"slices"

	"github.com/intertie/intertie/engine"
)

// fate says what the next engine does with a thing.
type fate uint8

const (
	owed    fate = iota // hands it out
	settled             // does not, unless there is a crash
	maybe               // may: there was one
	gone                // does not hand it out
)

// thing is one event, or one delivery.
type thing struct {
	name string // of an event: of its record and its place there; of a delivery: its head
	fate fate
	out  *engine.Ref // handed out by the engine that is open, and not settled

	of    *entry // the record of an event
	queue engine.Queue
	sub   int
	body  string
}

// entry is a record.
type entry struct {
	data   string
	events []*thing
}

// model knows what was written and what has to be there. A slip of an engine is
// an error of the test.
type model struct {
	*site

	records   map[string]*entry
	order     []string // of records
	parcels   map[string]*thing
	resources map[string]string
	position  uint64
	serial    int

	events *inbox[record] // nil until something looks
	due    [engine.Spilled]*inbox[parcel]
}

func newModel(s *site) *model {
	return &model{
		site: s, records: map[string]*entry{}, parcels: map[string]*thing{}, resources: map[string]string{},
		position: s.position(),
	}
}

// things are all that there are, events first, in the order of their names.
func (m *model) things(pick func(*thing) bool) []*thing {
	var all []*thing
	for _, data := range m.order {
		for _, t := range m.records[data].events {
			if pick(t) {
				all = append(all, t)
			}
		}
	}
	for _, head := range slices.Sorted(maps.Keys(m.parcels)) {
		if t := m.parcels[head]; pick(t) {
			all = append(all, t)
		}
	}
	return all
}

func handedOut(t *thing) bool { return t.out != nil }

// settle notes that t was settled: for certain, or in a way that a crash undoes.
func (t *thing) settle(certain bool) {
	t.out, t.fate = nil, settled
	if certain {
		t.fate = gone
	}
}

// ended notes that the engine was closed, or crashed.
func (m *model) ended(crashed bool) {
	m.events, m.due = nil, [engine.Spilled]*inbox[parcel]{}
	for _, t := range m.things(func(*thing) bool { return true }) {
		t.out = nil
		switch {
		case t.fate == settled && crashed:
			t.fate = maybe
		case t.fate == settled:
			t.fate = gone
		}
	}
	if !crashed || m.h.SettledSurvives {
		return
	}
	for _, r := range m.records {
		if !r.whole(gone) {
			for _, t := range r.events {
				if t.fate == gone {
					t.fate = maybe // the record stays, and may forget what was settled of it
				}
			}
		}
	}
}

// whole says that all events of a record have one fate.
func (r *entry) whole(f fate) bool {
	return !slices.ContainsFunc(r.events, func(t *thing) bool { return t.fate != f })
}

// takeRecord notes what Events handed out.
func (m *model) takeRecord(got record) {
	r := m.records[got.data]
	switch {
	case r == nil:
		m.t.Fatalf("record %q was never appended", got.data)
	case got.count != len(r.events) || got.settled != nil && len(got.settled) != got.count:
		m.t.Fatalf("%s has %d events and %d marks, and had %d events", got.data, got.count, len(got.settled), len(r.events))
	case r.whole(gone):
		m.t.Fatalf("%s was settled as a whole and comes again", got.data)
	}
	for i, t := range r.events {
		marked := got.settled != nil && got.settled[i]
		switch {
		case t.out != nil || t.fate == settled:
			m.t.Fatalf("%s is handed out twice", t.name)
		case marked && t.fate == owed:
			m.t.Fatalf("%s is marked as settled and was not", t.name)
		case !marked && t.fate == gone:
			m.t.Fatalf("%s was settled and is not marked", t.name)
		case marked:
			t.fate = gone
		default:
			ref := got.ref(i)
			t.fate, t.out = owed, &ref
		}
	}
}

// takeParcel notes what Due or ReadSpilled handed out.
func (m *model) takeParcel(q engine.Queue, p parcel) {
	t := m.parcels[p.head()]
	switch {
	case t == nil:
		m.t.Fatalf("queue %d hands out %q, which was never moved", q, p.head())
	case t.queue != q || p.Queue != q || p.Subscription != sub(t.sub) || string(p.Body) != t.body:
		m.t.Fatalf("%s was moved to %d for %d with %q, and comes from %d as %s", t.name, t.queue, t.sub, t.body, q, describe(p.Delivery))
	case t.out != nil:
		m.t.Fatalf("%s is handed out twice", t.name)
	case t.fate == gone || t.fate == settled:
		m.t.Fatalf("%s was settled and comes again", t.name)
	case q != engine.Spilled && p.at.Before(p.Due):
		m.t.Fatalf("%s came %v before its time", t.name, p.Due.Sub(p.at))
	}
	t.fate, t.out = owed, &p.Ref
}

// dropped notes what DropSpilled named.
func (m *model) dropped(of int, head string) {
	switch t := m.parcels[head]; {
	case t == nil || t.queue != engine.Spilled || t.sub != of:
		m.t.Fatalf("%q was dropped for %d", head, of)
	case t.out != nil || t.fate == gone || t.fate == settled:
		m.t.Fatalf("%s was dropped, although it was handed out or settled", head)
	default:
		t.fate = gone
	}
}

// count checks the engine's counts, once it is known what came through the last crash.
func (m *model) count() {
	var want engine.Counts
	for _, r := range m.records {
		if slices.ContainsFunc(r.events, func(t *thing) bool { return t.fate == owed }) {
			want.Records++
		}
	}
	for _, t := range m.parcels {
		if t.fate == owed {
			want.Deliveries[t.queue]++
		}
	}
	m.counts(want)
}
