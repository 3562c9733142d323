package enginetest

import (
	"flag"
	"fmt"
	"maps"
	"strconv"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/intertie/intertie/engine"
)

const (
	subs = 3                    // subscriptions of the model
	soon = 4 * time.Millisecond // how far ahead something is due at most
)

// random tries histories: operations drawn at random, a clean end or a crash
// between any two, and at each moment what is handed out is what the model says.
func random(t *testing.T, h Harness) {
	if h.Checks > 0 {
		f := flag.Lookup("rapid.checks")
		if f.Value.String() == f.DefValue {
			if err := flag.Set(f.Name, strconv.Itoa(h.Checks)); err != nil {
				t.Fatal(err)
			}
			defer func() { _ = flag.Set(f.Name, f.DefValue) }()
		}
	}
	rapid.Check(t, func(rt *rapid.T) {
		m := newModel(openSite(rt, h, h.New(t)))
		m.look()
		rt.Repeat(map[string]func(*rapid.T){
			"append": func(rt *rapid.T) { m.append(rapid.IntRange(1, 9).Draw(rt, "events")) },
			"done":   m.settleSome,
			"move":   m.moveSome,
			"read":   func(rt *rapid.T) { m.readSpilled(rapid.IntRange(0, subs-1).Draw(rt, "sub")) },
			"drop":   func(rt *rapid.T) { m.dropSpilled(rapid.IntRange(0, subs-1).Draw(rt, "sub")) },
			"commit": m.commitSome,
			"close":  func(rt *rapid.T) { m.end(rt, false) },
			"crash":  func(rt *rapid.T) { m.end(rt, true) },
			"look":   func(*rapid.T) { m.look() },
		})
		m.look()
		m.count()
	})
}

// end ends the engine, opens the next, and looks at what it hands out, or not yet.
func (m *model) end(rt *rapid.T, crash bool) {
	if crash {
		m.crash()
	} else {
		m.reopen()
	}
	m.ended(crash)
	state, at := m.state()
	if !maps.Equal(state, m.resources) || at != m.position {
		rt.Fatalf("resources are %v at %d, and were %v at %d", state, at, m.resources, m.position)
	}
	if rapid.Bool().Draw(rt, "look") {
		m.look()
		m.count()
	}
}

// look reads everything there is up to what it writes now, so that nothing can be
// behind it.
func (m *model) look() {
	if m.events != nil {
		return
	}
	m.events = m.site.events()
	m.append(1)
	for _, t := range m.things(func(t *thing) bool { return t.of != nil && t.out == nil }) {
		m.missing(t)
	}
	for q := range m.due {
		m.due[q] = m.site.due(queue(q))
	}
	m.write(m.fresh(engine.Waiting, 0, soon, nil), m.fresh(engine.DeadLetters, 0, soon, nil))
	for i := range subs {
		m.readSpilled(i)
	}
	for _, t := range m.things(func(t *thing) bool { return t.of == nil && t.out == nil }) {
		m.missing(t)
	}
}

// missing: t did not come, and is not behind what came.
func (m *model) missing(t *thing) {
	if t.fate == owed {
		m.t.Fatalf("%s is lost", t.name)
	}
	t.fate = gone
}

func (m *model) append(count int) {
	m.serial++
	r := &entry{data: name("r", m.serial)}
	for i := range count {
		r.events = append(r.events, &thing{name: fmt.Sprint(r.data, "/", i), of: r, body: r.data})
	}
	m.records[r.data], m.order = r, append(m.order, r.data)
	m.site.append(r.data, count)
	if m.events == nil {
		return
	}
	for r.events[0].out == nil {
		m.takeRecord(m.events.one())
	}
}

// some draws a few of those that are handed out.
func (m *model) some(rt *rapid.T) []*thing {
	all := m.things(handedOut)
	if len(all) == 0 {
		return nil
	}
	return rapid.SliceOfNDistinct(rapid.SampledFrom(all), 0, 4, func(t *thing) string { return t.name }).Draw(rt, "of")
}

