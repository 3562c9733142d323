package eventlog

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/semaphore"

	"github.com/intertie/intertie/engine"
)

const (
	// A record takes waiting calls until it has recordBytes or recordEntries. A
	// single call larger than that is a record by itself.
	recordBytes   = 1 << 20
	recordEntries = 8192
	// waitingBytes of calls may be under way, in a record or waiting for one; further
	// callers block until there is room or their context ends.
	waitingBytes = 32 << 20
	// committers is how many records may be on their way at once: one being synced
	// while the next is made. More would only make records smaller.
	committers = 2
	// maxLinger bounds what a caller may lose by waiting for company.
	maxLinger = time.Millisecond
)

// appender is the group commit: whatever waits while earlier records are being
// synced becomes one record, with one sync.
//
// A record costs ten times what an event in it costs. Callers that were answered
// together come back one after the other, and the first of them would get a
// record to itself; so a record also waits for company, see gather.
type appender struct {
	engine engine.Engine
	met    *metrics
	room   *semaphore.Weighted

	buffers bufferPool
	// gathering is held by the committer who makes the next record.
	gathering sync.Mutex
	// mu protects the fields below.
	mu      sync.Mutex
	waiting []*call
	present int // callers that wait or whose record is under way
	closed  bool

	// usual is the moving average of callers present when a record is made, in
	// 16ths.
	usual   atomic.Int64
	settled atomic.Int64 // moving average of the time to an answer, in ns

	wake    chan struct{} // cap 1: somebody waits, enough do, or closed changed
	stopped sync.WaitGroup
}

// call is what one caller appends; it stays together in one record.
type call struct {
	buf     []byte // room for a header, then the entries, encoded
	entries int
	weight  int64 // its share of the appender's room
	arrived []arrival
	done    chan error
}

// headerSize is what a record needs beside its entries: its version.
const headerSize = 1

// headRoom is more than a delivery's head needs: what fits a record can be moved.
const headRoom = 1 << 10

func newAppender(e engine.Engine, met *metrics) *appender {
	a := &appender{
		engine: e, met: met,
		room: semaphore.NewWeighted(waitingBytes),
		wake: make(chan struct{}, 1),
	}
	for range committers {
		a.stopped.Go(a.commit)
	}
	return a
}

// append encodes and commits entries as one unit and returns when they are
// durable. size must be at least what encode appends. arrived is what the ledger has
// of them; it is taken back unless they may be durable.
//
// When the context ends while it waits it returns the context's error at once,
// and the entries may or may not become durable.
func (a *appender) append(ctx context.Context, entries, size int, arrived []arrival, encode func([]byte) []byte) error {
	if size > engine.MaxRecord-headRoom {
		left(arrived)
		return fmt.Errorf("append %d bytes: %w", size, ErrTooLarge)
	}
	weight := int64(size)
	if err := a.room.Acquire(ctx, weight); err != nil {
		left(arrived)
		return err
	}
	c := &call{
		buf: encode(a.buffers.get(headerSize + size)[:headerSize]), entries: entries, weight: weight, arrived: arrived, done: make(chan error, 1),
	}
	a.mu.Lock()
	if a.closed {
		a.mu.Unlock()
		a.room.Release(weight)
		left(arrived)
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
	linger := time.NewTimer(0)
	defer linger.Stop()
	for {
		a.gathering.Lock()
		calls, closed := a.next(linger)
		a.gathering.Unlock()
		if len(calls) > 0 {
			a.write(calls)
		} else if closed {
			a.signal() // the other one
			return
		}
	}
}

// next waits for the calls of the next record; none when the appender is closed.
// gathering is held.
func (a *appender) next(linger *time.Timer) (calls []*call, closed bool) {
	for {
		a.gather(linger)
		if calls, closed = a.take(); len(calls) > 0 || closed {
			return calls, closed
		}
		<-a.wake
	}
}

// enough is how many waiting calls are worth a record at once: three quarters of
// those that are usually there. It is 0 while callers come one at a time.
func (a *appender) enough() int { return int(a.usual.Load() * 3 / 4 / 16) }

// gather waits until enough calls wait, or as long as the engine usually takes
// for a record, whichever comes first. So nobody waits for company that does not
// use to come, nor longer for it than for the disk.
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

// take removes the calls of the next record: those in front that fit.
func (a *appender) take() (calls []*call, closed bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	n, bytes, entries := 0, 0, 0
	for _, c := range a.waiting {
		if n > 0 && (bytes+len(c.data()) > recordBytes || entries+c.entries > recordEntries) {
			break
		}
		n++
		bytes += len(c.data())
		entries += c.entries
	}
	if n == 0 {
		return nil, a.closed
	}
	calls = a.waiting[:n:n]
	if a.waiting = a.waiting[n:]; len(a.waiting) == 0 {
		a.waiting = nil
	}
	average(&a.usual, int64(a.present)*16)
	return calls, a.closed
}

// data returns the encoded entries.
func (c *call) data() []byte { return c.buf[headerSize:] }

// write commits one record and answers its callers.
func (a *appender) write(calls []*call) {
	rec, entries := a.record(calls)
	sent := time.Now()
	// Not that of a caller: the others wait for it too. The engine bounds it.
	err := a.engine.Append(context.Background(), rec, entries)
	if err != nil {
		err = fmt.Errorf("append events: %w", err)
	} else {
		average(&a.settled, int64(time.Since(sent)))
		a.met.appended(entries, len(rec))
	}
	a.buffers.put(rec)
	a.mu.Lock()
	a.present -= len(calls)
	a.mu.Unlock()
	for _, c := range calls {
		a.room.Release(c.weight)
		if err != nil && !errors.Is(err, engine.ErrUnconfirmed) {
			left(c.arrived)
		}
		c.done <- err
	}
}

// record joins calls to one record. A call that has a record to itself, as large
// batches do, is one already.
func (a *appender) record(calls []*call) (rec []byte, entries int) {
	size := headerSize
	for _, c := range calls {
		size += len(c.data())
		entries += c.entries
	}
	if len(calls) == 1 {
		rec = calls[0].buf
		rec[0] = recordVersion
		return rec, entries
	}
	rec = append(a.buffers.get(size), recordVersion)
	for _, c := range calls {
		rec = append(rec, c.data()...)
		a.buffers.put(c.buf)
	}
	return rec, entries
}
