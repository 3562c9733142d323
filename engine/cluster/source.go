package cluster

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math/bits"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/intertie/intertie/engine"
)

const (
	// confirmTimeout bounds how long a server may take to say that it knows what is
	// settled.
	confirmTimeout = time.Second
	// ackedMost bounds source.acked; beyond it what is lost repeats.
	ackedMost = 1 << 17
)

// source is a subject whose messages are handed out in order, by a consumer, and
// knows which of them this process holds: handed out and not settled.
type source struct {
	subject string
	stream  jetstream.Stream
	config  jetstream.ConsumerConfig
	shared  bool // the stream has other subjects
	ordered bool // what former processes had in hand was handed out; the reader's
	conn    *nats.Conn
	by      string          // this process: its message ids begin with it
	settled func(bytes int) // called when a message is settled; must not block

	// mu protects the fields below.
	mu       sync.Mutex
	consumer jetstream.Consumer // nil while there is none
	held     map[uint64]*held   // by stream sequence
	moved    bool               // something was settled or written since it was asked
	last     string             // reply subject of the message settled last
	// Messages settled and not cut off yet, by sequence, with when they were stored:
	// their acknowledgement may get lost with a leader.
	acked  map[uint64]int64
	known  tally // messages written or read here
	unread tally // those written here and not read yet

	truncated               atomic.Uint64
	messagesLeft, partsLeft atomic.Int64 // not settled, as of the last look
	quiet                   int          // rounds since something moved; the janitor's
}

// tally counts messages and their parts.
type tally struct{ messages, parts int64 }

func (t *tally) add(messages, parts int) {
	t.messages, t.parts = t.messages+int64(messages), t.parts+int64(parts)
}

func (e *Engine) newSource(stream jetstream.Stream, subject string, out int, settled func(int)) *source {
	subjects := stream.CachedInfo().Config.Subjects
	return &source{
		subject: subject, stream: stream, shared: len(subjects) != 1 || subjects[0] != subject, conn: e.conn, by: e.id, settled: settled,
		held: make(map[uint64]*held), acked: make(map[uint64]int64),
		config: jetstream.ConsumerConfig{
			Durable:       strings.ReplaceAll(strings.TrimPrefix(subject, "intertie."), ".", "_"),
			FilterSubject: subject,
			AckPolicy:     jetstream.AckExplicitPolicy,
			AckWait:       e.opts.AckWait,
			MaxAckPending: out,
		},
	}
}

// open creates the consumer, or finds that it is there.
func (s *source) open(ctx context.Context) error {
	c, err := s.stream.CreateOrUpdateConsumer(ctx, s.config)
	if err != nil {
		return fmt.Errorf("open the consumer of %s: %w", s.subject, err)
	}
	s.setReader(c)
	return nil
}

// revive opens the consumer anew if err says that it is gone: deleted by somebody, or
// with its server. Else it returns err.
func (s *source) revive(ctx context.Context, err error) error {
	if c := s.reader(); c != nil && errors.Is(err, nats.ErrNoResponders) { // or there is no leader at present
		within, cancel := context.WithTimeout(ctx, confirmTimeout)
		defer cancel()
		_, err = c.Info(within)
	}
	if isGone(err) {
		return s.open(ctx)
	}
	return err
}

func isGone(err error) bool {
	return errors.Is(err, jetstream.ErrConsumerDeleted) || errors.Is(err, jetstream.ErrConsumerNotFound) ||
		errors.Is(err, jetstream.ErrConsumerDoesNotExist)
}

func (s *source) setReader(c jetstream.Consumer) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.consumer = c
}

func (s *source) reader() jetstream.Consumer {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.consumer
}

// held is one message; it is the [engine.Owner] of its parts, each an event or a
// delivery.
type held struct {
	of   *source
	seq  uint64
	at   int64 // when it was stored
	size int   // bytes
	mine bool  // this process wrote it

	parts int
	done  []atomic.Uint64 // a bit for each part that is settled
	open  atomic.Int64    // parts that are not

	// Protected by of.mu.
	reply string
	beat  time.Time
	ended bool
}

// take enters a message. It returns nil for one that is held already, or was settled:
// a heartbeat came too late or an acknowledgement was lost, and the server handed it
// out again.
func (s *source) take(msg jetstream.Msg) *held {
	meta, err := msg.Metadata()
	if err != nil {
		return nil // not from a stream; there is nothing to acknowledge
	}
	seq, at := meta.Sequence.Stream, meta.Timestamp.UnixNano()
	s.mu.Lock()
	defer s.mu.Unlock()
	if h, ok := s.held[seq]; ok && h.at == at {
		h.reply, h.beat = msg.Reply(), time.Now()
		return nil
	}
	if was, ok := s.acked[seq]; ok && was == at {
		_ = s.conn.Publish(msg.Reply(), []byte("+ACK"))
		return nil
	}
	h := &held{
		of: s, seq: seq, at: at, size: len(msg.Data()), reply: msg.Reply(), beat: time.Now(),
		mine: strings.HasPrefix(msg.Headers().Get(nats.MsgIdHdr), s.by),
	}
	s.held[seq] = h
	return h
}

