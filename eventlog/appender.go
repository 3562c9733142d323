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
	"golang.org/x/sync/semaphore"
)

var (
	// ErrClosed says that the log was closed; nothing was written.
	ErrClosed = errors.New("event log is closed")
	// ErrTooLarge says that a call does not fit one record; nothing was written.
	ErrTooLarge = errors.New("too large for one record")
	// ErrUnconfirmed says that NATS did not answer in time. What was appended
	// may or may not be durable.
	ErrUnconfirmed = errors.New("not confirmed in time")
)

// maxRecord is the largest record, whatever the caps of an appender: just under
// the max_payload that the engine demands of an external server.
const maxRecord = 4<<20 - 64<<10

// appenderOptions are the bounds of an appender.
type appenderOptions struct {
	kind recordKind
	// A record takes waiting calls until it has recordBytes or recordEntries.
	// A single call larger than that is a record by itself.
	recordBytes, recordEntries int
	// waitingBytes of calls may be under way, in a record or waiting for one;
	// further callers block until there is room or their context ends.
	waitingBytes int64
	// inFlight records may be on their way to JetStream at once: one being
	// synced while the next travels. More would only make records smaller.
	inFlight int
	// timeout for JetStream's answer to one record.
	timeout time.Duration
	// admit is the method of space that admits what is appended here.
	space Space
	admit func(n int) error
}

// appender is the group commit: whatever waits while earlier records are being
// synced becomes one record, with one sync. It is owned by its queue, which
// calls close.
//
// A record costs ten times what an event in it costs. Callers that were answered
// together come back one after the other, and the first of them would get a
// record to itself; so a record also waits for company, see gather.
type appender struct {
	js   jetstream.JetStream
	opts appenderOptions
	met  *queueMetrics
	room *semaphore.Weighted

	buffers bufferPool
	// mu protects the fields below.
	mu      sync.Mutex
	waiting []*call
	present int // callers that wait or whose record is under way
	closed  bool

	// usual is the moving average of callers present when a record is made, in
	// 16ths. The commit goroutine writes it.
	usual   atomic.Int64
	settled atomic.Int64 // moving average of the time to an answer, in ns

	wake    chan struct{} // cap 1: somebody waits, enough do, or closed changed
	flights chan flight   // in the order they were published
	slots   chan struct{} // one per record in flight
	stopped sync.WaitGroup
}

// call is what one caller appends; it stays together in one record.
type call struct {
	subject string
	buf     []byte // room for a header, then the entries, encoded
	entries int
	ready   time.Time // see the record header; zero: at once
	size    int       // what space admitted
	weight  int64     // its share of the appender's room
	done    chan error
}

// flight is a published record and who waits for it.
type flight struct {
	calls  []*call
	record []byte
	buf    []byte // that record lies in
	sent   time.Time
	future jetstream.PubAckFuture
}

func newAppender(js jetstream.JetStream, o appenderOptions, met *queueMetrics) *appender {
	a := &appender{
		js: js, opts: o, met: met,
		room:    semaphore.NewWeighted(o.waitingBytes),
		wake:    make(chan struct{}, 1),
		flights: make(chan flight, o.inFlight),
		slots:   make(chan struct{}, o.inFlight),
	}
	a.stopped.Go(a.commit)
	a.stopped.Go(a.settle)
	return a
}