func (m *model) settleSome(rt *rapid.T) {
	var refs []engine.Ref
	for _, t := range m.some(rt) {
		refs = append(refs, *t.out, *t.out)
		t.settle(false)
	}
	m.Done(refs...)
	m.Done(refs...)
}

// moveSome moves what is handed out, some to more than one place, and what is from
// nowhere.
func (m *model) moveSome(rt *rapid.T) {
	var moved []move
	for _, t := range append(m.some(rt), nil) {
		for range rapid.IntRange(0, 2).Draw(rt, "copies") {
			q := queue(rapid.IntRange(0, engine.Queues-1).Draw(rt, "queue"))
			ahead := rapid.SampledFrom([]time.Duration{-time.Hour, -time.Millisecond, 0, soon / 2}).Draw(rt, "ahead")
			moved = append(moved, m.fresh(q, rapid.IntRange(0, subs-1).Draw(rt, "sub"), ahead, t))
		}
	}
	m.write(moved...)
}

// move is a delivery to be, and what it is from.
type move struct {
	to, from *thing
	due      time.Time
}

// fresh makes a delivery with a name of its own, and the body of what it is from.
func (m *model) fresh(q engine.Queue, of int, ahead time.Duration, from *thing) move {
	m.serial++
	t := &thing{name: name("d", m.serial), queue: q, sub: of}
	t.body = "body of " + t.name
	if from != nil {
		t.body = from.body
	}
	return move{t, from, m.now().Add(ahead)}
}

// write moves, and waits for what readers have to hand out.
func (m *model) write(moves ...move) {
	var ds []engine.Delivery
	for _, v := range moves {
		d := engine.Delivery{
			Queue: v.to.queue, Subscription: sub(v.to.sub), Due: v.due, Head: []byte(v.to.name), Body: []byte(v.to.body),
		}
		if v.from != nil {
			d.From = *v.from.out
		}
		ds = append(ds, d)
		m.parcels[v.to.name] = v.to
	}
	m.move(ds...)
	for _, v := range moves {
		if v.from != nil {
			v.from.settle(m.h.Atomic)
		}
	}
	for _, v := range moves {
		if v.to.queue != engine.Spilled && m.due[v.to.queue] != nil {
			for v.to.out == nil {
				m.takeParcel(v.to.queue, m.due[v.to.queue].one())
			}
		}
	}
}

// readSpilled starts a reader that ends with this call. What it hands out stays
// handed out.
func (m *model) readSpilled(of int) {
	if m.events == nil {
		return
	}
	last := m.fresh(engine.Spilled, of, 0, nil)
	m.write(last)
	b := m.spilled(sub(of))
	for last.to.out == nil {
		m.takeParcel(engine.Spilled, b.one())
	}
	_ = b.stop()
}

func (m *model) dropSpilled(of int) {
	err := m.DropSpilled(m.ctx(), sub(of), func(p engine.Pending) { m.dropped(of, string(p.Head)) })
	m.must(err)
	for _, t := range m.parcels {
		if t.queue == engine.Spilled && t.sub == of && t.out == nil && t.fate == owed {
			m.t.Fatalf("%s was neither dropped nor handed out", t.name)
		}
	}
}

func (m *model) commitSome(rt *rapid.T) {
	var ws []engine.Write
	for _, i := range rapid.SliceOfNDistinct(rapid.IntRange(0, 9), 1, 4, rapid.ID[int]).Draw(rt, "keys") {
		w := engine.Write{Key: name("k", i)}
		if rapid.IntRange(0, 3).Draw(rt, "value") > 0 {
			m.serial++
			w.Value = []byte(name("v", m.serial))
		}
		ws = append(ws, w)
	}
	if rapid.IntRange(0, 4).Draw(rt, "stale") == 0 {
		_, err := m.Commit(m.ctx(), m.position+1, ws)
		m.is(err, engine.ErrConflict)
		return
	}
	m.position = m.commit(m.position, ws...)
	apply(m.resources, engine.Transaction{Writes: ws})
}
