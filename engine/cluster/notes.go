package cluster

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// notesKept is for how long notes are kept; longer than anything waits.
const notesKept = 48 * time.Hour

// notes say which parts of a message are settled where others are not: JetStream
// only knows messages that are settled as a whole. Each process writes its own down,
// once a second and when it is closed, and reads those of all former ones.
type notes struct {
	written []byte // by this process

	// mu protects the field below.
	mu sync.Mutex
	of map[note][]uint64 // a bit for each settled part
}

// note names a message, for good: a stream that lost its end gives a sequence to
// another one, later.
type note struct {
	subject string
	seq     uint64
	at      int64
}

// take returns what is noted of h, nil for nothing, and forgets it.
func (n *notes) take(h *held) []uint64 {
	n.mu.Lock()
	defer n.mu.Unlock()
	key := note{h.of.subject, h.seq, h.at}
	settled := n.of[key]
	delete(n.of, key)
	return settled
}

// readNotes reads what former processes wrote down.
func (e *Engine) readNotes(ctx context.Context, s jetstream.Stream) error {
	e.notes.of = make(map[note][]uint64)
	for next := uint64(1); ; {
		m, err := s.GetMsg(ctx, next, jetstream.WithGetMsgSubject(noteSubject+"*"))
		if errors.Is(err, jetstream.ErrMsgNotFound) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("read what is settled in part: %w", err)
		}
		e.notes.decode(m.Data)
		next = m.Sequence + 1
	}
}

// writeNotes writes down what is settled in part, if that changed.
func (e *Engine) writeNotes(ctx context.Context) error {
	b := []byte{frameVersion}
	for _, s := range e.sources() {
		b = s.appendNotes(b)
	}
	n := &e.notes
	if bytes.Equal(b, n.written) || len(b) == 1 && n.written == nil {
		return nil
	}
	m := &nats.Msg{Subject: noteSubject + e.id, Header: nats.Header{headerTTL: {notesKept.String()}}, Data: b}
	if err := e.publish(ctx, m); err != nil {
		return fmt.Errorf("write down what is settled in part: %w", err)
	}
	n.written = b
	return nil
}

// appendNotes adds the notes of a source, as long as they fit a message: the rest
// is handed out whole.
func (s *source) appendNotes(b []byte) []byte {
	for _, h := range s.holds((*held).isPart) {
		if len(b) > MinPayload-64<<10 {
			break
		}
		words := h.settledParts()
		b = appendText(b, s.subject)
		b = binary.AppendUvarint(b, h.seq)
		b = binary.AppendVarint(b, h.at)
		b = binary.AppendUvarint(b, uint64(len(words)))
		for _, w := range words {
			b = binary.BigEndian.AppendUint64(b, w)
		}
	}
	return b
}

// isPart reports whether some parts are settled and others are not. h.of.mu is held.
func (h *held) isPart() bool {
	for i := range h.done {
		if h.done[i].Load() != 0 {
			return true
		}
	}
	return false
}

// settledParts returns a bit for each settled part.
func (h *held) settledParts() []uint64 {
	words := make([]uint64, len(h.done))
	for i := range h.done {
		words[i] = h.done[i].Load()
	}
	return words
}

// decode adds what appendNotes wrote. What it cannot read counts as not settled.
func (n *notes) decode(data []byte) {
	c := cursor{data: data}
	if c.version() != nil {
		return
	}
	for len(c.data) > 0 {
		key := note{string(c.text()), c.number(), c.signed()}
		raw := c.bytes(8 * min(c.number(), uint64(len(c.data))))
		if c.bad {
			return
		}
		words := make([]uint64, len(raw)/8)
		for i := range words {
			words[i] = binary.BigEndian.Uint64(raw[8*i:])
		}
		for i, w := range n.of[key] { // two processes may have settled some of it
			if i < len(words) {
				words[i] |= w
			}
		}
		n.of[key] = words
	}
}