// append encodes and commits entries as one unit and returns when they are
// durable. size must be at least what encode appends.
//
// When the context ends while it waits it returns the context's error at once,
// and the entries may or may not become durable.
func (a *appender) append(ctx context.Context, subject string, entries, size int, ready time.Time, encode func([]byte) []byte) error {
	if size > maxRecord-headerSize {
		return fmt.Errorf("append %d bytes: %w", size, ErrTooLarge)
	}
	weight := min(int64(size), a.opts.waitingBytes)
	if err := a.room.Acquire(ctx, weight); err != nil {
		return err
	}
	if err := a.opts.admit(size); err != nil {
		a.room.Release(weight)
		return fmt.Errorf("%w: %w", ErrNoSpace, err)
	}
	c := &call{
		subject: subject, buf: encode(a.buffers.get(headerSize + size)[:headerSize]), entries: entries, ready: ready,
		size: size, weight: weight, done: make(chan error, 1),
	}
	a.mu.Lock()
	if a.closed {
		a.mu.Unlock()
		a.leave(c)
		return ErrClosed
	}
	a.waiting = append(a.waiting, c)
	a.present++
	n := len(a.waiting)
	a.mu.Unlock()
	if n == 1 || n == a.enough() {
		a.signal()
	}
	select {
	case err := <-c.done:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// close commits what waits, waits for it, and refuses further calls.
func (a *appender) close() {
	a.mu.Lock()
	a.closed = true
	a.mu.Unlock()
	a.signal()
	a.stopped.Wait()
}

func (a *appender) signal() {
	select {
	case a.wake <- struct{}{}:
	default:
	}
}

// commit turns waiting calls into records until the appender is closed.
func (a *appender) commit() {
	defer close(a.flights)
	linger := time.NewTimer(0)
	defer linger.Stop()
	for range a.wake {
		for {
			a.slots <- struct{}{}
			a.gather(linger)
			calls, closed := a.take()
			if len(calls) == 0 {
				<-a.slots
				if closed {
					return
				}
				break
			}
			a.publish(calls)
		}
	}
}

// maxLinger bounds what a caller may lose by waiting for company.
const maxLinger = time.Millisecond

// enough is how many waiting calls are worth a record at once: three quarters of
// those that are usually there. It is 0 while callers come one at a time.
func (a *appender) enough() int { return int(a.usual.Load() * 3 / 4 / 16) }

// gather waits until enough calls wait, or as long as JetStream usually takes
// to answer a record, whichever comes first. So nobody waits for company that
// does not use to come, nor longer for it than for the disk.
func (a *appender) gather(timer *time.Timer) {
	enough := a.enough()
	if enough <= 1 {
		return
	}
	timer.Reset(min(maxLinger, time.Duration(a.settled.Load())))
	for {
		a.mu.Lock()
		n, closed := len(a.waiting), a.closed
		a.mu.Unlock()
		if n == 0 || n >= enough || closed {
			return
		}
		select {
		case <-a.wake:
		case <-timer.C:
			return
		}
	}
}

// average moves avg an eighth of the way towards v.
func average(avg *atomic.Int64, v int64) { avg.Store(avg.Load() + (v-avg.Load())/8) }

// take removes the calls of the next record: the first that waits, and those
// behind it that go to the same subject and fit.
func (a *appender) take() (calls []*call, closed bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(a.waiting) == 0 {
		return nil, a.closed
	}
	subject := a.waiting[0].subject
	bytes, entries := 0, 0
	rest := a.waiting[:0:0]
	for i, c := range a.waiting {
		if c.subject != subject {
			rest = append(rest, c)
			continue
		}
		if len(calls) > 0 && (bytes+len(c.data()) > a.opts.recordBytes || entries+c.entries > a.opts.recordEntries) {
			rest = append(rest, a.waiting[i:]...)
			break
		}
		calls = append(calls, c)
		bytes += len(c.data())
		entries += c.entries
	}
	a.waiting = rest
	average(&a.usual, int64(a.present)*16)
	return calls, a.closed
}

// data returns the encoded entries.
func (c *call) data() []byte { return c.buf[headerSize:] }

// publish sends one record. It holds a slot, which settle gives back.
func (a *appender) publish(calls []*call) {
	select {
	case <-a.opts.space.Failed(): // nobody would answer
		a.answer(flight{calls: calls}, fmt.Errorf("append to %s: %w", calls[0].subject, ErrNoSpace))
		return
	default:
	}
	rec, buf := a.record(calls)
	f := flight{calls: calls, record: rec, buf: buf, sent: time.Now()}
	var err error
	f.future, err = a.js.PublishMsgAsync(&nats.Msg{Subject: calls[0].subject, Data: rec})
	if err != nil {
		a.answer(f, fmt.Errorf("append to %s: %w", calls[0].subject, err))
		return
	}
	a.flights <- f // never blocks: as many as there are slots
}

// record joins calls to one record, which lies in buf. A call that has a record
// to itself, as large batches do, gets its header written in front of it.
func (a *appender) record(calls []*call) (rec, buf []byte) {
	size, entries := headerSize, 0
	ready := calls[0].ready
	for _, c := range calls {
		size += len(c.data())
		entries += c.entries
		if c.ready.Before(ready) {
			ready = c.ready
		}
	}
	var space [headerSize]byte
	header := appendHeader(space[:0], a.opts.kind, ready, entries)
	if len(calls) == 1 {
		buf = calls[0].buf
		calls[0].buf = nil
		start := headerSize - len(header)
		copy(buf[start:], header)
		return buf[start:], buf
	}
	buf = append(a.buffers.get(size), header...)
	for _, c := range calls {
		buf = append(buf, c.data()...)
		a.buffers.put(c.buf)
		c.buf = nil
	}
	return buf, buf
}

// settle answers the callers of each record as JetStream answers.
func (a *appender) settle() {
	timeout := time.NewTimer(a.opts.timeout)
	defer timeout.Stop()
	for f := range a.flights {
		timeout.Reset(a.opts.timeout)
		var err error
		select {
		case <-f.future.Ok():
			average(&a.settled, int64(time.Since(f.sent)))
			a.met.appended(f.calls, len(f.record))
			a.buffers.put(f.buf)
		case e := <-f.future.Err():
			err = fmt.Errorf("append to %s: %w", f.calls[0].subject, commitError(e))
		// In what follows the record is still in NATS's hands, so its buffer is
		// not reused.
		case <-a.opts.space.Failed():
			err = fmt.Errorf("append to %s: %w: %w", f.calls[0].subject, ErrNoSpace, ErrUnconfirmed)
		case <-timeout.C:
			err = fmt.Errorf("append to %s: %w after %v", f.calls[0].subject, ErrUnconfirmed, a.opts.timeout)
		}
		a.answer(f, err)
	}
}

func (a *appender) answer(f flight, err error) {
	<-a.slots
	a.mu.Lock()
	a.present -= len(f.calls)
	a.mu.Unlock()
	for _, c := range f.calls {
		a.leave(c)
		c.done <- err
	}
}

// leave gives back what c holds of the appender's bounds.
func (a *appender) leave(c *call) {
	a.room.Release(c.weight)
	a.opts.space.Put(c.size)
}
