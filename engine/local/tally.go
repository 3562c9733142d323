package local

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"github.com/cespare/xxhash/v2"
	"github.com/cockroachdb/pebble/v2"

	"github.com/intertie/intertie/engine"
)

// What a tally counts, beside writes.
const (
	waiting  = int(engine.Waiting)
	dead     = int(engine.DeadLetters)
	spilled  = int(engine.Spilled)
	records  = int(engine.Queues)
	kept     = records + 1 // resources
	tallied  = kept + 1
	tallyLen = 8 * (1 + 2*tallied)
)

var talliedNames = [tallied]string{"waiting deliveries", "dead letters", "spilled deliveries", "records of events", "resources"}

// tally is how much there is: of each kind the number, and the sum of the hashes
// of their keys (of resources also of their values), both modulo 2^64. A batch
// adds what it changes, as a merge, so the order of batches does not matter.
type tally struct {
	// writes is how many synced batches there were.
	writes uint64
	n      [tallied]uint64
	hash   [tallied]uint64
}

func (t *tally) add(kind int, parts ...[]byte) {
	t.n[kind]++
	t.hash[kind] += hashOf(parts)
}

func (t *tally) remove(kind int, parts ...[]byte) {
	t.n[kind]--
	t.hash[kind] -= hashOf(parts)
}

func hashOf(parts [][]byte) uint64 {
	if len(parts) == 1 {
		return xxhash.Sum64(parts[0])
	}
	d := xxhash.New()
	for _, p := range parts {
		_, _ = d.Write(p) // never fails
	}
	return d.Sum64()
}

func (t *tally) sum(o *tally) {
	t.writes += o.writes
	for i := range tallied {
		t.n[i] += o.n[i]
		t.hash[i] += o.hash[i]
	}
}

func (t *tally) encode() []byte {
	b := binary.BigEndian.AppendUint64(make([]byte, 0, tallyLen), t.writes)
	for i := range tallied {
		b = binary.BigEndian.AppendUint64(b, t.n[i])
		b = binary.BigEndian.AppendUint64(b, t.hash[i])
	}
	return b
}

func (t *tally) decode(b []byte) error {
	if len(b) != tallyLen {
		return fmt.Errorf("the tally has %d bytes instead of %d", len(b), tallyLen)
	}
	t.writes = binary.BigEndian.Uint64(b)
	for i := range tallied {
		t.n[i] = binary.BigEndian.Uint64(b[8+16*i:])
		t.hash[i] = binary.BigEndian.Uint64(b[16+16*i:])
	}
	return nil
}

// compare says what is missing in t, or is too much, beside what it must be.
func (t *tally) compare(must *tally) []string {
	var found []string
	for i := range tallied {
		switch have, want := int64(t.n[i]), int64(must.n[i]); { //nolint:gosec // differences, which wrap
		case want < 0:
			// What removed them is there, what added them is not.
			found = append(found, fmt.Sprintf("at least %d %s are missing: older writes than the newest are lost", -want, talliedNames[i]))
		case have < want:
			found = append(found, fmt.Sprintf("%d of %d %s are missing", want-have, want, talliedNames[i]))
		case have > want:
			found = append(found, fmt.Sprintf("there are %d %s, %d more than there were", have, talliedNames[i], have-want))
		case t.hash[i] != must.hash[i]:
			found = append(found, fmt.Sprintf("%d %s are there, but not the same ones", have, talliedNames[i]))
		}
	}
	return found
}

// merger joins the operands of the two kinds of keys that are merged.
var merger = &pebble.Merger{
	Name: "intertie",
	Merge: func(key, value []byte) (pebble.ValueMerger, error) {
		switch key[0] {
		case tallyPrefix:
			m := &tallyMerger{}
			return m, m.MergeNewer(value)
		case progressPrefix:
			m := &progressMerger{}
			return m, m.MergeNewer(value)
		default:
			return nil, fmt.Errorf("a key of kind %q is not merged", key[0])
		}
	},
}

type tallyMerger struct{ total tally }

func (m *tallyMerger) MergeNewer(value []byte) error {
	var t tally
	err := t.decode(value)
	m.total.sum(&t)
	return err
}

func (m *tallyMerger) MergeOlder(value []byte) error { return m.MergeNewer(value) }

func (m *tallyMerger) Finish(bool) ([]byte, io.Closer, error) { return m.total.encode(), nil, nil }

// progressMerger is the union of sets of indexes, each a list of uvarints.
type progressMerger struct{ set []byte }

func (m *progressMerger) MergeNewer(value []byte) error {
	m.set = append(m.set, value...)
	return nil
}

func (m *progressMerger) MergeOlder(value []byte) error { return m.MergeNewer(value) }

func (m *progressMerger) Finish(bool) ([]byte, io.Closer, error) { return m.set, nil, nil }

// settledIn reads the progress of a record of n events.
func settledIn(b []byte, n int) ([]bool, error) {
	set := make([]bool, n)
	for len(b) > 0 {
		i, size := binary.Uvarint(b)
		if size <= 0 || i >= uint64(n) { //nolint:gosec // a count is not negative
			return nil, errors.New("the progress of a record cannot be read")
		}
		set[i] = true
		b = b[size:]
	}
	return set, nil
}