// divide says of how many parts h consists, and which of them were settled by a
// former process. One without parts is settled.
func (h *held) divide(n int, settled []uint64) {
	done, open := make([]atomic.Uint64, (n+63)/64), n
	for i := range min(len(done), len(settled)) {
		done[i].Store(settled[i])
		open -= bits.OnesCount64(settled[i])
	}
	h.of.mu.Lock()
	h.done, h.parts = done, n // notes look at it
	if h.of.known.add(1, n); h.mine {
		h.of.unread.add(-1, -n)
	}
	h.of.mu.Unlock()
	h.open.Store(int64(open))
	if open <= 0 {
		h.end([]byte("+ACK"), true)
	}
}

// isSettled reports whether part i is.
func (h *held) isSettled(i int) bool { return h.done[i/64].Load()&(1<<(i%64)) != 0 }

// settle settles part i, once; with the last one the message is acknowledged.
func (h *held) settle(i int) {
	if i < 0 || i/64 >= len(h.done) {
		return
	}
	bit := uint64(1) << (i % 64)
	if h.done[i/64].Or(bit)&bit != 0 {
		return
	}
	h.of.partsLeft.Add(-1)
	if h.open.Add(-1) == 0 {
		h.end([]byte("+ACK"), true)
	}
}

// putBack returns the message to the server, to be handed out after delay.
func (h *held) putBack(delay time.Duration) {
	if delay <= 0 {
		h.end([]byte("-NAK"), false)
		return
	}
	h.end(fmt.Appendf(nil, "-NAK {\"delay\": %d}", delay.Nanoseconds()), false)
}

// end lets go of the message with a word to the server, which only the first call
// sends: what was put back is no longer ours to acknowledge. When the word is
// lost the message is handed out again.
func (h *held) end(word []byte, settled bool) {
	s := h.of
	s.mu.Lock()
	if h.ended {
		s.mu.Unlock()
		return
	}
	h.ended, s.moved = true, true
	delete(s.held, h.seq)
	if settled {
		s.last = h.reply
		if s.acked[h.seq] = h.at; len(s.acked) > ackedMost {
			clear(s.acked)
		}
	} else if h.mine && h.done != nil {
		s.unread.add(1, h.parts)
	}
	reply := h.reply
	s.mu.Unlock()
	_ = s.conn.Publish(reply, word)
	if settled {
		s.messagesLeft.Add(-1)
		s.settled(h.size)
	}
}

// wrote takes note of a new message with n parts.
func (s *source) wrote(n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.known.add(1, n)
	s.unread.add(1, n)
	s.moved = true
	s.messagesLeft.Add(1)
	s.partsLeft.Add(int64(n))
}

// heartbeat tells the server about each message of which it has not heard since
// before, so that slow work is not handed out a second time.
func (s *source) heartbeat(before time.Time) {
	now := time.Now()
	s.mu.Lock()
	var replies []string
	for _, h := range s.held {
		if h.beat.Before(before) {
			h.beat = now
			replies = append(replies, h.reply)
		}
	}
	s.mu.Unlock()
	for _, r := range replies {
		_ = s.conn.Publish(r, []byte("+WPI"))
	}
}

// holds returns what is held and picked, in the order of the stream.
func (s *source) holds(pick func(*held) bool) []*held {
	s.mu.Lock()
	var some []*held
	for _, h := range s.held {
		if pick(h) {
			some = append(some, h)
		}
	}
	s.mu.Unlock()
	slices.SortFunc(some, func(a, b *held) int { return cmp.Compare(a.seq, b.seq) })
	return some
}

// out counts the messages that are held, their open parts and bytes.
func (s *source) out() (messages, parts, bytes int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, h := range s.held {
		parts += int(max(h.open.Load(), 0))
		bytes += h.size
	}
	return len(s.held), parts, bytes
}

// confirm waits until the server has dealt with all that it was told. Words are
// taken in order, so the last one is said again, with a question; a consumer that
// was made anew does not know what it is about.
func (s *source) confirm(ctx context.Context) error {
	s.mu.Lock()
	last := s.last
	s.last = ""
	s.mu.Unlock()
	if last == "" {
		return nil
	}
	within, cancel := context.WithTimeout(ctx, confirmTimeout)
	defer cancel()
	if _, err := s.conn.RequestWithContext(within, last, []byte("+ACK")); isClosed(err) || ctx.Err() != nil {
		return fmt.Errorf("confirm what is settled of %s: %w", s.subject, err)
	}
	return nil
}

// Done implements [engine.Deliveries].
func (e *Engine) Done(refs ...engine.Ref) {
	for _, r := range refs {
		if h, ok := r.Of.(*held); ok {
			h.settle(r.Index)
		}
	}
}
