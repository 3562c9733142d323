package e2e

import (
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"testing"
)

// TestBadBodiesNeverBreak sends bodies of which something was changed at random
// to every operation that takes one, on what is there and on what is new. What
// comes is an answer or a refusal with a code, never a fault of the server.
func TestBadBodiesNeverBreak(t *testing.T) {
	t.Parallel()
	const seed, each = 20260301, 8
	w, actors := newWalk(t)
	owner := actors[0]
	w.build(t, owner.world, owner)
	random := rand.New(rand.NewPCG(seed, each))
	m := &mangler{random: random}
	for _, op := range managedOperations {
		m.learn(w.fill(op.body, owner.world))
	}
	sent, accepted := 0, 0
	for _, op := range managedOperations {
		if op.method == http.MethodGet || op.method == http.MethodDelete {
			continue
		}
		for i := range each {
			path, body := w.fill(op.path, owner.world), m.mangle(w.fill(op.body, owner.world))
			if op.method == http.MethodPut && i%2 == 1 {
				path = path[:strings.LastIndex(path, "/")+1] + fmt.Sprintf("new-%d", sent)
			}
			got := w.do(t, owner, op, path, body)
			switch sent++; {
			case got.status >= 500 || got.status < 200:
				t.Errorf("%s: %s %s became %d %.300s\nbody: %.1000s", op.name, op.method, path, got.status, got.body, body)
			case got.status >= 400 && (got.code() == "" || got.error().Message == ""):
				t.Errorf("%s: a refusal without words: %d %q\nbody: %.1000s", op.name, got.status, got.body, body)
			case got.status < 300:
				accepted++
			}
		}
	}
	t.Logf("%d bodies, of which %d were accepted", sent, accepted)
	if accepted == 0 || accepted == sent {
		t.Errorf("%d of %d bodies were accepted: this proves nothing", accepted, sent)
	}
	for _, op := range managedOperations { // and what was written can be read
		if op.method == http.MethodGet {
			if got := w.try(t, owner, op); got.status >= 500 {
				t.Errorf("%s: %d %.300s", op.name, got.status, got.body)
			}
		}
	}
}

// mangler changes JSON at random.
type mangler struct {
	random *rand.Rand
	keys   []string // that occur in good bodies
	values [][]byte // likewise, encoded: what is changed in one body must not be in another
}

// learn takes over what a good body consists of.
func (m *mangler) learn(body string) {
	var v any
	if json.Unmarshal([]byte(body), &v) == nil {
		m.collect(v)
	}
}

func (m *mangler) collect(v any) {
	if text, err := json.Marshal(v); err == nil {
		m.values = append(m.values, text)
	}
	switch v := v.(type) {
	case map[string]any:
		for _, k := range slices.Sorted(maps.Keys(v)) {
			m.keys = append(m.keys, k)
			m.collect(v[k])
		}
	case []any:
		for _, e := range v {
			m.collect(e)
		}
	}
}

// mangle returns another body: mostly JSON with one to three changes.
func (m *mangler) mangle(body string) string {
	var v any
	if json.Unmarshal([]byte(body), &v) != nil {
		v = map[string]any{}
	}
	for range 1 + m.random.IntN(3) {
		v = m.change(v)
	}
	text, err := json.Marshal(v)
	if err != nil {
		return err.Error() // no JSON, which is as good
	}
	if m.random.IntN(8) == 0 {
		at := m.random.IntN(len(text))
		text = append(text[:at], text[min(len(text), at+1+m.random.IntN(3)):]...)
	}
	return string(text)
}

// change changes something in v.
func (m *mangler) change(v any) any {
	switch v := v.(type) {
	case map[string]any:
		keys := slices.Sorted(maps.Keys(v))
		switch {
		case len(keys) == 0 || m.random.IntN(6) == 0:
			v[m.keys[m.random.IntN(len(m.keys))]] = m.value()
		case m.random.IntN(5) == 0:
			delete(v, keys[m.random.IntN(len(keys))])
		default:
			k := keys[m.random.IntN(len(keys))]
			v[k] = m.change(v[k])
		}
		return v
	case []any:
		if len(v) == 0 || m.random.IntN(3) == 0 {
			return append(v, m.value())
		}
		i := m.random.IntN(len(v))
		v[i] = m.change(v[i])
		return v
	default:
		return m.value()
	}
}

// value returns something that may be anywhere.
func (m *mangler) value() any {
	if m.random.IntN(3) == 0 {
		var v any
		if json.Unmarshal(m.values[m.random.IntN(len(m.values))], &v) == nil {
			return v
		}
	}
	deep := any("deep")
	for range 200 {
		deep = []any{deep}
	}
	others := []any{
		nil, true, false, 0, -1, 1.5, 1e300, json.Number("123456789012345678901234567890"),
		"", " ", "x", "\x00", "Grüße 🐙", strings.Repeat("x", 5000),
		[]any{},
		[]any{nil},
		[]any{1, "a", map[string]any{}},
		map[string]any{},
		map[string]any{"": nil},
		deep,
		"2020-01-01T00:00:00Z", "not a time", "P1D", "00000000-0000-4000-8000-00000000000c", "/subscriptions/x/resourceGroups//providers", "../..", "%2f%00",
	}
	return others[m.random.IntN(len(others))]
}
