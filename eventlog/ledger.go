package eventlog

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// ledger knows which records of a queue this process holds: handed out and not
// yet done. While it holds one it tells the server so from time to time, so
// that slow work is not handed out a second time; after a crash nobody does,
// and the server hands the record out again after AckWait.
//
// It keeps a record's reply subject only, never its bytes.
type ledger struct {
	conn *nats.Conn
	// full is called when truncateBytes more are done.
	full func()

	// mu protects the fields below.
	mu   sync.Mutex
	held map[uint64]*held // by stream sequence
	done bool             // a record was finished since moved was asked
	size int              // bytes finished since full was called
	last string           // reply subject of the record finished last
}

// held is one record. It is finished when as many parts are released as were
// added, the first of which stands for the reader itself.
type held struct {
	ledger *ledger
	seq    uint64
	size   int // bytes
	parts  atomic.Int32

	// Protected by ledger.mu.
	reply string
	beat  time.Time
	ended bool
}

func newLedger(conn *nats.Conn, full func()) *ledger {
	return &ledger{conn: conn, full: full, held: make(map[uint64]*held)}
}

// take enters a record with one part. It returns nil for a record that is
// already held: a heartbeat came too late and the server handed it out again,
// to the process that works on it.
func (l *ledger) take(msg jetstream.Msg) *held {
	meta, err := msg.Metadata()
	if err != nil {
		return nil // not from a stream; there is nothing to acknowledge
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if h, ok := l.held[meta.Sequence.Stream]; ok {
		h.reply, h.beat = msg.Reply(), time.Now()
		return nil
	}
	h := &held{ledger: l, seq: meta.Sequence.Stream, size: len(msg.Data()), reply: msg.Reply(), beat: time.Now()}
	h.parts.Store(1)
	l.held[h.seq] = h
	return h
}

// add says that n more parts must be released.
func (h *held) add(n int) { h.parts.Add(int32(n)) } //nolint:gosec // at most one for each entry of a record

// release gives up one part; with the last the record is done.
func (h *held) release() {
	if h.parts.Add(-1) != 0 {
		return
	}
	h.end(nil, true)
}

// done returns a function that releases one part, once.
func (h *held) done() func() {
	var once atomic.Bool
	return func() {
		if once.CompareAndSwap(false, true) {
			h.release()
		}
	}
}

// putBack returns the record to the server, to be handed out after delay.
func (h *held) putBack(delay time.Duration) {
	if delay <= 0 {
		h.end([]byte("-NAK"), false)
		return
	}
	h.end(fmt.Appendf(nil, "-NAK {\"delay\": %d}", delay.Nanoseconds()), false)
}

// end leaves the ledger with a word to the server, which only the first call
// sends: what was put back is no longer ours to acknowledge. When the word is
// lost the record is handed out again.
func (h *held) end(word []byte, done bool) {
	l := h.ledger
	l.mu.Lock()
	if h.ended {
		l.mu.Unlock()
		return
	}
	h.ended = true
	delete(l.held, h.seq)
	full := false
	if done {
		l.done, l.last = true, h.reply
		if l.size += h.size; l.size >= truncateBytes {
			l.size, full = 0, true
		}
	}
	reply := h.reply
	l.mu.Unlock()
	_ = l.conn.Publish(reply, word)
	if full {
		l.full()
	}
}

// heartbeat tells the server about each record held since before, and of which
// it has not heard since then.
func (l *ledger) heartbeat(before time.Time) {
	now := time.Now()
	l.mu.Lock()
	var replies []string
	for _, h := range l.held {
		if h.beat.Before(before) {
			h.beat = now
			replies = append(replies, h.reply)
		}
	}
	l.mu.Unlock()
	for _, r := range replies {
		_ = l.conn.Publish(r, []byte("+WPI"))
	}
}

// moved reports whether a record was finished since it was last asked.
func (l *ledger) moved() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	m := l.done
	l.done = false
	return m
}

// confirm waits until the server has dealt with all that it was told. Words are
// taken in order, so the last one is said again, with a question.
func (l *ledger) confirm(ctx context.Context) error {
	l.mu.Lock()
	last := l.last
	l.mu.Unlock()
	if last == "" {
		return nil
	}
	_, err := l.conn.RequestWithContext(ctx, last, []byte("+ACK"))
	if err != nil && !errors.Is(err, nats.ErrNoResponders) { // without its consumer nothing is handed out again
		return fmt.Errorf("confirm what is done: %w", err)
	}
	return nil
}

// giveBack returns everything that is held, for a graceful stop.
func (l *ledger) giveBack() {
	l.mu.Lock()
	all := make([]*held, 0, len(l.held))
	for _, h := range l.held {
		all = append(all, h)
	}
	l.mu.Unlock()
	for _, h := range all {
		h.putBack(0)
	}
}
